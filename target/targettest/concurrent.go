package targettest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

func checkConcurrent(r *run) error {
	units, err := r.units()
	if err != nil {
		return err
	}
	if len(units) < 2 {
		return fmt.Errorf("the target has only one unit: %w", errLeftOut)
	}
	if r.Slow == nil {
		return r.allAtOnce(units)
	}
	slow, err := r.firstOf(units[0])
	if err != nil {
		return err
	}
	r.Slow(slow)
	ctx, cancel := context.WithCancelCause(r.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { // not bounded by Patience: it is meant to be there all the time
		_ = r.guard(func(*run) error { return r.Target.Perform(ctx, target.Task{Step: slow, Job: r.Job}) })
	})
	defer func() {
		cancel(errCause)
		_ = r.answer("a cancelled step", func() error { wg.Wait(); return nil }) // cancelling has rules of its own
	}()
	r.moment()
	if err := r.allAtOnce(units[1:]); err != nil {
		return fmt.Errorf("while a step of %s was slow: %w", units[0].ID, err)
	}
	return nil
}

func (r *run) allAtOnce(units []lifecycle.Unit) error {
	steps, errs := make([]lifecycle.Step, len(units)), make([]error, len(units))
	var wg sync.WaitGroup
	for i, u := range units {
		if steps[i], errs[i] = r.firstOf(u); errs[i] == nil {
			wg.Go(func() { errs[i] = r.perform(steps[i]) })
		}
	}
	wg.Wait()
	for i, err := range errs {
		if errors.Is(err, errBlocked) {
			return fmt.Errorf("%s on %s did not end within %v", steps[i].Event, steps[i].Unit, r.Patience)
		}
		if err != nil {
			return err
		}
		if err := r.effects(steps[i], 1); err != nil {
			return err
		}
	}
	return nil
}
