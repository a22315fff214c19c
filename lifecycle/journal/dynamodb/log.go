package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// log is a group of a [Journal], open.
type log struct {
	group  string
	s      *store
	keeper *keeper
	heads  []head // oldest first; ours alone while we hold the lease
	closed bool
	failed error // first error after which nobody knows what is in the table
}

var _ journal.Leased = (*log)(nil)

// Lost implements [journal.Leased].
func (l *log) Lost() <-chan struct{} { return l.keeper.lost }

func (l *log) Deployments(ctx context.Context) ([]string, error) {
	if l.closed {
		return nil, journal.ErrClosed
	}
	return ids(l.heads), context.Cause(ctx)
}

func (l *log) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	if l.closed {
		return fail(journal.ErrClosed)
	}
	return read(ctx, l.s, l.group, l.heads, id, from)
}

// Append implements [journal.Log]. Once it has begun to write, cancelling ctx does not
// stop it: it ends within [Journal.Patience], or when the lease is lost.
func (l *log) Append(ctx context.Context, records ...lifecycle.Record) error {
	switch {
	case l.closed:
		return journal.ErrClosed
	case l.failed != nil:
		return fmt.Errorf("%w: %w", journal.ErrFailed, l.failed)
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case len(records) == 0:
		return nil
	}
	if err := l.keeper.check(); err != nil {
		return err
	}
	h, i, err := l.next(records)
	if err != nil {
		return err
	}
	data, zipped, err := encode(records)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e := entry{attempt: rand.Text(), first: h.next, last: records[len(records)-1].Seq, zipped: zipped, prev: h.sum, data: data}
	after := head{n: h.n, id: h.id, next: e.last + 1, sum: chain(h.sum, data)}
	if err := l.write(ctx, h, after, e); err != nil {
		return err
	}
	if i == len(l.heads) {
		l.heads = append(l.heads, after)
	} else {
		l.heads[i] = after
	}
	return nil
}

// next finds where the records go: their deployment's head and its place among the
// heads, which is behind them for a new one. It refuses what is no Append.
func (l *log) next(records []lifecycle.Record) (h head, i int, err error) {
	id := records[0].Step.Deployment
	if id == "" {
		return h, 0, errors.New("journal: record has no deployment id: fill in Step.Deployment")
	}
	if i = slices.IndexFunc(l.heads, func(h head) bool { return h.id == id }); i >= 0 {
		h = l.heads[i]
	} else {
		i = len(l.heads)
		h = head{n: 1, id: id, next: 1}
		if i > 0 {
			h.n = l.heads[i-1].n + 1
		}
	}
	for k, r := range records {
		if r.Step.Deployment != id {
			return h, i, fmt.Errorf("journal: records of two deployments, %s and %s, in one append: append them one after the other", id, r.Step.Deployment)
		}
		if want := h.next + int64(k); r.Seq != want {
			return h, i, fmt.Errorf("%w: record %d of deployment %s, the next is %d: another controller writes to it, or a record was appended twice", journal.ErrConflict, r.Seq, id, want)
		}
	}
	return h, i, nil
}

// maxParts is how many full parts fit a transaction, which may have 4 MB.
const maxParts = 10

// write makes an entry durable: its beginnings, if it is too long for one item, and
// then, in one transaction with the lease and the head, what makes it count.
func (l *log) write(ctx context.Context, before, after head, e entry) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(l.keeper.held, func() { cancel(context.Cause(l.keeper.held)) })
	defer stop()

	key := recordsKey(l.group, after.n)
	held := l.s.checkOf(groupKey(l.group), leaseKey, l.keeper.lease.held())
	parts := split(e.data, l.s.part)
	last := len(parts) - 1
	var early []types.TransactWriteItem
	for i, part := range parts[:last] {
		early = append(early, l.s.putOf(item{"pk": text(key), "sk": text(partKey(e.first, e.attempt, i+1)), "attempt": text(e.attempt), "records": raw(part)}, absent))
	}
	for n, some := range slices.Collect(slices.Chunk(early, maxParts)) {
		if err := l.commit(ctx, fmt.Sprintf("%s-%d", e.attempt, n), append([]types.TransactWriteItem{held}, some...), key, partKey(e.first, e.attempt, n*maxParts+1), e.attempt); err != nil {
			return err
		}
	}
	e.data, e.parts = parts[last], last
	items := []types.TransactWriteItem{held, l.s.putOf(after.item(l.group), before.unchanged()), l.s.putOf(e.item(key), absent)}
	return l.commit(ctx, e.attempt, items, key, appendKey(e.first), e.attempt)
}

// commit does a transaction whose first part is the condition that we hold the lease.
// Where it was not done, or nobody can say, it looks for the item that it writes: a
// reply may have been lost, and its repetition have met what was written before.
func (l *log) commit(ctx context.Context, token string, items []types.TransactWriteItem, pk, sk, attempt string) error {
	err := l.s.retry(ctx, func(ctx context.Context) error { return l.s.transact(ctx, token, items...) })
	if err == nil {
		return nil
	}
	failed := failedConditions(err)
	if slices.Contains(failed, 0) {
		l.keeper.lose("another controller has taken it, or somebody has unlocked it")
	}
	if gone := l.keeper.check(); gone != nil {
		return gone
	}
	written, known := l.written(pk, sk, attempt)
	switch {
	case written:
		return l.keeper.check()
	case known && len(failed) > 0:
		return fmt.Errorf("%w: somebody has written to %s who does not hold its lease", journal.ErrConflict, pk)
	}
	l.failed = err
	return fmt.Errorf("journal: group %s: %w", l.group, err)
}

// written looks whether our own write is in the table; known is false if that could
// not be learned.
func (l *log) written(pk, sk, attempt string) (written, known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseWait)
	defer cancel()
	it, err := l.s.get(ctx, pk, sk)
	if err != nil {
		return false, false
	}
	f := fields{item: it}
	return it != nil && f.text("attempt") == attempt, true
}

func (l *log) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	return l.keeper.release()
}

// transact does all or nothing. A token makes a repetition within ten minutes the
// same transaction; empty: the SDK makes one.
func (s *store) transact(ctx context.Context, token string, items ...types.TransactWriteItem) error {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items}
	if token != "" {
		in.ClientRequestToken = &token
	}
	_, err := s.client.TransactWriteItems(ctx, in)
	return err
}
