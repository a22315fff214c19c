package cutover

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// provision lets the target make n replacements, and stops trying when ctx ends. What
// it has made by then is returned beside an error, so that it can be removed again;
// it may be asked for that until whole ends.
func (r *runner) provision(ctx, whole context.Context, step lifecycle.Step, n int, note func(lifecycle.Note)) (units []lifecycle.Unit, err error) {
	pool, ok := r.d.Target.(target.Pool)
	if !ok {
		return nil, &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.Unsupported,
			Message: "the plan has the target make replacements, and the target of the Deployment that resumes it cannot"}}
	}
	narrator, tells := pool.(target.Narrator)
	err = r.insist(ctx, func() (err error) {
		if tells {
			units, err = narrator.ProvisionNoting(ctx, step.Deployment, n, note)
		} else {
			units, err = pool.Provision(ctx, step.Deployment, n)
		}
		return err
	})
	if err != nil && len(units) == 0 && whole.Err() == nil {
		units, _ = pool.Provision(whole, step.Deployment, 0) // its own error says no more than the first
	}
	return units, err
}

// made turns the end of provisioning into its record. It happens in the loop, which
// knows what units there are.
func made(st *strategy.State, e event) (lifecycle.Record, error) {
	rec := lifecycle.Record{Kind: lifecycle.Ended, Step: e.step, Failure: failure(e.err)}
	var units []lifecycle.Unit
	ids := map[string]bool{}
	made, _ := e.news.([]lifecycle.Unit)
	for _, u := range made {
		if u.ID == "" || ids[u.ID] || st.Knows(u.ID) {
			rec.Failure = cmp.Or(rec.Failure, &lifecycle.Failure{Code: lifecycle.TargetFailed,
				Message: fmt.Sprintf("the target says that it has made %q, which has no name, or is twice, or was there before; nothing of that name is removed", u.ID)})
			continue
		}
		ids[u.ID] = true
		units = append(units, lifecycle.Unit{ID: u.ID, Zone: u.Zone, Role: lifecycle.ReplacementRole})
	}
	if want := st.Plan().Provision; rec.Failure == nil && len(units) != want {
		rec.Failure = &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: fmt.Sprintf("%d replacements were made, and %d are needed", len(units), want)}
	}
	if len(units) == 0 {
		return rec, nil
	}
	data, err := json.Marshal(units)
	if err != nil {
		return rec, fmt.Errorf("writing the replacements: %w", err)
	}
	rec.Data = data
	return rec, nil
}

// unused leaves out replacements that were made for earlier deployments, which did not
// succeed: nobody knows what is on them. It also returns those that the target still lists.
func unused(units []lifecycle.Unit, leftover []string) (useful []lifecycle.Unit, left []string) {
	useful = slices.DeleteFunc(slices.Clone(units), func(u lifecycle.Unit) bool {
		old := u.Role == lifecycle.ReplacementRole && slices.Contains(leftover, u.ID)
		if old {
			left = append(left, u.ID)
		}
		return old
	})
	return useful, left
}

// leftNote says what a deployment that is over leaves behind; nil: nothing.
func leftNote(st *strategy.State, v strategy.Verdict) *lifecycle.Note {
	good := v == strategy.DeploymentSucceeded
	ids := st.Leftover(good)
	if len(ids) == 0 || good && st.Plan().RollbackOf == "" { // the plan has told what earlier ones left
		return nil
	}
	return &lifecycle.Note{Text: fmt.Sprintf("%d replacements that were made for deployments of this group are left, and later ones do not use them; retire them when nobody needs them: %s",
		len(ids), strings.Join(ids, ", "))}
}
