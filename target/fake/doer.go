package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// world is what steps happen to: hosts, a service, an alias. Its methods are
// called with the doer's lock held.
type world interface {
	// missing says why the unit is not there; empty: it is.
	missing(unit string) string
	// effect changes what the step changes. Reads of weights that it changes lag
	// behind by stale.
	effect(t target.Task, stale time.Duration) error
	// has is the traffic that the unit has now; false: there is nothing to have.
	has(unit string) (lifecycle.Weight, bool)
}

// doer is what the targets of this package have in common. It knows steps by their
// key and does them once, lets faults happen, and writes down what was asked.
type doer struct {
	mu       sync.Mutex
	world    world
	lost     map[string]string // unit: why it cannot be reached
	sick     map[string]bool
	outcomes map[string]error // step key: how it ended
	running  map[string]chan struct{}
	rules    []*rule
	random   *random
	calls    []Call
}

func (d *doer) init(w world) {
	d.world = w
	d.lost, d.sick = map[string]string{}, map[string]bool{}
	d.outcomes, d.running = map[string]error{}, map[string]chan struct{}{}
}

// Call is one call of Perform.
type Call struct {
	Step lifecycle.Step
	At   time.Time     // when it came
	Took time.Duration // until it was answered
	Open bool          // not answered yet

	// Did says that the call had its effect: the step was done by it. A lost reply
	// has Did and an Err; a repeated call that was answered from memory has
	// neither.
	Did bool
	Err error // what was answered
}

// Calls returns what was asked so far, in the order in which it came.
func (d *doer) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// Done returns the steps that had their effect, in the order in which they were
// asked for. A step that is in it twice was done twice.
func (d *doer) Done() []lifecycle.Step {
	var steps []lifecycle.Step
	for _, c := range d.Calls() {
		if c.Did {
			steps = append(steps, c.Step)
		}
	}
	return steps
}

// Revive brings a vanished unit back.
func (d *doer) Revive(unit string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lost, unit)
}

// SetHealth says whether the unit passes the health checks of what sends it its
// traffic. All do at first. One that does not is given no traffic: AllowTraffic
// fails. Traffic that it has already is not taken away.
func (d *doer) SetHealth(unit string, healthy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sick[unit] = !healthy
}

// Perform implements [target.Target].
func (d *doer) Perform(ctx context.Context, t target.Task) error {
	start := time.Now()
	d.mu.Lock()
	n := len(d.calls)
	d.calls = append(d.calls, Call{Step: t.Step, At: start, Open: true})
	d.mu.Unlock()

	did, err := false, fmt.Errorf("fake: panicked in %s", t.Step)
	defer func() { // also when a fault panics
		d.mu.Lock()
		defer d.mu.Unlock()
		c := &d.calls[n]
		c.Open, c.Took, c.Did, c.Err = false, time.Since(start), did, err
	}()
	did, err = d.perform(ctx, t)
	return err
}

func (d *doer) perform(ctx context.Context, t target.Task) (did bool, err error) {
	faults, release, outcome, err := d.admit(ctx, t.Step)
	if err != nil {
		return false, err
	}
	if release == nil {
		return false, outcome
	}
	defer release()
	var hit fault
	for _, one := range faults {
		if err := one.before(ctx, t); err != nil {
			return false, err
		}
		hit.merge(one)
	}
	return d.finish(t, hit)
}

// admit waits for a call with the same key to end, and answers from memory if
// the step has ended. Otherwise the caller is to do it and then to release.
func (d *doer) admit(ctx context.Context, s lifecycle.Step) (faults []fault, release func(), outcome, err error) {
	key := s.Key()
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, nil, err
		}
		d.mu.Lock()
		if err := d.reachable(s); err != nil {
			d.mu.Unlock()
			return nil, nil, nil, err
		}
		if outcome, ended := d.outcomes[key]; ended {
			d.mu.Unlock()
			return nil, nil, outcome, nil
		}
		busy := d.running[key]
		if busy == nil {
			break
		}
		d.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, nil, nil, context.Cause(ctx)
		}
	}
	defer d.mu.Unlock()
	done := make(chan struct{})
	d.running[key] = done
	return d.match(s), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.running, key)
		close(done)
	}, nil, nil
}

