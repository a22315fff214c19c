// Package batch makes few calls out of what many goroutines ask for at about the same
// time: [Gatherer] puts what they want to change into one call, [Shared] lets them
// read from one answer. Neither starts a goroutine: one of those who ask does the call
// for all. If it is cancelled meanwhile, another one takes over.
package batch

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Gatherer collects items for a short time, and sends them together. Fill in the
// fields before first use. It must not be copied after use.
type Gatherer[G comparable, K, R any] struct {
	Window time.Duration // how long the first of a batch waits for others; zero: not at all
	Max    int           // items in a batch; zero: no limit

	// Hold, if not nil, is asked when the window is over and the batch of n items is not
	// full. While it says yes, the batch waits for another window, and for Patience in all.
	Hold     func(group G, n int) bool
	Patience time.Duration

	// Send does a batch and returns a result for each item, in their order. Items of
	// different groups never come together.
	Send func(ctx context.Context, group G, items []K) []Result[R]

	mu   sync.Mutex
	open map[G]*round[K, R]
}

// Result is what became of one item.
type Result[R any] struct {
	Value R
	Err   error
}

// round is a batch that is being gathered, sent, or done.
type round[K, R any] struct {
	items   []K
	results []Result[R]
	full    chan struct{} // closed when no more fit
	done    chan struct{} // closed when results are there
	left    bool          // its leader was cancelled: ask again
}

// Do has the item sent with others of its group, and returns its result. When ctx is
// cancelled it returns context.Cause(ctx); the item may have been sent.
func (g *Gatherer[G, K, R]) Do(ctx context.Context, group G, item K) (R, error) {
	var zero R
	for {
		if err := context.Cause(ctx); err != nil {
			return zero, err
		}
		r, i, lead := g.join(group, item)
		if lead {
			g.lead(ctx, group, r)
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return zero, context.Cause(ctx)
		}
		if r.left && ctx.Err() == nil {
			continue
		}
		if r.left {
			return zero, context.Cause(ctx)
		}
		return r.results[i].Value, r.results[i].Err
	}
}

// join adds an item to the open round of its group. Who opens one leads it.
func (g *Gatherer[G, K, R]) join(group G, item K) (r *round[K, R], i int, lead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = map[G]*round[K, R]{}
	}
	r = g.open[group]
	if lead = r == nil; lead {
		r = &round[K, R]{full: make(chan struct{}), done: make(chan struct{})}
		g.open[group] = r
	}
	i = len(r.items)
	r.items = append(r.items, item)
	if len(r.items) == g.Max {
		close(r.full)
		delete(g.open, group)
	}
	return r, i, lead
}

// lead waits until the round is to go, and does it.
func (g *Gatherer[G, K, R]) lead(ctx context.Context, group G, r *round[K, R]) {
	defer close(r.done)
	for began := time.Now(); !r.ripe(ctx, g.Window) && g.Hold != nil && time.Since(began) < g.Patience; {
		if !g.Hold(group, g.size(r)) {
			break
		}
	}
	g.mu.Lock()
	if g.open[group] == r {
		delete(g.open, group)
	}
	g.mu.Unlock()
	if ctx.Err() == nil {
		r.results = g.Send(ctx, group, r.items)
	}
	r.left = ctx.Err() != nil
	for len(r.results) < len(r.items) && !r.left {
		r.results = append(r.results, Result[R]{Err: errors.New("batch: no result came for an item")})
	}
}

// ripe waits for a window, and reports whether there is nothing more to wait for.
func (r *round[K, R]) ripe(ctx context.Context, window time.Duration) bool {
	t := time.NewTimer(window)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-r.full:
	case <-ctx.Done():
	}
	return true
}

func (g *Gatherer[G, K, R]) size(r *round[K, R]) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(r.items)
}

// Same is the same result for n items.
func Same[R any](n int, value R, err error) []Result[R] {
	all := make([]Result[R], n)
	for i := range all {
		all[i] = Result[R]{value, err}
	}
	return all
}
