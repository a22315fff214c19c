package targettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// checkHealth deploys to a unit that is not healthy. One of its steps has to fail,
// or to wait for its health until it is cancelled.
func checkHealth(r *run) error {
	if r.Sick == nil {
		return leftOut("Sick")
	}
	units, err := r.units()
	if err != nil {
		return err
	}
	u := units[len(units)-1]
	r.Sick(u.ID)
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	stop := time.AfterFunc(r.Patience/2, func() { cancel(errCause) })
	defer stop.Stop()
	for _, s := range r.steps(u) {
		if err := r.performOn(ctx, r.Target, s); err != nil {
			return onlyBroken(err)
		}
	}
	return fmt.Errorf("every step of %s succeeded, and the unit is not healthy", u.ID)
}

// provision makes replacements for the suite's deployment.
func (r *run) provision(n int) (ids []string, err error) {
	err = r.answer("Provision", func() error {
		units, err := r.Pool.Provision(r.ctx, deployment, n)
		for _, u := range units {
			ids = append(ids, u.ID)
			if u.Role != lifecycle.ReplacementRole {
				return errors.Join(err, fmt.Errorf("unit %s has the role %q, not that of a replacement", u.ID, u.Role))
			}
		}
		return err
	})
	if err != nil {
		return nil, onlyOr(err, "Provision of %d", n)
	}
	if slices.Sort(ids); len(ids) != n || len(slices.Compact(slices.Clone(ids))) != n {
		return nil, fmt.Errorf("Provision of %d returned %q", n, ids)
	}
	return ids, nil
}

// listed tells which of the ids Units lists.
func (r *run) listed(ids []string) (some []string, err error) {
	units, err := r.units()
	if err != nil {
		return nil, err
	}
	for _, u := range units {
		if slices.Contains(ids, u.ID) {
			some = append(some, u.ID)
		}
	}
	slices.Sort(some)
	return some, nil
}

func checkProvision(r *run) error {
	if r.Pool == nil {
		return leftOut("Pool")
	}
	first, err := r.provision(2)
	if err != nil {
		return err
	}
	again, err := r.provision(2)
	if err != nil {
		return err
	}
	if !slices.Equal(first, again) {
		return fmt.Errorf("Provision returned %q, and for the same deployment then %q", first, again)
	}
	some, err := r.listed(first)
	switch {
	case err != nil:
		return err
	case !slices.Equal(some, first):
		return fmt.Errorf("Provision made %q, of which Units lists %q", first, some)
	}
	return r.lists(first)
}

// lists asks for no replacements, to learn which there are.
func (r *run) lists(want []string) error {
	var units []lifecycle.Unit
	err := r.answer("Provision", func() (err error) {
		units, err = r.Pool.Provision(r.ctx, deployment, 0)
		return err
	})
	if err != nil {
		return onlyOr(err, "Provision of none")
	}
	got := ids(units)
	if slices.Sort(got); !slices.Equal(got, want) {
		return fmt.Errorf("Provision made %q, and asked for none it returned %q", want, got)
	}
	return nil
}

func checkRetire(r *run) error {
	if r.Pool == nil {
		return leftOut("Pool")
	}
	made, err := r.provision(1)
	if err != nil {
		return err
	}
	for range 2 {
		if err := r.answer("Retire", func() error { return r.Pool.Retire(r.ctx, made[0]) }); err != nil {
			return onlyOr(err, "Retire(%s)", made[0])
		}
	}
	some, err := r.listed(made)
	if err == nil && len(some) > 0 {
		err = fmt.Errorf("%s was retired, and Units lists it", made[0])
	}
	return err
}
