package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
)

// finish decides on a rollback and writes the last record. The rollback's id is in
// it, so that a crash right after it does not lose the decision.
func (r *runner) finish(ctx context.Context, st *strategy.State, end *strategy.End) error {
	out := strategy.Outcome{Verdict: end.Verdict}
	here := lifecycle.Step{Deployment: st.Plan().Deployment}
	var records []lifecycle.Record
	if end.Verdict != strategy.DeploymentSucceeded {
		to, note := r.policy(st).Decide(ending(st, end.Verdict))
		switch {
		case to != nil:
			out.Rollback = newID()
			if _, err := r.planRollback(ctx, st, out.Rollback); refused(err) {
				out.Rollback = ""
				records = append(records, noted(here, lifecycle.Note{Code: lifecycle.RollbackFailed, Text: "cannot be rolled back: " + err.Error()}))
			}
		case note != nil:
			records = append(records, noted(here, *note))
		}
	}
	if note := leftNote(st, end.Verdict); note != nil && out.Rollback == "" {
		records = append(records, noted(here, *note))
	}
	records = append(records, r.settle(ctx, st, out)...)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: abandoned, it can be resumed: %w", here.Deployment, context.Cause(ctx))
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("%s: writing the outcome: %w", here.Deployment, err)
	}
	records = append(records, lifecycle.Record{Kind: lifecycle.Finished, Step: here, Failure: end.Failure, Data: data})
	return r.append(ctx, st, records...)
}

func (r *runner) policy(st *strategy.State) rollback.Policy {
	p := r.d.Rollback
	if stop := st.Stop(); stop != nil {
		p.OnStop = p.OnStop || stop.Rollback
	}
	return p
}

func ending(st *strategy.State, v strategy.Verdict) rollback.Ending {
	plan := st.Plan()
	stop := st.Stop()
	return rollback.Ending{
		Stopped: v == strategy.DeploymentStopped, Alarm: stop != nil && stop.Code == lifecycle.AlarmActive, IsRollback: plan.RollbackOf != "",
		Revision: plan.Revision, LastGood: plan.LastGood, Touched: len(st.Touched()) + len(st.Provisioned()),
		ByTraffic: byTraffic(plan),
	}
}

// conclude turns a deployment that has ended into its result, and carries out the
// rollback that it was promised, as far as that has not been done.
func (r *runner) conclude(ctx context.Context, st *strategy.State) (*Result, error) {
	res := newResult(st)
	out, _ := st.Outcome()
	if out.Rollback == "" {
		return res, nil
	}
	r.latch = nil // what the alarms say of the bad revision must not stop the way back
	r.gates = gatekeeper{off: true}
	back, err := r.load(ctx, out.Rollback)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		back, err = r.beginRollback(ctx, st, out.Rollback)
	case err == nil:
		err = r.reopen(ctx, back)
	}
	if err == nil {
		if o, _ := back.Outcome(); o == nil {
			err = r.drive(ctx, back)
		}
	}
	if err != nil {
		return res, fmt.Errorf("rolling back %s: %w", st.Plan().Deployment, err)
	}
	res.Rollback = newResult(back)
	return res, nil
}

// refused reports whether planning ended with a decision, not with an accident: units
// that could not be listed, or a panic. What an accident leaves open stays promised.
func refused(err error) bool {
	_, accident := errors.AsType[unlisted](err)
	e, decision := errors.AsType[*lifecycle.Error](err)
	return decision && !accident && e.Code != lifecycle.Panicked
}

// planRollback plans the rollback of st as deployment id.
func (r *runner) planRollback(ctx context.Context, st *strategy.State, id string) (strategy.Plan, error) {
	good := st.Plan().LastGood
	if good == nil && byTraffic(st.Plan()) {
		good = &revision.Revision{} // whatever the originals run
	}
	if good == nil {
		return strategy.Plan{}, errors.New("the journal promises a rollback and names no revision to go back to")
	}
	in := strategy.Input{
		Deployment: id, Revision: *good, Overrides: r.d.overrides(),
		RollbackOf: st.Plan().Deployment, Touched: st.Touched(), First: r.onRollback(),
		Before: st.Plan().Before, Weights: st.Weights(), Provisioned: st.Provisioned(),
	}
	var plan strategy.Plan
	err := guard("planning the rollback", func() (err error) {
		plan, err = r.plan(ctx, in, st.Standing())
		return err
	})
	return plan, err
}

// beginRollback writes down that the rollback of st begins, as deployment id.
func (r *runner) beginRollback(ctx context.Context, st *strategy.State, id string) (*strategy.State, error) {
	plan, err := r.planRollback(ctx, st, id)
	if err != nil {
		return nil, err
	}
	back, err := r.begin(ctx, plan, nil)
	if err != nil {
		return nil, err
	}
	return back, r.reopen(ctx, back)
}

func (r *runner) onRollback() lifecycle.Event {
	if r.d.OnRollback == nil {
		return ""
	}
	return lifecycle.BeforeRollback
}
