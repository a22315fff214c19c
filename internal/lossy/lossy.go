// Package lossy passes output on to people who watch and may be slow, or take nothing at
// all, such as a pipe into a pager that was stopped. Whoever prints never waits for them.
package lossy

import (
	"io"
	"sync"
	"time"
)

// Room is how much may wait to be taken, in bytes. What comes beyond it is left out.
const Room = 1 << 20

// Patience is how long [Writer.Close] waits for the rest to be taken.
const Patience = 2 * time.Second

// To is [New] with the call that ends it. Nil goes nowhere.
func To(w io.Writer) (to io.Writer, done func()) {
	if w == nil {
		return nil, func() {}
	}
	l := New(w)
	return l, l.Close
}

// Writer is safe for concurrent use. Make one with [New].
type Writer struct {
	to io.Writer

	mu     sync.Mutex
	queue  []byte
	closed bool
	idle   chan struct{} // closed when all was taken; nil: nothing is on its way
}

// New returns a writer that hands on to w, which gets one Write at a time. An error or
// panic of w ends that.
func New(w io.Writer) *Writer { return &Writer{to: w} }

// Write takes all of p, or, when there is no room for it, none of it. It never fails.
func (l *Writer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue)+len(p) > Room {
		return len(p), nil
	}
	l.queue = append(l.queue, p...)
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.hand(l.idle)
	}
	return len(p), nil
}

// hand hands on what waits, and ends when there is nothing more.
func (l *Writer) hand(idle chan struct{}) {
	defer close(idle)
	for {
		l.mu.Lock()
		p := l.queue
		l.queue = nil
		if len(p) == 0 || l.closed {
			l.idle = nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if !l.taken(p) {
			l.end()
		}
	}
}

func (l *Writer) taken(p []byte) (ok bool) {
	defer func() { _ = recover() }() // ok is false then
	_, err := l.to.Write(p)
	return err == nil
}

func (l *Writer) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Close waits until what was written is taken, [Patience] at most. Nothing is handed on
// after that; a Write that is stuck then is left to itself.
func (l *Writer) Close() {
	l.mu.Lock()
	idle := l.idle
	l.mu.Unlock()
	if idle != nil {
		late := time.NewTimer(Patience)
		defer late.Stop()
		select {
		case <-idle:
		case <-late.C:
		}
	}
	l.end()
}
