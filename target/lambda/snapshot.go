package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Snapshot reads how the alias stands, and refuses to deploy unless it leads to
// CurrentVersion alone, both versions are there and can take calls, and the hooks could
// be called.
func (a *Alias) Snapshot(ctx context.Context, _ *target.Job) (target.Snapshot, error) {
	none := lifecycle.Step{}
	if err := a.valid(); err != nil {
		return target.Snapshot{}, err
	}
	now, err := a.look(ctx, none, func(r routing) bool { return r.is(routing{version: a.original()}) })
	if err != nil {
		return target.Snapshot{}, err
	}
	if err := a.unfit(now); err != nil {
		return target.Snapshot{}, err
	}
	for _, version := range []string{a.original(), a.replacement()} {
		if err := a.active(ctx, none, version); err != nil {
			return target.Snapshot{}, err
		}
	}
	for _, h := range a.Spec.Functions {
		if err := a.Hooks.Check(ctx, h.Function); err != nil {
			return target.Snapshot{}, err
		}
	}
	s := target.Snapshot{Weights: now.snapshot()}
	var p provisioning
	for qualifier, n := range map[string]*int32{a.Spec.Function.Alias: &p.Alias, a.replacement(): &p.Replacement} {
		if *n, err = a.provisionedFor(ctx, qualifier); err != nil {
			return s, failed(ctx, none, "lambda:GetProvisionedConcurrencyConfig", a.Spec.Function.Name+":"+qualifier, err)
		}
	}
	s.Data, err = json.Marshal(p)
	return s, err
}

// unfit says why an alias that was found cannot be deployed to.
func (a *Alias) unfit(now routing) error {
	leftover := now.version == a.original() && len(now.weights) > 0
	switch {
	case now.version == a.replacement() && len(now.weights) == 0:
		return fail(lifecycle.Step{}, lifecycle.AppSpecInvalid, "%s leads to version %s already: there is nothing to deploy", a, now.version)
	case leftover && !a.TakeLeftover:
		return fail(lifecycle.Step{}, lifecycle.ExternalChange, "%s has weights that something else has left: %s; give all calls to one version, or set Alias.TakeLeftover", a, now)
	case !leftover && !now.is(routing{version: a.original()}):
		return fail(lifecycle.Step{}, lifecycle.ExternalChange, "%s leads elsewhere: the AppSpec says CurrentVersion %s, and it sends %s; correct the AppSpec or the alias", a, a.original(), now)
	}
	return nil
}

// Check refuses a revision whose AppSpec is not the one that the target was made from.
func (a *Alias) Check(_ context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if err := a.valid(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(job.Bundle.Dir)
	if err != nil {
		return nil, invalid(err)
	}
	defer root.Close()
	name, problems, err := appspec.Find(root.FS(), job.AppSpec)
	if err != nil {
		return nil, invalid(err)
	}
	data, err := fs.ReadFile(root.FS(), name)
	if err != nil {
		return nil, invalid(err)
	}
	spec, warnings, err := appspec.Parse(name, data, appspec.Options{Platform: lifecycle.Lambda, Strict: job.Strict})
	if err != nil {
		return nil, invalid(err)
	}
	var notes []lifecycle.Note
	for _, p := range append(problems, warnings...) {
		notes = append(notes, lifecycle.Note{Text: p.Error()})
	}
	if !alike(spec, a.Spec) {
		return notes, invalid(fmt.Errorf("%s of the revision is another AppSpec than Alias.Spec: make both from the same file", name))
	}
	return notes, nil
}

// alike compares what two AppSpecs deploy, wherever it is written in them.
func alike(one, two *appspec.Spec) bool {
	f, g := *one.Function, *two.Function
	f.Pos, g.Pos, f.Label, g.Label = appspec.Pos{}, appspec.Pos{}, "", ""
	return f == g && slices.EqualFunc(one.Functions, two.Functions, func(h, i appspec.FunctionHook) bool {
		return h.Event == i.Event && h.Function == i.Function
	})
}

func invalid(err error) error {
	return &lifecycle.Error{Err: err, Failure: lifecycle.Failure{Code: lifecycle.AppSpecInvalid, Message: err.Error()}}
}
