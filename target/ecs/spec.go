package ecs

import (
	"context"
	"io/fs"
	"os"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Check implements [target.Checker]: it reads the AppSpec and asks nobody.
func (s *Service) Check(_ context.Context, job *target.Job) ([]lifecycle.Note, error) {
	spec, notes, err := readSpec(job)
	if err == nil && len(spec.Functions) > 0 && s.Hooks == nil {
		err = fail(lifecycle.AppSpecInvalid, "the AppSpec names functions (%s for %s), and Service.Hooks is nil: say what runs them", spec.Functions[0].Function, spec.Functions[0].Event)
	}
	return notes, err
}

// readSpec reads the AppSpec of a job's revision. Warnings come as notes.
func readSpec(job *target.Job) (*appspec.Spec, []lifecycle.Note, error) {
	if job == nil || job.Bundle == nil {
		return nil, nil, fail(lifecycle.RevisionUnavailable, "there is no revision to read an AppSpec from")
	}
	root, err := os.OpenRoot(job.Bundle.Dir)
	if err != nil {
		return nil, nil, fail(lifecycle.RevisionUnavailable, "the revision's folder cannot be opened: %v", err)
	}
	defer root.Close()
	name, found, err := appspec.Find(root.FS(), job.AppSpec)
	notes := problemNotes(found)
	if err != nil {
		return nil, notes, invalid(err)
	}
	data, err := fs.ReadFile(root.FS(), name)
	if err != nil {
		return nil, notes, invalid(err)
	}
	spec, warnings, err := appspec.Parse(name, data, appspec.Options{Strict: job.Strict, Platform: lifecycle.ECS})
	notes = append(notes, problemNotes(warnings)...)
	switch {
	case err != nil:
		return nil, notes, invalid(err)
	case spec.Service == nil || spec.Service.PortText != "":
		return nil, notes, fail(lifecycle.AppSpecInvalid, "%s describes no ECS service, or is a template that is not filled in", name)
	}
	return spec, notes, nil
}

func invalid(err error) error {
	e := fail(lifecycle.AppSpecInvalid, "the AppSpec cannot be used: %v", err)
	e.Err = err
	return e
}

func problemNotes(problems []*appspec.Problem) []lifecycle.Note {
	var notes []lifecycle.Note
	for _, p := range problems {
		notes = append(notes, lifecycle.Note{Code: lifecycle.AppSpecInvalid, Text: p.Error()})
	}
	return notes
}
