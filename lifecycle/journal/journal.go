package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Errors that callers act on. Match them with errors.Is; the text of what is
// returned says more.
var (
	// ErrConflict: a record's sequence number is not the next one. Somebody else
	// writes to the deployment; stop acting.
	ErrConflict = errors.New("journal: sequence number is not the next one")
	// ErrLocked: another controller has the group open.
	ErrLocked = errors.New("journal: another controller has this deployment group open")
	// ErrLost: the lock was lost while the log was open, and another controller may
	// have the group by now. Nothing was written; stop acting. See [Leased].
	ErrLost = errors.New("journal: the lock of the deployment group was lost")
	// ErrCorrupt: a journal is damaged elsewhere than at its end. Nothing was done;
	// see the error's text, or [CorruptError], for file, line and offset.
	ErrCorrupt = errors.New("journal: damaged")
	// ErrTooNew: the journal was written by a newer version of this library.
	ErrTooNew = errors.New("journal: written by a newer version")
	// ErrNotFound: there is no such deployment.
	ErrNotFound = errors.New("journal: no such deployment")
	// ErrFailed: an earlier write failed in such a way that nobody can say what is
	// durable. The log takes no more records. Close it, see to the disk, open it
	// again.
	ErrFailed = errors.New("journal: unusable since a write failed")
	// ErrClosed: the log was used after Close.
	ErrClosed = errors.New("journal: log is closed")
)

// Journal keeps the records of deployment groups.
type Journal interface {
	// Open makes the caller the only controller of the group until it closes the
	// log. It fails with ErrLocked while somebody else is: at once, or as soon as it
	// can be told whether he lives.
	Open(ctx context.Context, group string) (Log, error)
}

// Reader reads the records of one group.
type Reader interface {
	// Deployments lists the group's deployment ids, oldest first. A group that
	// nobody has written to has none.
	Deployments(ctx context.Context) ([]string, error)

	// Records reads a deployment's records in order, from the first whose Seq is at
	// least from. An unknown deployment yields ErrNotFound. After an error the
	// sequence ends.
	Records(ctx context.Context, deployment string, from int64) iter.Seq2[lifecycle.Record, error]
}

// Log is the journal of one group, open. Its methods are called by one goroutine
// at a time. Close is there because a lock must be given back.
type Log interface {
	Reader

	// Append makes records durable, all or none, before it returns nil. The
	// deployment's first record has Seq 1 and creates it. Records all belong to one
	// deployment (Step.Deployment) and have consecutive numbers; if the first is
	// not the next one, ErrConflict and nothing is written. After any other error
	// the caller must not act on the records: whether they are durable is unknown.
	// Append keeps nothing of what it is given.
	Append(ctx context.Context, records ...lifecycle.Record) error

	// Close gives the lock back. A second call does nothing.
	Close() error
}

// Readable is what a [Journal] also is when it can be read without being the
// group's controller, for status and plans. Records that are being written may
// or may not be seen, but never half of an Append.
type Readable interface {
	// Reader reads group; it holds no lock and needs no closing.
	Reader(group string) Reader
}

// Leased is what a [Log] also is when its lock can be lost while it is open: to a
// network that is cut, or to somebody who unlocks the group by force. The engine
// abandons the run when that happens, also while it waits in a hold.
type Leased interface {
	// Lost is closed when the lock is lost. Append fails with ErrLost from then on.
	Lost() <-chan struct{}
}

// CorruptError says where a journal is damaged. It matches [ErrCorrupt].
type CorruptError struct {
	File   string // path of the file
	Line   int    // from 1
	Offset int64  // of the line's first byte in the file
	Why    string
}

// Error names file, line and offset, and what to do.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: damaged: %s:%d (byte %d): %s; nothing was done: restore the file from a copy, or move it away to give up this deployment's history",
		e.File, e.Line, e.Offset, e.Why)
}

// Is matches ErrCorrupt.
func (e *CorruptError) Is(err error) bool { return err == ErrCorrupt }

// checkBatch says which deployment the records belong to, and refuses those that
// cannot be one Append.
func checkBatch(records []lifecycle.Record) (string, error) {
	id := records[0].Step.Deployment
	if id == "" {
		return "", errors.New("journal: record has no deployment id: fill in Step.Deployment")
	}
	for i, r := range records {
		if r.Step.Deployment != id {
			return "", fmt.Errorf("journal: records of two deployments, %s and %s, in one append: append them one after the other", id, r.Step.Deployment)
		}
		if want := records[0].Seq + int64(i); r.Seq != want {
			return "", fmt.Errorf("%w: record %d follows %d in one append to %s", ErrConflict, r.Seq, want-1, id)
		}
	}
	return id, nil
}

// checkNext refuses a number that is not the next one.
func checkNext(id string, got, next int64) error {
	if got == next {
		return nil
	}
	return fmt.Errorf("%w: record %d of deployment %s, the next is %d: another controller writes to it, or a record was appended twice", ErrConflict, got, id, next)
}

// fail yields err as the end of a sequence.
func fail(err error) iter.Seq2[lifecycle.Record, error] {
	return func(yield func(lifecycle.Record, error) bool) { yield(lifecycle.Record{}, err) }
}

func notFound(id string) error { return fmt.Errorf("%w: %s", ErrNotFound, id) }
