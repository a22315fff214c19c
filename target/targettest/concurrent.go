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
	slow := r.step(units[0].ID, r.Events[0])
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
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for i, u := range units {
		wg.Go(func() { errs[i] = r.perform(r.step(u.ID, r.Events[0])) })
	}
	wg.Wait()
	for i, err := range errs {
		if errors.Is(err, errBlocked) {
			return fmt.Errorf("%s on %s did not end within %v", r.Events[0], units[i].ID, r.Patience)
		}
		if err != nil {
			return err
		}
		if err := r.effects(r.step(units[i].ID, r.Events[0]), 1); err != nil {
			return err
		}
	}
	return nil
}
