package journal

import (
	"context"
	"errors"
	"iter"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Errors that callers act on.
var (
	// ErrConflict: a record's sequence number is not the next one. Somebody else
	// writes to the deployment; stop acting.
	ErrConflict = errors.New("journal: sequence number is not the next one")
	// ErrLocked: another controller has the group open.
	ErrLocked = errors.New("journal: another controller has this deployment group open")
	// ErrCorrupt: the middle of a journal is damaged. Nothing was done; see the
	// error's text for file and offset.
	ErrCorrupt = errors.New("journal: damaged")
	// ErrNotFound: there is no such deployment.
	ErrNotFound = errors.New("journal: no such deployment")
)

// Journal keeps the records of deployment groups.
type Journal interface {
	// Open makes the caller the only controller of the group until it closes the
	// log. It fails with ErrLocked, at once, while somebody else is.
	Open(ctx context.Context, group string) (Log, error)
}

// Log is the journal of one group, open. Its methods are called by one goroutine
// at a time. The fourth method is there because a lock must be given back.
type Log interface {
	// Deployments lists the group's deployment ids, oldest first.
	Deployments(ctx context.Context) ([]string, error)

	// Records reads a deployment's records in order, from the first whose Seq is at
	// least from. An unknown deployment yields ErrNotFound. After an error the
	// sequence ends.
	Records(ctx context.Context, deployment string, from int64) iter.Seq2[lifecycle.Record, error]

	// Append makes records durable, all or none, before it returns nil. The
	// deployment's first record has Seq 1 and creates it. Records all belong to one
	// deployment (Step.Deployment) and have consecutive numbers; if the first is
	// not the next one, ErrConflict. After any other error the caller must not act
	// on the records: whether they are durable is unknown.
	Append(ctx context.Context, records ...lifecycle.Record) error

	// Close gives the lock back. A second call does nothing.
	Close() error
}
