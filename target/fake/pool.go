package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Provision implements [target.Pool]. It makes n hosts with the role of a
// replacement, numbered on, out of traffic. Asked again for the same deployment it
// returns the same hosts, and makes what is missing to n. Faults for the event Provision
// hit it; what was made before a fault stays.
//
// The first call for another deployment says how the last one went: hosts that have
// traffic are the originals now. Replacements that have none are no longer listed;
// they exist until [Fleet.Retire].
func (f *Fleet) Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	t := target.Task{Step: lifecycle.Step{Deployment: deployment, Event: lifecycle.Provision}}
	var hit fault
	if n > 0 {
		for _, one := range f.faults(t.Step) {
			if err := one.before(ctx, t); err != nil {
				return nil, err
			}
			hit.merge(one)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.balancer == nil {
		return nil, fmt.Errorf("fake: provisioning for %s: the fleet has no balancer: call Balance", deployment)
	}
	if f.batches[deployment] == nil && n > 0 {
		f.promote()
	}
	switch {
	case hit.throttle.take():
		return nil, failure(t.Step, lifecycle.Throttled, "too many requests")
	case hit.fail != nil:
		f.make(deployment, n/2)
		return slices.Clone(f.batches[deployment]), &lifecycle.Error{Step: t.Step, Failure: *hit.fail}
	}
	f.make(deployment, n)
	if hit.loseReply {
		return nil, failure(t.Step, lifecycle.Unknown, "the reply was lost: the hosts may have been made")
	}
	return slices.Clone(f.batches[deployment]), nil
}

func (f *Fleet) faults(s lifecycle.Step) []fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.match(s)
}

// make makes what a deployment's hosts lack to n.
func (f *Fleet) make(deployment string, n int) {
	more := n - len(f.batches[deployment])
	if more <= 0 {
		return
	}
	made := f.number(more, lifecycle.ReplacementRole)
	f.batches[deployment] = append(f.batches[deployment], made...)
	f.units = append(f.units, made...)
	for _, u := range made {
		f.ids[u.ID] = true
		f.balancer.begin(u.ID, 0)
	}
}

// Promote does what an operator does when a deployment has ended and its originals are
// still there: hosts that have traffic are the originals now, and replacements that
// have none are no longer listed.
func (f *Fleet) Promote() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.promote()
}

// promote makes originals of what serves, and leaves other replacements out.
func (f *Fleet) promote() {
	f.units = slices.DeleteFunc(f.units, func(u lifecycle.Unit) bool {
		return u.Role == lifecycle.ReplacementRole && f.balancer.now(u.ID) == 0
	})
	for i := range f.units {
		f.units[i].Role = lifecycle.OriginalRole
	}
}

// Retire implements [target.Pool]; so does a step of that event. A host that has
// traffic is not retired.
func (f *Fleet) Retire(ctx context.Context, unit string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remove(unit)
}

func (f *Fleet) remove(unit string) error {
	if f.balancer != nil {
		if w := f.balancer.now(unit); w > 0 {
			return fmt.Errorf("%s has %d %% of its traffic: block it before it is retired", unit, w)
		}
		f.balancer.forget(unit)
	}
	f.units = slices.DeleteFunc(f.units, func(u lifecycle.Unit) bool { return u.ID == unit })
	delete(f.ids, unit)
	original := func(u lifecycle.Unit) bool { return u.Role == lifecycle.OriginalRole }
	if f.balancer != nil && !slices.ContainsFunc(f.units, original) {
		f.promote()
	}
	return nil
}
