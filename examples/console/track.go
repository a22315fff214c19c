package console

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
)

// Display shows a deployment while it runs.
type Display interface {
	// Show is told every record, and the state of the deployment after it.
	Show(lifecycle.Record, *strategy.State)
	// Say prints a line between deployments.
	Say(string)
	// Close ends the display. It may be called twice.
	Close()
}

// Tracker folds the records that the engine reports, so that displays know how a
// deployment stands.
type Tracker struct {
	Reader  journal.Reader
	Display Display
	states  map[string]*strategy.State
}

// NewTracker makes one over the journal of a group.
func NewTracker(r journal.Reader, d Display) *Tracker {
	return &Tracker{Reader: r, Display: d, states: map[string]*strategy.State{}}
}

// Observe is called by the engine with every record once it is durable.
func (t *Tracker) Observe(rec lifecycle.Record) {
	id := rec.Step.Deployment
	st := t.states[id]
	switch {
	case st == nil && rec.Seq > 1: // resumed: what came before is in the journal
		st = t.load(id, rec.Seq)
	case st == nil:
		st = &strategy.State{}
	}
	t.states[id] = st
	if rec.Seq == st.Seq()+1 {
		_ = st.Apply(rec) // the engine has applied it as well; it would have said
	}
	t.Display.Show(rec, st)
}

// load folds a deployment's records from the journal, up to a number if that is
// not zero.
func (t *Tracker) load(id string, upTo int64) *strategy.State {
	st := &strategy.State{}
	for rec, err := range t.Reader.Records(context.Background(), id, 1) {
		if err != nil || upTo > 0 && rec.Seq > upTo || st.Apply(rec) != nil {
			break
		}
	}
	return st
}

// State returns a deployment's state, from the journal if it was not run here.
func (t *Tracker) State(id string) *strategy.State {
	if st := t.states[id]; st != nil {
		return st
	}
	st := t.load(id, 0)
	t.states[id] = st
	return st
}
