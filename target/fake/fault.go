package fake

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Match says which steps a fault hits. Zero fields match everything, but for the making
// of replacements, which is hit where Event says Provision.
type Match struct {
	Deployment string
	Unit       string
	Event      lifecycle.Event

	// Nth hits only the nth step that the other fields match, counted from 1 over
	// the whole target. Repeated calls that are answered from memory do not count.
	// Zero: all of them.
	Nth int
}

func (m Match) fits(s lifecycle.Step) bool {
	return (m.Deployment == "" || m.Deployment == s.Deployment) &&
		(m.Unit == "" || m.Unit == s.Unit) &&
		(m.Event == s.Event || m.Event == "" && s.Event != lifecycle.Provision)
}

// Fault is something that happens to a step. Make one with the functions of this
// package.
type Fault struct{ f fault }

// fault is one or several faults together.
type fault struct {
	delay     time.Duration
	hang      bool
	stuck     <-chan struct{}
	panics    any
	note      *lifecycle.Note
	fail      *lifecycle.Failure
	loseReply bool
	vanish    bool
	interrupt bool
	throttle  *budget
	stale     time.Duration
}

// budget counts down. It is taken from with the doer's lock held.
type budget struct{ left int }

func (b *budget) take() bool {
	if b == nil || b.left <= 0 {
		return false
	}
	b.left--
	return true
}

// Fail ends the step with a failure of that code. The outcome is kept: the same
// step asked for again fails again.
func Fail(code lifecycle.Code) Fault {
	return FailWith(lifecycle.Failure{Code: code, Message: fmt.Sprintf("fault: %s", code)})
}

// FailWith is Fail with everything that a failure can say.
func FailWith(f lifecycle.Failure) Fault { return Fault{fault{fail: &f}} }

// Delay makes the step take longer. Delays of several faults add up. In a synctest
// bubble it passes at once.
func Delay(d time.Duration) Fault { return Fault{fault{delay: d}} }

// Hang lets the step not end until its context is cancelled. It is then not done.
func Hang() Fault { return Fault{fault{hang: true}} }

// Stick lets the step wait until release is closed and pay no attention to its
// context: a driver with a defect, or a system call that does not return.
func Stick(release <-chan struct{}) Fault { return Fault{fault{stuck: release}} }

// LoseReply does the step and answers with code Unknown. Asked again, the step
// answers that it succeeded.
func LoseReply() Fault { return Fault{fault{loseReply: true}} }

// Vanish takes the unit away before the step is done: this step and all later
// ones of the unit answer UnitLost until [Fleet.Revive].
func Vanish() Fault { return Fault{fault{vanish: true}} }

// Interrupt is what a host says that died in the middle of the step: code
// Interrupted. If the job has RerunInterrupted, the step is done instead.
func Interrupt() Fault { return Fault{fault{interrupt: true}} }

// Throttle refuses the first n steps that it hits, with code Throttled, as a driver
// does that was throttled and gave up. Nothing is done and nothing is kept: asked
// for again, the same step may succeed.
func Throttle(n int) Fault { return Fault{fault{throttle: &budget{left: n}}} }

// StaleRead does the step, and lets reads of the weights that it changed say the old
// value for d.
func StaleRead(d time.Duration) Fault { return Fault{fault{stale: d}} }

// Panic lets the driver panic with v. The step is not done.
func Panic(v any) Fault { return Fault{fault{panics: v}} }

// Warn gives a note to the task and changes nothing.
func Warn(text string) Fault { return Fault{fault{note: &lifecycle.Note{Text: text}}} }

type rule struct {
	match  Match
	hits   int
	faults []Fault
}

// On adds faults to the steps that match. Everything that was added for a step
// happens to it: first what takes time or warns, in the order of adding, then how
// it ends, where Throttle goes before Vanish, that before Interrupt, that before Fail,
// that before LoseReply.
func (d *doer) On(m Match, faults ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = append(d.rules, &rule{match: m, faults: faults})
}

// match collects the faults for a step and counts it. The lock is held.
func (d *doer) match(s lifecycle.Step) []fault {
	var hit []fault
	for _, r := range d.rules {
		if !r.match.fits(s) {
			continue
		}
		r.hits++
		if r.match.Nth == 0 || r.match.Nth == r.hits {
			for _, one := range r.faults {
				hit = append(hit, one.f)
			}
		}
	}
	if d.random != nil {
		hit = append(hit, d.random.fault(s))
	}
	return hit
}

// merge adds the way in which b ends a step.
func (a *fault) merge(b fault) {
	if b.fail != nil {
		a.fail = b.fail
	}
	a.loseReply = a.loseReply || b.loseReply
	a.vanish = a.vanish || b.vanish
	a.interrupt = a.interrupt || b.interrupt
	a.stale = max(a.stale, b.stale)
	if b.throttle != nil {
		a.throttle = b.throttle
	}
}

// before does the part of a fault that comes before a step ends.
func (a fault) before(ctx context.Context, t target.Task) error {
	if a.note != nil && t.Note != nil {
		t.Note(*a.note)
	}
	if a.stuck != nil {
		<-a.stuck
	}
	if a.hang {
		<-ctx.Done()
	}
	if a.delay > 0 {
		timer := time.NewTimer(a.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.panics != nil {
		panic(a.panics)
	}
	return nil
}
