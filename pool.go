package cutover

import (
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// DefaultParallel is how many steps of a deployment are done at once, unless
// Deployment.Parallel says otherwise.
const DefaultParallel = 1024

// pool does steps in a bounded number of goroutines, and collects what they have to
// tell. Goroutines are made as they are needed and stay until close.
type pool struct {
	do    func(job)
	limit int

	mu     sync.Mutex
	work   sync.Cond // there is work, or the pool is closed
	queue  []job     // from head on
	head   int
	idle   int
	size   int
	closed bool
	events []event
	wake   chan struct{} // has an item when events is not empty
	all    sync.WaitGroup
}

// job is a step to do.
type job struct {
	step  lifecycle.Step
	again bool // it was begun before a crash
}

func newPool(limit int, do func(job)) *pool {
	if limit <= 0 {
		limit = DefaultParallel
	}
	p := &pool{do: do, limit: limit, wake: make(chan struct{}, 1)}
	p.work.L = &p.mu
	return p
}

// start hands steps over. Those beyond the limit wait in their order.
func (p *pool) start(steps []lifecycle.Step, again bool) {
	if len(steps) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
	for _, s := range steps {
		p.queue = append(p.queue, job{s, again})
	}
	for range steps {
		switch {
		case p.idle > 0:
			p.idle--
			p.work.Signal()
		case p.size < p.limit:
			p.size++
			p.all.Go(p.worker)
		default: // all are busy: who is done first takes it
			return
		}
	}
}

// worker does one step after the other.
func (p *pool) worker() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.head == len(p.queue) && !p.closed {
			p.idle++
			p.work.Wait()
		}
		if p.closed {
			return
		}
		j := p.queue[p.head]
		p.head++
		p.mu.Unlock()
		p.do(j)
		p.mu.Lock()
	}
}

// tell hands an event to the loop.
func (p *pool) tell(e event) {
	p.mu.Lock()
	p.events = append(p.events, e)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // the loop knows already
	}
}

// take returns all events so far. The slice is the caller's until the call after
// next, if it is given back as spare.
func (p *pool) take(spare []event) []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = spare[:0]
	return events
}

// close drops what waits, and returns when nothing runs any more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.work.Broadcast()
	p.mu.Unlock()
	p.all.Wait()
}
