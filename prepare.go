package cutover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// prepare checks all that can be checked before anything is touched, and plans.
func (r *runner) prepare(ctx context.Context) (strategy.Plan, []lifecycle.Note, error) {
	d := r.d
	if d.Revision == nil {
		return strategy.Plan{}, nil, errors.New("deployment: Revision is nil: say what to deploy")
	}
	if err := r.fresh(ctx); err != nil {
		return strategy.Plan{}, nil, err
	}
	standing, err := r.standing(ctx)
	if err != nil {
		return strategy.Plan{}, nil, err
	}
	bundle, err := r.open(ctx, d.Revision)
	if err != nil {
		return strategy.Plan{}, nil, err
	}
	rev := bundle.Revision(d.Revision)
	r.job = r.newJob(rev, bundle, standing.LastGood)
	notes, err := r.check(ctx)
	if err != nil {
		return strategy.Plan{}, nil, err
	}
	notes = append(notes, r.backNote(standing.LastGood)...)
	for _, text := range bundle.Notes {
		notes = append(notes, lifecycle.Note{Text: text})
	}
	if slices.Contains(standing.Quarantine, rev.Digest) && !d.AllowQuarantined {
		return strategy.Plan{}, nil, &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.Quarantined, Message: fmt.Sprintf(
			"the revision %s was rolled back in group %s and has not succeeded since; deploy another, or set AllowQuarantined", rev, d.Group)}}
	}
	in := strategy.Input{Deployment: cmp.Or(d.ID, newID()), Revision: rev, Overrides: d.overrides(), Timeout: d.Timeout}
	if d.Before != nil {
		in.First = lifecycle.BeforeDeployment
	}
	if d.After != nil {
		in.Last = lifecycle.AfterDeployment
	}
	plan, err := r.plan(ctx, in, standing)
	r.job.BlueGreen = byTraffic(plan)
	return plan, notes, err
}

// fresh refuses an id that a deployment of the group has already.
func (r *runner) fresh(ctx context.Context) error {
	ids, err := r.read.Deployments(ctx)
	if err == nil && r.d.ID != "" && slices.Contains(ids, r.d.ID) {
		return fmt.Errorf("%w: %s; resume it, or deploy under another id", ErrExists, r.d.ID)
	}
	return err
}

// plan asks the target for its units and the strategy for a plan.
func (r *runner) plan(ctx context.Context, in strategy.Input, standing strategy.Standing) (strategy.Plan, error) {
	units, err := r.d.Target.Units(ctx)
	if err != nil {
		return strategy.Plan{}, unlisted{fmt.Errorf("group %s: listing the units: %w", r.d.Group, err)}
	}
	in.Group, in.LastGood, in.Quarantine, in.LostBudget = r.d.Group, standing.LastGood, standing.Quarantine, r.d.LostBudget
	in.Units = make([]lifecycle.Unit, len(units))
	for i, u := range units {
		known := standing.Units[u.ID]
		u.Healthy, u.Revision = known.Healthy && u.Lost == "", known.Revision
		in.Units[i] = u
	}
	var left []string
	if in.RollbackOf != "" {
		in.Units = asRecorded(in, standing)
		_, left = unused(in.Units, standing.Leftover)
	} else {
		in.Units, left = unused(in.Units, standing.Leftover)
	}
	_, in.Pool = r.d.Target.(target.Pool)
	if r.d.OutdatedOnly && in.RollbackOf == "" {
		in.Touched = outdated(in)
	}
	if b, ok := r.d.Target.(target.Balanced); ok {
		in.Balanced = b.Balanced()
	}
	if tr, ok := r.d.Target.(target.TestRouted); ok {
		in.TestRoute = tr.TestRoute()
	}
	if err := r.snapshot(ctx, &in); err != nil {
		return strategy.Plan{}, err
	}
	st := r.d.Strategy
	if st == nil {
		st = strategy.OneAtATime()
	}
	plan, err := st.Plan(in)
	plan.Before, plan.Weights, plan.Leftover = in.Before, in.Weights, left // also where a strategy knows nothing of them
	return plan, err
}

// unlisted is the error of a target that could not say what its units are. That is an
// accident, whatever its code: it decides nothing.
type unlisted struct{ error }

func (u unlisted) Unwrap() error { return u.error }

// snapshot lets the target say how things stand before a deployment that goes
// forward. A rollback goes back to what was found then.
func (r *runner) snapshot(ctx context.Context, in *strategy.Input) error {
	s, ok := r.d.Target.(target.Snapshotter)
	if !ok || in.RollbackOf != "" {
		return nil
	}
	snap, err := s.Snapshot(ctx, r.job)
	if err != nil {
		return fmt.Errorf("group %s: looking at how things stand: %w", r.d.Group, err)
	}
	before := strategy.Snapshot(snap)
	in.Before = &before
	r.job.Before = &snap
	in.AnyTraffic = r.d.OnForeignChange == target.OverwriteForeign
	return nil
}

// asRecorded gives the units of a rollback the roles that they had in what is rolled
// back: a target may call the replacement the original as soon as traffic has moved.
// A touched one that is no longer listed is lost.
func asRecorded(in strategy.Input, standing strategy.Standing) []lifecycle.Unit {
	units, listed := in.Units, map[string]bool{}
	for i, u := range units {
		listed[u.ID] = true
		if role := standing.Units[u.ID].Role; role != "" {
			units[i].Role = role
		}
	}
	for _, id := range in.Touched {
		if u := standing.Units[id]; u.Role != "" && !listed[id] {
			units = append(units, lifecycle.Unit{ID: id, Zone: u.Zone, Role: u.Role, Revision: u.Revision, Lost: "the target no longer lists it"})
		}
	}
	return units
}

