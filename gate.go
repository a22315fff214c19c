package cutover

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// Gate lets a deployment go on, or wait: a freeze window, an approval that lives in
// another system, a budget. Gates are asked before each stage, in their order. A
// stage that has been entered is not asked for again, also after a restart. They
// are not asked about a rollback: the way back is open always.
type Gate interface {
	// Ask says whether the stage may be entered now. It should return soon; when ctx
	// is cancelled it must. An error counts as a closed gate: the question is asked
	// again.
	Ask(ctx context.Context, q Question) (Answer, error)
}

// Question is what a gate is asked.
type Question struct {
	Plan  strategy.Plan
	Stage int       // number of the stage that would be entered
	Now   time.Time // when the question is asked
}

// Answer is what a gate says. The zero Answer: wait.
type Answer struct {
	Open   bool
	Reason string        // why it is closed, for the records
	Again  time.Duration // ask again after this; zero: 30 s
}

// Freeze is a Gate that is closed during some periods.
type Freeze []Period

// Period is a span of time, its end not included.
type Period struct{ From, To time.Time }

// Ask implements [Gate].
func (f Freeze) Ask(_ context.Context, q Question) (Answer, error) {
	for _, p := range f {
		if !q.Now.Before(p.From) && q.Now.Before(p.To) {
			return Answer{Reason: fmt.Sprintf("frozen until %s", p.To.Format(time.RFC3339)), Again: p.To.Sub(q.Now)}, nil
		}
	}
	return Answer{Open: true}, nil
}

// defaultAgain is how long a closed gate is left alone when it does not say.
const defaultAgain = 30 * time.Second

// ask goes through the gates up to the first closed one. Reason and Again are
// filled in where a gate did not.
func ask(ctx context.Context, gates []Gate, q Question) Answer {
	for i, g := range gates {
		var a Answer
		err := guard("asking", func() (err error) {
			a, err = g.Ask(ctx, q)
			return err
		})
		if err != nil {
			a = Answer{Reason: err.Error(), Again: a.Again}
		}
		if a.Open {
			continue
		}
		if a.Reason == "" {
			a.Reason = "no reason given"
		}
		if a.Again <= 0 {
			a.Again = defaultAgain
		}
		a.Reason = fmt.Sprintf("gate %d is closed before stage %d (%s): %s", i+1, q.Stage, q.Plan.Stages[q.Stage].Name, a.Reason)
		return a
	}
	return Answer{Open: true}
}

// gatekeeper remembers what the gates said about the stage that is next.
type gatekeeper struct {
	off    bool // nobody is asked: it is a rollback
	asking bool
	open   bool
	next   time.Time // do not ask before
	said   string    // the last reason that was written down
}

// hold takes the entering of a stage out of a decision until the gates are open,
// and reports whether they are to be asked now.
func (g *gatekeeper) hold(d *strategy.Decision, gated bool, now time.Time) (question bool) {
	enters := len(d.Note) == 1 && d.Note[0].Kind == lifecycle.StageOpen
	switch {
	case !gated || g.off || !enters:
		return false
	case g.open:
		*g = gatekeeper{} // the next stage is asked for anew
		return false
	}
	d.Note = nil
	if g.asking {
		return false
	}
	if now.Before(g.next) {
		if d.Wake.IsZero() || g.next.Before(d.Wake) {
			d.Wake = g.next
		}
		return false
	}
	g.asking = true
	return true
}

// hear takes the answer in, and reports whether it is worth writing down.
func (g *gatekeeper) hear(a Answer, now time.Time) bool {
	news := !a.Open && a.Reason != g.said
	g.asking, g.open, g.next, g.said = false, a.Open, now.Add(a.Again), a.Reason
	return news
}