// reachable refuses steps of units that are not there. That a unit was retired is
// still known when it is gone; of a host it is true whoever did it.
func (d *doer) reachable(s lifecycle.Step) error {
	why := d.lost[s.Unit]
	if why == "" {
		why = d.world.missing(s.Unit)
		_, host := d.world.(*Fleet)
		outcome, ended := d.outcomes[s.Key()]
		if s.Event == lifecycle.Retire && (host || ended && outcome == nil) {
			why = ""
		}
	}
	if why == "" {
		return nil
	}
	return failure(s, lifecycle.UnitLost, why)
}

// finish ends the step as the faults say.
func (d *doer) finish(t target.Task, hit fault) (did bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, key := t.Step, t.Step.Key()
	switch {
	case hit.throttle.take():
		return false, failure(s, lifecycle.Throttled, "throttled: too many requests, try again later")
	case hit.vanish:
		d.lost[s.Unit] = "the unit vanished"
		return false, d.reachable(s)
	case hit.interrupt && (t.Job == nil || !t.Job.RerunInterrupted):
		d.outcomes[key] = failure(s, lifecycle.Interrupted, "the unit died in the middle of the step")
		return false, d.outcomes[key]
	case hit.fail != nil:
		d.outcomes[key] = &lifecycle.Error{Step: s, Failure: *hit.fail}
		return false, d.outcomes[key]
	}
	if err := d.effect(t, hit.stale); err != nil {
		if e, ok := errors.AsType[*lifecycle.Error](err); !ok || e.Code != lifecycle.ExternalChange && e.Code != lifecycle.TrafficUnhealthy {
			d.outcomes[key] = err // else nothing was done, and the step may come again
		}
		return false, err
	}
	d.outcomes[key] = nil
	if hit.loseReply {
		return true, failure(s, lifecycle.Unknown, "the reply was lost: the step may have been done")
	}
	return true, nil
}

func (d *doer) effect(t target.Task, stale time.Duration) error {
	if t.Step.Event == lifecycle.AllowTraffic && d.sick[t.Step.Unit] {
		return failure(t.Step, lifecycle.TrafficUnhealthy, "the unit does not pass its health checks: it is given no traffic")
	}
	done, err := d.compare(t)
	if done || err != nil {
		return err
	}
	return d.world.effect(t, stale)
}

// compare looks whether somebody else has changed the traffic of the unit, and reports
// whether the step is done by leaving it so.
func (d *doer) compare(t target.Task) (done bool, err error) {
	if e := t.Step.Event; t.Expect == nil || e != lifecycle.AllowTraffic && e != lifecycle.BlockTraffic {
		return false, nil
	}
	found, ok := d.world.has(t.Step.Unit)
	want := weightOf(t.Step)
	if !ok || found == *t.Expect || found == want {
		return false, nil
	}
	why := fmt.Sprintf("somebody else has changed the traffic of %s: it should have %d %% and has %d %%", t.Step.Unit, *t.Expect, found)
	note := func(what string) {
		if t.Note != nil {
			t.Note(lifecycle.Note{Code: lifecycle.ExternalChange, Text: why + "; " + what})
		}
	}
	switch {
	case t.Foreign == target.OverwriteForeign:
		note(fmt.Sprintf("overwritten with %d %%", want))
		return false, nil
	case t.Foreign != target.AdoptForeign:
		return false, failure(t.Step, lifecycle.ExternalChange, why)
	case found > want:
		note("adopted")
		return true, nil
	default:
		note(fmt.Sprintf("adopted, and goes on to %d %%", want))
		return false, nil
	}
}

// weightOf is the traffic that a unit has after the step.
func weightOf(s lifecycle.Step) lifecycle.Weight {
	switch {
	case s.Event == lifecycle.BlockTraffic:
		return 0
	case s.Weight == 0:
		return target.Full
	default:
		return s.Weight
	}
}

func failure(s lifecycle.Step, code lifecycle.Code, message string) error {
	return &lifecycle.Error{Step: s, Failure: lifecycle.Failure{Code: code, Message: message}}
}