// byTraffic reports whether a plan moves traffic between two sides. Then the way
// back is traffic too.
func byTraffic(p strategy.Plan) bool {
	return slices.ContainsFunc(p.Stages, func(s strategy.Stage) bool { return s.Role != "" })
}

// outdated lists the units that do not have the revision, or are not healthy.
func outdated(in strategy.Input) []string {
	ids := []string{}
	for _, u := range in.Units {
		if !u.Healthy || u.Revision != in.Revision.Digest {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// standing is how the last deployment left the group. One that has not ended, or
// that was promised a rollback, is in the way.
func (r *runner) standing(ctx context.Context) (strategy.Standing, error) {
	ids, err := r.read.Deployments(ctx)
	if err != nil || len(ids) == 0 {
		return strategy.Standing{}, err
	}
	last, err := r.load(ctx, ids[len(ids)-1])
	if err != nil {
		return strategy.Standing{}, err
	}
	o, _ := last.Outcome()
	switch {
	case o != nil && o.Rollback == "", r.d.Supersede && r.log == nil:
		return last.Standing(), nil
	case !r.d.Supersede:
		return strategy.Standing{}, fmt.Errorf("%w: %s; resume it, or supersede it", ErrUnfinished, last.Plan().Deployment)
	case o == nil:
		err = r.end(ctx, last)
	}
	return last.Standing(), err
}

// end closes the records of a deployment that another one supersedes. Nothing of it
// is rolled back: the units are taken as they are.
func (r *runner) end(ctx context.Context, st *strategy.State) error {
	here := lifecycle.Step{Deployment: st.Plan().Deployment}
	out, err := json.Marshal(strategy.Outcome{Verdict: strategy.DeploymentStopped})
	if err != nil {
		return err
	}
	return r.append(ctx, st, lifecycle.Record{Kind: lifecycle.Finished, Step: here, Data: out,
		Failure: &lifecycle.Failure{Code: lifecycle.ManualStop, Message: "superseded by another deployment"}})
}

// open opens a revision in a work directory that close removes.
func (r *runner) open(ctx context.Context, src revision.Source) (*revision.Bundle, error) {
	work, err := os.MkdirTemp(r.d.WorkDir, "cutover-")
	if err != nil {
		return nil, fmt.Errorf("making a work directory: %w", err)
	}
	r.work = append(r.work, work)
	return src.Open(ctx, work)
}

// close removes the work directories and gives the group back.
func (r *runner) close() error {
	for _, w := range r.work {
		os.RemoveAll(w) // a leftover in a directory for temporary files harms nobody
	}
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}

func (r *runner) newJob(rev revision.Revision, b *revision.Bundle, good *revision.Revision) *target.Job {
	d := r.d
	job := &target.Job{
		Application: d.Application, Group: d.Group, GroupName: d.GroupName,
		Revision: rev, Bundle: b, AppSpec: d.AppSpec, FileExists: d.FileExists, Env: d.Env,
		IgnoreStopFailures: d.IgnoreStopFailures, RerunInterrupted: d.RerunInterrupted, Strict: d.Strict,
	}
	if job.GroupName == "" {
		job.GroupName = d.Group
	}
	if good != nil {
		job.LastGood = good.Digest
	}
	return job
}

// overrides names the relaxations in force, for the records.
func (d *Deployment) overrides() []string {
	var out []string
	for _, o := range []struct {
		on   bool
		name string
	}{
		{d.IgnoreStopFailures, "IgnoreStopFailures"},
		{d.RerunInterrupted, "RerunInterrupted"},
		{d.Supersede, "Supersede"},
		{d.OutdatedOnly, "OutdatedOnly"},
		{d.AllowQuarantined, "AllowQuarantined"},
		{d.LostBudget > 0, "LostBudget"},
		{d.OnForeignChange == target.AdoptForeign || d.OnForeignChange == target.OverwriteForeign, "OnForeignChange: " + string(d.OnForeignChange)},
		{d.Watch.StartAnyway, "Watch.StartAnyway"},
		{d.Watch.IgnoreUnreadable, "Watch.IgnoreUnreadable"},
	} {
		if o.on {
			out = append(out, o.name)
		}
	}
	return out
}

// check lets the target look at the revision, if it can.
func (r *runner) check(ctx context.Context) ([]lifecycle.Note, error) {
	c, ok := r.d.Target.(target.Checker)
	if !ok || r.job.Bundle == nil {
		return nil, nil
	}
	return c.Check(ctx, r.job)
}

// begin writes the deployment's first record. From here on it exists.
func (r *runner) begin(ctx context.Context, plan strategy.Plan, notes []lifecycle.Note) (*strategy.State, error) {
	r.now = time.Now().UTC()
	st, first, err := strategy.Begin(plan, r.now)
	if err != nil {
		return nil, err
	}
	r.pending = append(r.pending[:0], first)
	for _, n := range notes {
		if err := r.add(st, noted(first.Step, n)); err != nil {
			return nil, err
		}
	}
	return st, r.flush(ctx, st)
}
