package cutover

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// Result is how a deployment ended.
type Result struct {
	Deployment string
	Status     strategy.Verdict
	Revision   revision.Revision
	Units      []UnitResult       // the whole group, in the order of the plan
	Failure    *lifecycle.Failure // nil on success
	// Rollback is how the rollback ended that followed; nil: there was none.
	Rollback *Result
}

// UnitResult is how a deployment left one unit.
type UnitResult struct {
	Unit    string
	Status  strategy.Status
	Event   lifecycle.Event    // the last event begun; empty: none
	Failure *lifecycle.Failure // why it failed or was skipped; nil: it did not, or was not started
	// Revision is the digest of what the unit is known to run; empty: unknown.
	Revision string
}

// Err returns nil if the deployment succeeded, else a [*lifecycle.Error] that says
// why not, and what became of the rollback.
func (r *Result) Err() error {
	if r.Status == strategy.DeploymentSucceeded {
		return nil
	}
	e := &lifecycle.Error{Step: lifecycle.Step{Deployment: r.Deployment}}
	if r.Failure != nil {
		e.Failure = *r.Failure
	}
	if r.Rollback != nil {
		to := r.Rollback.Revision.String()
		if r.Rollback.Revision.Digest == "" {
			to = "what served before"
		}
		e.Message += fmt.Sprintf("; rolled back by %s to %s: %s", r.Rollback.Deployment, to, r.Rollback.Status)
	}
	return e
}

func newResult(st *strategy.State) *Result {
	plan := st.Plan()
	out, failure := st.Outcome()
	res := &Result{Deployment: plan.Deployment, Status: out.Verdict, Revision: plan.Revision, Failure: failure}
	res.Units = make([]UnitResult, 0, len(plan.Units))
	for u, left := range st.Each() {
		status := u.Status
		if status == strategy.Pending {
			status = strategy.Skipped
		}
		res.Units = append(res.Units, UnitResult{
			Unit: u.ID, Status: status, Event: u.Event, Failure: u.Failure, Revision: left.Revision,
		})
	}
	return res
}
