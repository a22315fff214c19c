package cutover

import (
	"context"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// settle lets the target give back what it holds while deployments last, unless a
// rollback follows: then that does it. It is asked several times. What could not be
// given back is a note, since the deployment itself has ended as it has.
func (r *runner) settle(ctx context.Context, st *strategy.State, out strategy.Outcome) []lifecycle.Record {
	s, ok := r.d.Target.(target.Settler)
	if !ok || out.Rollback != "" {
		return nil
	}
	succeeded := out.Verdict == strategy.DeploymentSucceeded
	err := s.Settle(ctx, r.job, succeeded)
	for _, pause := range patience {
		if err == nil || failure(err).Code == lifecycle.Denied {
			break
		}
		select {
		case <-ctx.Done():
			return nil // abandoned: whoever resumes asks again
		case <-time.After(pause):
			err = s.Settle(ctx, r.job, succeeded)
		}
	}
	if err == nil {
		return nil
	}
	f := failure(err)
	here := lifecycle.Step{Deployment: st.Plan().Deployment}
	return []lifecycle.Record{noted(here, lifecycle.Note{Code: f.Code, Text: "the target could not give back what it held during the deployment: " + f.Message})}
}
