package targettest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func checkCancelledBefore(r *run) error {
	s, err := r.first()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	cancel(errCause)
	if err := isCause(r.performOn(ctx, r.Target, s)); err != nil {
		return err
	}
	return r.effects(s, 0)
}

func isCause(err error) error {
	switch {
	case broken(err):
		return err
	case err == nil:
		return errors.New("the step was cancelled and says that it succeeded")
	case !errors.Is(err, errCause):
		return fmt.Errorf("the step was cancelled and does not answer with context.Cause: %w", err)
	}
	return nil
}

// cancelled begins a slow step and cancels it.
func (r *run) cancelled() (lifecycle.Step, error) {
	if r.Slow == nil {
		return lifecycle.Step{}, leftOut("Slow")
	}
	s, err := r.first()
	if err != nil {
		return s, err
	}
	r.Slow(s)
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	err = r.cutShort(ctx, cancel, s)
	if errors.Is(err, errBlocked) {
		return s, fmt.Errorf("%s did not return within %v of being cancelled", s, r.Patience)
	}
	return s, isCause(err)
}

// cutShort does a step and cancels it a moment later.
func (r *run) cutShort(ctx context.Context, cancel context.CancelCauseFunc, s lifecycle.Step) error {
	stop := time.AfterFunc(r.aMoment(), func() { cancel(errCause) })
	defer stop.Stop()
	return r.performOn(ctx, r.Target, s)
}

func checkCancelledSoon(r *run) error {
	_, err := r.cancelled()
	return err
}

func checkCancelledAgain(r *run) error {
	s, err := r.cancelled()
	if err != nil {
		return err
	}
	job := *r.Job
	job.RerunInterrupted = true
	r.Job = &job
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	// The step may still be slow, so it is not waited for to the end.
	err = r.cutShort(ctx, cancel, s)
	if err == nil || errors.Is(err, errCause) || broken(err) {
		return onlyBroken(err)
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok && (e.Code == lifecycle.Interrupted || e.Code == lifecycle.Unknown) {
		return nil
	}
	return fmt.Errorf("%s was cancelled, and failed when it was asked for again: %w", s, err)
}

func onlyBroken(err error) error {
	if broken(err) {
		return err
	}
	return nil
}
