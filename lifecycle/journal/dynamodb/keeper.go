package dynamodb

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// keeper renews a lease until it is released or lost.
type keeper struct {
	s     *store
	group string
	lease lease // only run and, after it, release change the beat
	renew time.Duration

	held context.Context         // ends when the lease is lost or released
	end  context.CancelCauseFunc // of held
	lost chan struct{}           // closed when the lease is lost
	done chan struct{}           // closed when run has ended

	mu    sync.Mutex
	until time.Time // the lease is ours, by our own clock
	cause error     // why it could not be renewed last; nil: it could
	gone  error     // not nil: it was lost, and why
}

// keep starts to renew a lease that was written after the time sent.
func keep(s *store, group string, l lease, renew time.Duration, sent time.Time) *keeper {
	k := &keeper{s: s, group: group, lease: l, renew: renew, until: sent.Add(l.ttl),
		lost: make(chan struct{}), done: make(chan struct{})}
	k.held, k.end = context.WithCancelCause(context.Background())
	go k.run()
	return k
}

func (k *keeper) run() {
	defer close(k.done)
	l := k.lease // others read that one; only the beat differs
	for wait := k.renew; pause(k.held, wait); {
		until := k.ours()
		if until <= 0 {
			return
		}
		sent := time.Now()
		ctx, cancel := context.WithTimeout(k.held, min(until, k.renew)) // an answer that never comes must leave time to ask again
		next := l
		next.beat++
		err := k.s.put(ctx, next.item(k.group), l.held())
		cancel()
		switch {
		case err == nil:
			l = next
			k.extend(sent.Add(l.ttl))
			wait = k.renew
		case conditionFailed(err):
			k.lose("another controller has taken it, or somebody has unlocked it")
			return
		default:
			k.failed(err)
			wait = max(0, min(k.renew/4, k.ours()))
		}
	}
}

func (k *keeper) extend(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until, k.cause = until, nil
}

func (k *keeper) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held.Err() == nil {
		k.cause = err
	}
}

// ours says for how long the lease is certainly ours, and loses it when that is over.
// Nobody else may have it before: he has to see it unchanged for longer.
func (k *keeper) ours() time.Duration {
	k.mu.Lock()
	left, cause := time.Until(k.until), k.cause
	k.mu.Unlock()
	switch {
	case left <= 0 && cause != nil:
		k.lose(fmt.Sprintf("it could not be renewed for %v: %v", k.lease.ttl, cause))
	case left <= 0:
		k.lose(fmt.Sprintf("it was not renewed for %v: this process stood still, or its calls to the table did", k.lease.ttl))
	}
	return left
}

// lose ends everything that needs the lease.
func (k *keeper) lose(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		return
	}
	k.gone = fmt.Errorf("%w: group %s: %s; what is not in the journal was not begun; resume when nobody else does", journal.ErrLost, k.group, why)
	k.end(k.gone)
	close(k.lost)
}

// check returns why the lease is not ours any more; nil: it is.
func (k *keeper) check() error {
	k.ours()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone
}

// releaseWait bounds the wait for a lease to be given back. It would end by itself.
const releaseWait = 5 * time.Second

// release gives the lease back and waits until nothing runs any more.
func (k *keeper) release() error {
	k.end(journal.ErrClosed)
	<-k.done
	if k.check() != nil {
		return nil // there is nothing to give back
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseWait)
	defer cancel()
	free := lease{epoch: k.lease.epoch, beat: k.lease.beat, ttl: k.lease.ttl}
	err := k.s.retry(ctx, func(ctx context.Context) error { return k.s.put(ctx, free.item(k.group), k.lease.held()) })
	if err == nil || conditionFailed(err) {
		return nil
	}
	return fmt.Errorf("journal: group %s could not be unlocked; it is free again in %v at the latest: %w", k.group, k.lease.ttl+k.lease.ttl/10, err)
}
