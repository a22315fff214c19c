package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Fleet is a [target.Target] of hosts that exist in memory only. Every step
// succeeds at once unless a fault says otherwise. All methods may be called from
// many goroutines, faults may be added while a deployment runs, and a Fleet
// starts no goroutine of its own.
//
// It remembers outcomes by step key as a real host does, so the same Fleet can be
// given to one controller after another, to see what they do after a crash.
type Fleet struct {
	mu       sync.Mutex
	units    []lifecycle.Unit
	ids      map[string]bool
	lost     map[string]string // unit: why
	revision map[string]string // unit: digest of what Install put there
	outcomes map[string]error  // step key: how it ended
	running  map[string]chan struct{}
	rules    []*rule
	random   *random
	balancer *Balancer
	calls    []Call
}

var (
	_ target.Target   = (*Fleet)(nil)
	_ target.Balanced = (*Fleet)(nil)
)

// Call is one call of [Fleet.Perform].
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

// NewFleet makes n hosts called host-1, host-2 and so on, without zones.
func NewFleet(n int) *Fleet {
	units := make([]lifecycle.Unit, n)
	for i := range units {
		units[i].ID = fmt.Sprintf("host-%d", i+1)
	}
	return FleetOf(units...)
}

// FleetOf makes a host for every unit. Ids that occur twice stay so: a target
// with a defect can be wanted.
func FleetOf(units ...lifecycle.Unit) *Fleet {
	f := &Fleet{
		lost:     map[string]string{},
		revision: map[string]string{},
		outcomes: map[string]error{},
		running:  map[string]chan struct{}{},
	}
	f.SetUnits(units...)
	return f
}

// Balance puts the hosts behind b, and returns the fleet. Without it the fleet is
// not balanced and refuses traffic events.
func (f *Fleet) Balance(b *Balancer) *Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.balancer = b
	return f
}

// Balanced implements [target.Balanced].
func (f *Fleet) Balanced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.balancer != nil
}

// Units implements [target.Target]. Vanished hosts are listed as lost.
func (f *Fleet) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	units := slices.Clone(f.units)
	for i := range units {
		if why := f.lost[units[i].ID]; why != "" {
			units[i].Lost = why
		}
	}
	return units, nil
}

// SetUnits replaces the list of hosts, for hosts that join or leave. What is known
// about a host by its id stays known.
func (f *Fleet) SetUnits(units ...lifecycle.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units = slices.Clone(units)
	f.ids = make(map[string]bool, len(units))
	for _, u := range units {
		f.ids[u.ID] = true
	}
}

// Revive brings a vanished host back.
func (f *Fleet) Revive(unit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.lost, unit)
}

// Revision returns the digest of the revision that the last successful Install
// put on the host; empty: none.
func (f *Fleet) Revision(unit string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision[unit]
}

// Calls returns what was asked so far, in the order in which it came.
func (f *Fleet) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Done returns the steps that had their effect, in the order in which they were
// asked for. A step that is in it twice was done twice.
func (f *Fleet) Done() []lifecycle.Step {
	var steps []lifecycle.Step
	for _, c := range f.Calls() {
		if c.Did {
			steps = append(steps, c.Step)
		}
	}
	return steps
}

// Perform implements [target.Target].
func (f *Fleet) Perform(ctx context.Context, t target.Task) error {
	start := time.Now()
	f.mu.Lock()
	n := len(f.calls)
	f.calls = append(f.calls, Call{Step: t.Step, At: start, Open: true})
	f.mu.Unlock()

	did, err := false, fmt.Errorf("fake: panicked in %s", t.Step)
	defer func() { // also when a fault panics
		f.mu.Lock()
		defer f.mu.Unlock()
		c := &f.calls[n]
		c.Open, c.Took, c.Did, c.Err = false, time.Since(start), did, err
	}()
	did, err = f.perform(ctx, t)
	return err
}

func (f *Fleet) perform(ctx context.Context, t target.Task) (did bool, err error) {
	faults, release, outcome, err := f.admit(ctx, t.Step)
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
	return f.finish(t, hit)
}

// admit waits for a call with the same key to end, and answers from memory if
// the step has ended. Otherwise the caller is to do it and then to release.
func (f *Fleet) admit(ctx context.Context, s lifecycle.Step) (faults []fault, release func(), outcome, err error) {
	key := s.Key()
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, nil, err
		}
		f.mu.Lock()
		if err := f.reachable(s); err != nil {
			f.mu.Unlock()
			return nil, nil, nil, err
		}
		if outcome, ended := f.outcomes[key]; ended {
			f.mu.Unlock()
			return nil, nil, outcome, nil
		}
		busy := f.running[key]
		if busy == nil {
			break
		}
		f.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, nil, nil, context.Cause(ctx)
		}
	}
	defer f.mu.Unlock()
	done := make(chan struct{})
	f.running[key] = done
	return f.match(s), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.running, key)
		close(done)
	}, nil, nil
}

func (f *Fleet) reachable(s lifecycle.Step) error {
	if why := f.lost[s.Unit]; why != "" {
		return failure(s, lifecycle.Failure{Code: lifecycle.UnitLost, Message: why})
	}
	if !f.ids[s.Unit] {
		return failure(s, lifecycle.Failure{Code: lifecycle.UnitLost, Message: "the fake fleet has no host of that name"})
	}
	return nil
}

// finish ends the step as the faults say.
func (f *Fleet) finish(t target.Task, hit fault) (did bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := t.Step.Key()
	switch {
	case hit.vanish:
		f.lost[t.Step.Unit] = "the host vanished"
		return false, f.reachable(t.Step)
	case hit.interrupt && (t.Job == nil || !t.Job.RerunInterrupted):
		f.outcomes[key] = failure(t.Step, lifecycle.Failure{Code: lifecycle.Interrupted,
			Message: "the host died in the middle of the step"})
		return false, f.outcomes[key]
	case hit.fail != nil:
		f.outcomes[key] = failure(t.Step, *hit.fail)
		return false, f.outcomes[key]
	}
	if err := f.effect(t); err != nil {
		f.outcomes[key] = err
		return false, err
	}
	f.outcomes[key] = nil
	if hit.loseReply {
		return true, failure(t.Step, lifecycle.Failure{Code: lifecycle.Unknown,
			Message: "the reply was lost: the step may have been done"})
	}
	return true, nil
}

// effect is what a step changes in this world.
func (f *Fleet) effect(t target.Task) error {
	switch t.Step.Event {
	case lifecycle.Install:
		if t.Job != nil {
			f.revision[t.Step.Unit] = t.Job.Revision.Digest
		}
	case lifecycle.BlockTraffic, lifecycle.AllowTraffic:
		if f.balancer == nil {
			return failure(t.Step, lifecycle.Failure{Code: lifecycle.Unsupported,
				Message: "the fake fleet has no balancer: call Balance"})
		}
		f.balancer.set(t.Step.Unit, weightOf(t.Step))
	}
	return nil
}

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

func failure(s lifecycle.Step, f lifecycle.Failure) error {
	return &lifecycle.Error{Step: s, Failure: f}
}
