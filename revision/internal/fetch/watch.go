package fetch

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// watcher ends a transfer that stalls: one that brings less than it has to in each
// window of time, the time until the answer begins included.
type watcher struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	read   atomic.Int64 // since the last look
	done   sync.WaitGroup

	mu   sync.Mutex
	body io.Closer // nil: no answer yet
}

var errStalled = errors.New("stalled")

func watch(ctx context.Context, limit revision.Transfer) *watcher {
	w := &watcher{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	need := max(int64(float64(limit.Rate)*limit.Window.Seconds()), 1)
	w.done.Go(func() { w.look(limit.Window, need, limit.Rate) })
	return w
}

func (w *watcher) look(window time.Duration, need, rate int64) {
	t := time.NewTicker(window)
	defer t.Stop()
	for {
		select {
		case <-w.ctx.Done():
		case <-t.C:
			n := w.read.Swap(0)
			if n >= need {
				continue
			}
			w.cancel(&stalled{failed(revision.Stalled, "brought %d bytes in %v; at least %d bytes per second are expected", n, window, rate)})
		}
		w.mu.Lock()
		if w.body != nil {
			w.body.Close() // a reader that does not know the context must end, too
		}
		w.mu.Unlock()
		return
	}
}

// close has the body closed when the transfer is over or given up.
func (w *watcher) close(body io.Closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.body = body
}

func (w *watcher) stop() {
	w.cancel(errStalled)
	w.done.Wait()
}

type stalled struct{ error }

func (s *stalled) Unwrap() error { return s.error }

// why is the reason behind an error: that of the watcher, if it ended the transfer.
func (w *watcher) why(err error) error {
	if s, ok := errors.AsType[*stalled](context.Cause(w.ctx)); ok {
		return s.error
	}
	return err
}
