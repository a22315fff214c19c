package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Provision implements [target.Pool]. It makes n hosts with the role of a
// replacement, numbered on, out of traffic. Asked again for the same deployment it
// returns the same hosts, and makes what is missing to n.
//
// The first call for another deployment says how the last one went: hosts that have
// traffic are the originals now. Replacements that have none are no longer listed;
// they exist until [Fleet.Retire].
func (f *Fleet) Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.balancer == nil {
		return nil, fmt.Errorf("fake: provisioning for %s: the fleet has no balancer: call Balance", deployment)
	}
	if f.batches[deployment] == nil {
		f.promote()
	}
	if more := n - len(f.batches[deployment]); more > 0 {
		made := f.number(more, lifecycle.ReplacementRole)
		f.batches[deployment] = append(f.batches[deployment], made...)
		f.units = append(f.units, made...)
		for _, u := range made {
			f.ids[u.ID] = true
			f.balancer.begin(u.ID, 0)
		}
	}
	return slices.Clone(f.batches[deployment]), nil
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
	return nil
}
