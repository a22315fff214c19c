package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// maxQueue is how much of a log may wait to be written. Who adds more is held back.
const maxQueue = 64 << 10

// slowLog is how long the end of a hook's log is waited for. After a cancel and after a
// time limit it is killWait, so that those hold whatever the log is written to.
const slowLog = 30 * time.Second

// errStuck is the error of a writer that takes nothing, such as a pipe whose reader was
// stopped.
var errStuck = errors.New("what it is written to does not take it")

// outlet writes to a writer of the caller's that may block, for ever at worst. Only its
// own goroutine waits there, so all others can be told to let go.
type outlet struct {
	w io.Writer

	mu      sync.Mutex
	queue   []byte
	begun   int   // bytes in a Write that has not returned
	lost    int64 // bytes that were not written
	err     error // first failure of w; nothing is written after it
	working bool  // the goroutine runs
	changed chan struct{}
}

func newOutlet(w io.Writer) *outlet { return &outlet{w: w, changed: make(chan struct{})} }

// tell wakes up all who wait. The caller holds mu.
func (o *outlet) tell() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Write puts p in the queue as soon as there is room.
func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && len(o.queue) > 0 && len(o.queue)+len(p) > maxQueue {
		o.await()
	}
	if o.err != nil {
		o.lost += int64(len(p))
		return 0, o.err
	}
	o.queue = append(o.queue, p...)
	if !o.working {
		o.working = true
		go o.work()
	}
	return len(p), nil
}

// await waits for a change, without mu, which the caller holds.
func (o *outlet) await() {
	changed := o.changed
	o.mu.Unlock()
	<-changed
	o.mu.Lock()
}

// work writes what is in the queue. It ends when there is nothing more, so it is there
// only while there is something to write.
func (o *outlet) work() {
	o.mu.Lock()
	var spare []byte
	for o.err == nil && len(o.queue) > 0 {
		p := o.queue
		o.queue, o.begun = spare[:0], len(p)
		o.tell()
		o.mu.Unlock()
		n, err := o.write(p)
		o.mu.Lock()
		if o.begun == 0 {
			break // it was let go of
		}
		o.begun, spare = 0, p
		if err != nil {
			o.drop(err, len(p)-n)
		}
	}
	o.working = false
	o.tell()
	o.mu.Unlock()
}

// write writes to the caller's writer, whose panic must not end the process.
func (o *outlet) write(p []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, fmt.Errorf("what it is written to panicked: %v", cause)
		}
	}()
	return o.w.Write(p)
}

// drop ends all writing. The caller holds mu.
func (o *outlet) drop(err error, lost int) {
	o.err = err
	o.lost += int64(lost + len(o.queue))
	o.queue, o.begun = nil, 0
	o.tell()
}

// letGo drops what is not written, and all that comes. A Write of the caller's writer
// that has begun is left to itself; none begins.
func (o *outlet) letGo() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.drop(errStuck, o.begun)
	}
}

// stuck says that it was let go of.
func (o *outlet) stuck() bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err == errStuck
}

// limit lets go after d, or sooner when ctx ends, unless it is stopped before.
func (o *outlet) limit(ctx context.Context, d time.Duration) (stop func()) {
	if o == nil {
		return func() {}
	}
	late := time.AfterFunc(d, o.letGo)
	undo := context.AfterFunc(ctx, func() { late.Reset(min(d, killWait)) })
	return func() {
		undo()
		late.Stop()
	}
}

// flush waits until all is written, at most d, and returns what was lost until now.
func (o *outlet) flush(ctx context.Context, d time.Duration) (lost int64, err error) {
	defer o.limit(ctx, d)()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (len(o.queue) > 0 || o.begun > 0) {
		o.await()
	}
	return o.lost, o.err
}
