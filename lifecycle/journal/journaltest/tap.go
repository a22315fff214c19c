package journaltest

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// Tap is a Journal that looks at every append to another one and may let it fail.
// With it a test stops a controller at every record: Before makes a crash before
// the write, After one after it. Set the fields before first use.
type Tap struct {
	Journal journal.Journal // required

	// Before is called with the records of an append before they are written. If
	// it returns an error, nothing is written and Append returns that. Nil: skipped.
	Before func([]lifecycle.Record) error

	// After is called when they are written. If it returns an error, Append
	// returns that although the records are there. Nil: skipped.
	After func([]lifecycle.Record) error
}

// Open implements [journal.Journal].
func (t *Tap) Open(ctx context.Context, group string) (journal.Log, error) {
	log, err := t.Journal.Open(ctx, group)
	if err != nil {
		return nil, err
	}
	return tapped{log, t}, nil
}

type tapped struct {
	journal.Log
	t *Tap
}

func (l tapped) Append(ctx context.Context, records ...lifecycle.Record) error {
	if l.t.Before != nil {
		if err := l.t.Before(records); err != nil {
			return err
		}
	}
	if err := l.Log.Append(ctx, records...); err != nil {
		return err
	}
	if l.t.After != nil {
		return l.t.After(records)
	}
	return nil
}

// Lost implements [journal.Leased] if the log does.
func (l tapped) Lost() <-chan struct{} {
	if leased, ok := l.Log.(journal.Leased); ok {
		return leased.Lost()
	}
	return nil // never
}
