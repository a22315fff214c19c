package cutover

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// load folds a deployment's records.
func (r *runner) load(ctx context.Context, id string) (*strategy.State, error) {
	st := &strategy.State{}
	for rec, err := range r.read.Records(ctx, id, 1) {
		if err != nil {
			return nil, err
		}
		if err := st.Apply(rec); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
	}
	return st, nil
}

// unfinished finds what to resume: the deployment id, or the group's last one if it
// has not ended. For a rollback it is the deployment that is rolled back.
func (r *runner) unfinished(ctx context.Context, id string) (*strategy.State, error) {
	ids, err := r.read.Deployments(ctx)
	if err != nil {
		return nil, err
	}
	named := id != ""
	if !named {
		if len(ids) == 0 {
			return nil, ErrNothingToResume
		}
		id = ids[len(ids)-1]
	}
	st, err := r.load(ctx, id)
	if err != nil {
		return nil, err
	}
	o, _ := st.Outcome()
	if !named && o != nil && o.Rollback == "" {
		return nil, ErrNothingToResume
	}
	if parent := st.Plan().RollbackOf; parent != "" {
		return r.load(ctx, parent)
	}
	return st, nil
}

// reopen makes the revision of a recorded deployment available again. What the
// units retain is enough where its source is gone; content that has changed is
// never used. A source that may answer later is waited for by whoever resumes, but
// for a rollback: there what units retain goes back now.
func (r *runner) reopen(ctx context.Context, st *strategy.State) error {
	plan := st.Plan()
	if len(r.d.Watch.Alarms) > 0 && r.latch == nil && plan.RollbackOf == "" {
		r.alarms = r.d.Watch.Reader()
		r.latch, _ = rollback.NewLatch(r.d.Watch, nil) // without readings there is nothing to refuse
	}
	r.job = r.newJob(plan.Revision, nil, plan.LastGood)
	r.job.Rollback, r.job.RollbackOf, r.job.BlueGreen = plan.RollbackOf != "", plan.RollbackOf, byTraffic(plan)
	r.job.Before = (*target.Snapshot)(plan.Before)
	if plan.Revision.Digest == "" {
		return nil // traffic goes back to what nobody here has deployed
	}
	bundle, err := r.recorded(ctx, plan)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && plan.RollbackOf == "" && mendable(err):
		return fmt.Errorf("the revision cannot be had now; mend that and resume again, or give it as Revision: %w", err)
	case err != nil:
		return r.noteSource(ctx, st, err.Failure.Message)
	}
	r.job.Bundle = bundle
	return nil
}

func (r *runner) noteSource(ctx context.Context, st *strategy.State, why string) error {
	return r.append(ctx, st, noted(lifecycle.Step{Deployment: st.Plan().Deployment}, lifecycle.Note{
		Code: lifecycle.RevisionUnavailable,
		Text: fmt.Sprintf("the revision %s is not available (%s); only units that have retained it can deploy it", st.Plan().Revision, why),
	}))
}
