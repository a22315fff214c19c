package targettest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

var (
	errPanicked = errors.New("the target panicked")
	errBlocked  = errors.New("the target did not answer in time")
	errCause    = errors.New("targettest: cancelled to see what happens")
)

const deployment = "targettest-1"

// run is one rule being checked.
type run struct {
	*Harness
	ctx      context.Context
	cancel   context.CancelFunc
	lateNote atomic.Pointer[string]
}

func newRun(ctx context.Context, h *Harness) *run {
	full := *h
	if full.Patience <= 0 {
		full.Patience = 10 * time.Second
	}
	if full.Job == nil {
		full.Job = &target.Job{Application: "targettest", Group: "targettest"}
	}
	if len(full.Events) == 0 {
		full.Events = []lifecycle.Event{lifecycle.Start}
	}
	if full.Walk == nil {
		full.Walk = func(lifecycle.Unit) []lifecycle.Event { return full.Events }
	}
	if full.Close == nil {
		full.Close = func() {}
	}
	full.Close = sync.OnceFunc(full.Close)
	r := &run{Harness: &full}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// guard turns a panic into an error.
func (r *run) guard(f func(*run) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack())
		}
	}()
	return f(r)
}

// answer runs f in a goroutine of its own and waits for it, but not for ever.
func (r *run) answer(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- r.guard(func(*run) error { return f() }) }()
	patience := time.NewTimer(r.Patience)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		r.cancel() // it may listen to that at least
		return fmt.Errorf("%w: %s after %v", errBlocked, what, r.Patience)
	}
}

// aMoment is enough for a step to begin. Should it be too short on a machine that
// is busy, a check sees a step that has not begun, and a right target still passes.
func (r *run) aMoment() time.Duration { return min(100*time.Millisecond, r.Patience/10) }

func (r *run) moment() {
	timer := time.NewTimer(r.aMoment())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// broken tells a target that gives no answer from one that answers an error.
func broken(err error) bool { return errors.Is(err, errPanicked) || errors.Is(err, errBlocked) }

// units lists the units, which must be some.
func (r *run) units() (units []lifecycle.Unit, err error) {
	err = r.answer("Units", func() (err error) {
		units, err = r.Target.Units(r.ctx)
		return err
	})
	if err == nil && len(units) == 0 {
		err = errors.New("Units lists none: give the harness a target that has some")
	}
	if err != nil && !broken(err) {
		err = fmt.Errorf("Units: %w", err)
	}
	return units, err
}

func (r *run) step(unit string, e lifecycle.Event) lifecycle.Step {
	s := lifecycle.Step{Deployment: deployment, Unit: unit, Event: e}
	if e == lifecycle.AllowTraffic {
		s.Weight = target.Full
	}
	return s
}

// perform does a step with the run's own context.
func (r *run) perform(s lifecycle.Step) error { return r.performOn(r.ctx, r.Target, s) }

// performOn does a step and watches for notes that come too late.
func (r *run) performOn(ctx context.Context, to target.Target, s lifecycle.Step) error {
	var over atomic.Bool
	task := target.Task{Step: s, Job: r.Job, Note: func(n lifecycle.Note) {
		if over.Load() {
			text := fmt.Sprintf("Note(%q) after Perform of %s had returned", n.Text, s.Event)
			r.lateNote.Store(&text)
		}
	}}
	return r.answer("Perform of "+s.String(), func() error {
		defer over.Store(true)
		return to.Perform(ctx, task)
	})
}

// steps are what the harness offers to do on a unit, in order.
func (r *run) steps(u lifecycle.Unit) []lifecycle.Step {
	var steps []lifecycle.Step
	for _, e := range r.Walk(u) {
		steps = append(steps, r.step(u.ID, e))
	}
	return steps
}

// first is the first step on the first unit.
func (r *run) first() (lifecycle.Step, error) {
	units, err := r.units()
	if err != nil {
		return lifecycle.Step{}, err
	}
	return r.firstOf(units[0])
}

func (r *run) firstOf(u lifecycle.Unit) (lifecycle.Step, error) {
	steps := r.steps(u)
	if len(steps) == 0 {
		return lifecycle.Step{}, fmt.Errorf("Harness.Walk has no events for unit %s: name one that succeeds", u.ID)
	}
	return steps[0], nil
}

func (r *run) late() error {
	if text := r.lateNote.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}

// effects checks how often a step had its effect, where that can be known.
func (r *run) effects(s lifecycle.Step, want int) error {
	if r.Effects == nil {
		return nil
	}
	if got := r.Effects(s); got != want {
		return fmt.Errorf("%s had its effect %d times, not %d", s, got, want)
	}
	return nil
}
