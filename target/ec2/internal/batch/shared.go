package batch

import (
	"context"
	"sync"
	"time"
)

// Shared is a reading that many goroutines want at about the same time. However many
// they are, one call is in progress, and at most one more waits for it to end. Fill in
// Read before first use. It must not be copied after use.
type Shared[T any] struct {
	// Read does the call. The answer is shared: nobody may change it.
	Read func(ctx context.Context) (T, error)

	mu     sync.Mutex
	begun  int        // calls so far
	flight *flight[T] // in progress; nil: none
	next   *flight[T] // begins when that has ended; nil: nobody wants it
	last   flight[T]  // the newest that succeeded
}

type flight[T any] struct {
	n     int       // from 1
	at    time.Time // when it began
	value T
	err   error
	done  chan struct{}
	left  bool // who was to do the call was cancelled
}

// Mark stands for now: a reading that [Shared.After] returns for it was begun later.
func (s *Shared[T]) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// After returns a reading that was begun after mark, and the mark of that reading: one
// that somebody else has made meanwhile, or a new one.
func (s *Shared[T]) After(ctx context.Context, mark int) (value T, at int, err error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return value, mark, err
		}
		f, before, mine := s.join(mark)
		if mine {
			s.fly(ctx, f, before)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return value, mark, context.Cause(ctx)
		}
		if !f.left {
			return f.value, f.n, f.err
		}
	}
}

// Recent returns a reading that was begun after mark, and not longer than age ago: the
// newest if it will do, or a new one.
func (s *Shared[T]) Recent(ctx context.Context, mark int, age time.Duration) (T, error) {
	s.mu.Lock()
	if s.last.n > 0 && time.Since(s.last.at) > age {
		mark = max(mark, s.last.n)
	}
	s.mu.Unlock()
	value, _, err := s.After(ctx, mark)
	return value, err
}

// join finds a reading that is new enough, or makes one for the caller to do, after
// the one before it.
func (s *Shared[T]) join(mark int) (f, before *flight[T], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.last.n > mark:
		newest := s.last
		return &newest, nil, false
	case s.flight == nil:
		s.begun++
		s.flight = &flight[T]{n: s.begun, done: make(chan struct{})}
		return s.flight, nil, true
	case s.flight.n > mark:
		return s.flight, nil, false
	case s.next == nil:
		s.next = &flight[T]{n: s.begun + 1, done: make(chan struct{})}
		return s.next, s.flight, true
	default:
		return s.next, nil, false
	}
}

func (s *Shared[T]) fly(ctx context.Context, f, before *flight[T]) {
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		f.at = time.Now()
		f.value, f.err = s.Read(ctx)
	}
	f.left = ctx.Err() != nil
	s.land(f)
}

// land ends a reading, and lets the next one begin.
func (s *Shared[T]) land(f *flight[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err == nil && !f.left && f.n > s.last.n {
		s.last = *f
	}
	switch f {
	case s.flight:
		if s.flight, s.next = s.next, nil; s.flight != nil {
			s.begun = s.flight.n
		}
	case s.next: // cancelled before its turn
		s.next = nil
	}
	close(f.done)
}
