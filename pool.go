package cutover

import (
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// DefaultParallel is how many steps of a deployment are done at once, unless
// Deployment.Parallel says otherwise.
const DefaultParallel = 1024

// pool does steps in a bounded number of goroutines, and collects what they have to
// tell. Goroutines are made as they are needed and stay until close.
type pool struct {
	do    func(job) event // returns how the step ended
	limit int

	mu     sync.Mutex
	work   sync.Cond // there is work, or the pool is closed
	queue  []job     // from head on
	head   int
	idle   int
	size   int
	waking bool // a worker was called and has not come yet: it will call the next one
	closed bool
	events []event
	wake   chan struct{} // has an item when events has become non-empty
	all    sync.WaitGroup
}

// job is a step to do.
type job struct {
	step    lifecycle.Step
	again   bool              // it was begun before a crash
	expect  *lifecycle.Weight // the traffic that the unit has by the records; nil: unknown, or of no account
	foreign target.Foreign
	units   int // Provision: how many to make
}

func newPool(limit int, do func(job) event) *pool {
	if limit <= 0 {
		limit = DefaultParallel
	}
	p := &pool{do: do, limit: limit, wake: make(chan struct{}, 1)}
	p.work.L = &p.mu
	return p
}

// start hands steps over. Those beyond the limit wait in their order.
func (p *pool) start(jobs []job) {
	if len(jobs) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
	p.queue = append(p.queue, jobs...)
	p.call()
}

// call gets one more worker to come if there is work for it. Workers call each
// other, one at a time: so steps that end at once are done by few, and steps that
// take long by as many as there may be. p.mu is held.
func (p *pool) call() {
	switch {
	case p.waking || p.head == len(p.queue):
	case p.idle > 0:
		p.idle--
		p.waking = true
		p.work.Signal()
	case p.size < p.limit:
		p.size++
		p.waking = true
		p.all.Go(p.worker)
	default: // all are busy: who is done first takes it
	}
}

// worker does one step after the other.
func (p *pool) worker() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waking = false
	for {
		for p.head == len(p.queue) && !p.closed {
			p.idle++
			p.work.Wait()
			p.waking = false
		}
		if p.closed {
			return
		}
		j := p.queue[p.head]
		p.head++
		p.call()
		p.mu.Unlock()
		e := p.do(j)
		p.mu.Lock()
		p.add(e)
	}
}

// tell hands an event to the loop.
func (p *pool) tell(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(e)
}

// add puts an event on the list. p.mu is held.
func (p *pool) add(e event) {
	p.events = append(p.events, e)
	if len(p.events) > 1 {
		return // the loop knows already
	}
	select {
	case p.wake <- struct{}{}:
	default:
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
