package agent

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// inquiry is one step being asked for, and what came of it that was not taken yet.
type inquiry struct {
	wants    chan wire.Want // at most one waits: the agent asks again when it has all it asked for
	failed   chan error     // why the revision cannot be sent any further
	answered atomic.Bool    // the answer is there: nothing more is wanted
	sent     int64          // bytes of data, by whoever sends
	taken    atomic.Int64   // how many of these the agent has taken
	news     chan struct{}  // holds one when answered or taken has changed

	mu     sync.Mutex
	frames []wire.Frame
	size   int
	over   bool          // nobody takes frames any more
	come   chan struct{} // holds one when there are frames
	room   *sync.Cond    // frames were taken, or over was set
}

// maxInbox is how many bytes of frames wait to be taken.
const maxInbox = wire.MaxFrame

func newInquiry() *inquiry {
	q := &inquiry{
		wants: make(chan wire.Want, 1), failed: make(chan error, 1),
		news: make(chan struct{}, 1), come: make(chan struct{}, 1),
	}
	q.room = sync.NewCond(&q.mu)
	return q
}

// see takes note of what whoever is sending has to know at once, and reports whether the
// frame has been dealt with.
func (q *inquiry) see(f wire.Frame) bool {
	switch f.Kind {
	case wire.KindDone:
		q.answered.Store(true)
	case wire.KindTaken:
		n, err := wire.ParseTaken(f.Payload)
		if err != nil {
			return false
		}
		q.taken.Store(n)
	default:
		return false
	}
	wake(q.news)
	return f.Kind == wire.KindTaken
}

// put adds a frame. One goroutine reads for all steps of a connection,
// so it does not wait for who looks at output: the oldest is dropped, as the agent does.
// For the rest, of which there is little, it waits only if all of it is very much.
func (q *inquiry) put(f wire.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.size >= maxInbox && !q.over {
		if i := slices.IndexFunc(q.frames, func(f wire.Frame) bool { return f.Kind == wire.KindOutput }); i >= 0 {
			q.remove(i)
		} else {
			q.room.Wait()
		}
	}
	q.frames = append(q.frames, f)
	q.size += cost(f)
	wake(q.come)
}

// take returns the oldest frame, if there is one.
func (q *inquiry) take() (f wire.Frame, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		return f, false
	}
	f = q.remove(0)
	q.room.Signal()
	if len(q.frames) > 0 {
		wake(q.come)
	}
	return f, true
}

// remove takes a frame out; there are few before it. The caller holds mu.
func (q *inquiry) remove(i int) wire.Frame {
	f := q.frames[i]
	copy(q.frames[1:], q.frames[:i])
	q.frames[0] = wire.Frame{}
	q.frames = q.frames[1:]
	q.size -= cost(f)
	return f
}

// cost is what a frame takes in memory, about.
func cost(f wire.Frame) int { return len(f.Payload) + 64 }

// end says that nobody takes frames any more.
func (q *inquiry) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	q.room.Signal()
}

// wake leaves a sign in a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
