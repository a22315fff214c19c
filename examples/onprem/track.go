package main

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
)

// display shows a deployment while it runs.
type display interface {
	// show is told every record, and the state of the deployment after it.
	show(lifecycle.Record, *strategy.State)
	// say prints a line between deployments.
	say(string)
	// close ends the display. It may be called twice.
	close()
}

// tracker folds the records that the engine reports, so that displays know how a
// deployment stands.
type tracker struct {
	reader  journal.Reader
	display display
	states  map[string]*strategy.State
}

func newTracker(r journal.Reader, d display) *tracker {
	return &tracker{reader: r, display: d, states: map[string]*strategy.State{}}
}

// observe is called by the engine with every record once it is durable.
func (t *tracker) observe(rec lifecycle.Record) {
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
	t.display.show(rec, st)
}

// load folds a deployment's records from the journal, up to a number if that is
// not zero.
func (t *tracker) load(id string, upTo int64) *strategy.State {
	st := &strategy.State{}
	for rec, err := range t.reader.Records(context.Background(), id, 1) {
		if err != nil || upTo > 0 && rec.Seq > upTo || st.Apply(rec) != nil {
			break
		}
	}
	return st
}

// state returns a deployment's state, from the journal if it was not run here.
func (t *tracker) state(id string) *strategy.State {
	if st := t.states[id]; st != nil {
		return st
	}
	st := t.load(id, 0)
	t.states[id] = st
	return st
}
