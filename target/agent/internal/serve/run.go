package serve

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// keepOutput is how much of a step's output is held for those who follow it. The
// whole of it is in the log on the host.
const keepOutput = 256 << 10

// run is one step being done, and what there is to see of it.
type run struct {
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the run is over

	// supplier is the request whose controller the run gets its revision from, while
	// it does; nil: the run depends on nobody.
	supplier atomic.Pointer[request]

	mu     sync.Mutex
	news   chan struct{} // closed, and made anew, when there is something new
	notes  []lifecycle.Note
	output []byte
	start  int64 // offset of the first byte of output, in all that the step has printed
	over   bool
	answer wire.Answer
}

func newRun(cancel context.CancelCauseFunc) *run {
	return &run{cancel: cancel, done: make(chan struct{}), news: make(chan struct{})}
}

// tell wakes those who follow. The caller holds mu.
func (r *run) tell() {
	close(r.news)
	r.news = make(chan struct{})
}

// Write takes output, that of earlier runs of the step first. It waits for nobody.
func (r *run) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.output = append(r.output, p...)
	if excess := len(r.output) - keepOutput; excess > keepOutput {
		r.output = append([]byte(nil), r.output[excess:]...)
		r.start += int64(excess)
	}
	r.tell()
	return len(p), nil
}

func (r *run) note(n lifecycle.Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, n)
	r.tell()
}

func (r *run) end(a wire.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.answer = true, a
	close(r.done)
	r.tell()
}

// seen is how far a follower has come.
type seen struct {
	output int64
	notes  int
}

// look returns what is new, and the channel that tells of more. Over is set when
// there will be no more.
func (r *run) look(s *seen) (notes []lifecycle.Note, out wire.Output, over bool, news <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.notes = min(s.notes, len(r.notes))
	notes = r.notes[s.notes:]
	s.notes = len(r.notes)
	from := max(s.output, r.start)
	if end := r.start + int64(len(r.output)); from < end {
		piece := r.output[from-r.start:]
		out = wire.Output{Offset: from, Data: append([]byte(nil), piece[:min(len(piece), pieceSize)]...)}
		s.output = from + int64(len(out.Data))
	}
	over = r.over && s.output >= r.start+int64(len(r.output))
	return notes, out, over, r.news
}

// pieceSize is how much output goes into one frame.
const pieceSize = 32 << 10
