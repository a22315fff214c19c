package agent

import (
	"context"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/hashicorp/go-multierror"
)

// Check reads job.Bundle and tells whether its AppSpec can be used and its scripts
// are there. It needs no host and touches none; what depends on the host is found
// by the Start event.
func (a *Agent) Check(_ context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if job.Bundle == nil {
		return nil, nil
	}
	_, _, notes, err := readSpec(job.Bundle.Dir, job)
	return notes, err
}

// readSpec reads the AppSpec of the revision in dir. Warnings come as notes.
func readSpec(dir string, job *target.Job) (string, *appspec.Spec, []lifecycle.Note, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", nil, nil, fail(lifecycle.Step{}, lifecycle.RevisionUnavailable, "the revision's folder cannot be opened: %w", err)
	}
	defer root.Close()
	name, found, err := appspec.Find(root.FS(), job.AppSpec)
	notes := problemNotes(found)
	if err != nil {
		return "", nil, notes, invalid("", err)
	}
	data, err := fs.ReadFile(root.FS(), name)
	if err != nil {
		return "", nil, notes, invalid(name, err)
	}
	opt := appspec.Options{OS: specOS(), Strict: job.Strict}
	spec, warnings, err := appspec.Parse(name, data, opt)
	notes = append(notes, problemNotes(warnings)...)
	if err != nil {
		return "", nil, notes, invalid("", err)
	}
	problems := spec.CheckBundle(name, root.FS(), opt)
	tolerate(root.FS(), spec, problems, job.Strict)
	notes = append(notes, problemNotes(warningsOf(problems))...)
	return name, spec, notes, bundleError(spec, problems)
}

// specOS is what the AppSpec of this host has to say.
func specOS() string {
	if runtime.GOOS == "windows" {
		return "windows"
	}
	return "linux"
}

func invalid(name string, err error) *lifecycle.Error {
	text := err.Error()
	if name != "" {
		text = name + ": " + text
	}
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.AppSpecInvalid, Message: "the AppSpec cannot be used: " + text}, Err: err}
}

func problemNotes(problems []*appspec.Problem) []lifecycle.Note {
	var notes []lifecycle.Note
	for _, p := range problems {
		notes = append(notes, lifecycle.Note{Code: lifecycle.AppSpecInvalid, Text: p.Error()})
	}
	return notes
}

// tolerate makes warnings of problems that may never matter: CodeDeploy's agent
// deploys such a revision. BeforeInstall may make the files that are missing, and
// a script may be listed for an event that does not come, or be made by another
// one. Under Strict nothing is tolerated.
func tolerate(fsys fs.FS, spec *appspec.Spec, problems []*appspec.Problem, strict bool) {
	if strict {
		return
	}
	for _, p := range problems {
		switch p.Code {
		case appspec.ErrSourceMissing:
			if len(spec.Scripts(lifecycle.BeforeInstall)) > 0 {
				p.Severity = appspec.Warning
			}
		case appspec.ErrScriptMissing, appspec.ErrScriptType, appspec.ErrScriptCRLF, appspec.ErrScriptUnreadable:
			if !needed(fsys, spec, scriptAt(spec, p), p.Code == appspec.ErrScriptMissing) {
				p.Severity = appspec.Warning
			}
		}
	}
}

// needed reports whether every deployment of the revision is sure to come to a
// script, as it is now. One that is missing, and that an earlier script mentions,
// may be there by then.
func needed(fsys fs.FS, spec *appspec.Spec, location string, missing bool) bool {
	name := inside(location)
	var earlier []appspec.Script
	for _, event := range sure {
		for _, s := range spec.Scripts(event) {
			if inside(s.Location) == name {
				return !missing || !mentioned(fsys, earlier, path.Base(name))
			}
			earlier = append(earlier, s)
		}
	}
	return location == ""
}

func warningsOf(problems []*appspec.Problem) []*appspec.Problem {
	var out []*appspec.Problem
	for _, p := range problems {
		if p.Severity == appspec.Warning {
			out = append(out, p)
		}
	}
	return out
}

// bundleCodes say what a problem of the revision's files is to a deployment.
var bundleCodes = map[appspec.Code]lifecycle.Code{
	appspec.ErrScriptMissing:        lifecycle.ScriptMissing,
	appspec.ErrScriptType:           lifecycle.ScriptNotExecutable,
	appspec.ErrScriptCRLF:           lifecycle.ScriptNotExecutable,
	appspec.ErrScriptUnreadable:     lifecycle.ScriptNotExecutable,
	appspec.ErrSourceMissing:        lifecycle.InstallRefused,
	appspec.ErrDuplicateDestination: lifecycle.InstallRefused,
}

// bundleError is the refusal of a revision whose files do not fit its AppSpec, or
// nil. Its code is that of the first problem; it tells them all.
func bundleError(spec *appspec.Spec, problems []*appspec.Problem) error {
	var all *multierror.Error
	var first *appspec.Problem
	for _, p := range problems {
		if p.Severity != appspec.Error {
			continue
		}
		if first == nil {
			first = p
		}
		all = multierror.Append(all, p)
	}
	if first == nil {
		return nil
	}
	e := invalid("", all)
	if code, ok := bundleCodes[first.Code]; ok {
		e.Code = code
		e.Script = scriptAt(spec, first)
	}
	return e
}

// scriptAt is the location of the script that a problem is about.
func scriptAt(spec *appspec.Spec, p *appspec.Problem) string {
	for _, h := range spec.Hooks {
		for _, s := range h.Scripts {
			if s.Pos.Line == p.Line && s.Pos.Line > 0 {
				return s.Location
			}
		}
	}
	return ""
}
