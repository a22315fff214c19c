package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// outputs are the two streams of a script. They are pipes, read by a goroutine
// each, because pipes hold a script back that prints faster than its output can
// be kept, and because a script may open /dev/stderr again without emptying what
// was printed before; files do neither. What files do better, outliving this
// process, is done by handing the pipe over: see drain.
type outputs struct {
	stdout, stderr stream
	sink           sink
	mu             sync.Mutex    // guards sink
	closed         bool          // sink takes no more
	left           atomic.Int32  // readers at work
	done           chan struct{} // closed when both streams have ended; nil: never listened
}

// stream is one pipe.
type stream struct {
	mark string
	r, w *os.File
	rest []byte // of a line that is not ended
	open bool   // the writing side was not closed when reading ended
}

func openOutputs(out sink) (*outputs, error) {
	o := &outputs{sink: out, stdout: stream{mark: markStdout}, stderr: stream{mark: markStderr}}
	for _, s := range []*stream{&o.stdout, &o.stderr} {
		var err error
		if s.r, s.w, err = os.Pipe(); err != nil {
			o.closeAll()
			return nil, err
		}
	}
	return o, nil
}

// closeAll closes what is open on our side. Closing twice does no harm.
func (o *outputs) closeAll() {
	for _, f := range []*os.File{o.stdout.r, o.stdout.w, o.stderr.r, o.stderr.w} {
		if f != nil {
			f.Close()
		}
	}
}

// listen begins to read. The writing sides are the script's alone from now on.
func (o *outputs) listen() {
	o.left.Store(2)
	o.done = make(chan struct{})
	for _, s := range []*stream{&o.stdout, &o.stderr} {
		s.w.Close()
		s.open = true
		go func() {
			o.read(s)
			if o.left.Add(-1) == 0 {
				close(o.done)
			}
		}()
	}
}

// read passes a stream on until all who hold it have closed it, or until it is
// interrupted by a deadline.
func (o *outputs) read(s *stream) {
	buf := make([]byte, 1<<10)
	for {
		n, err := s.r.Read(buf)
		o.pass(func() { s.split(buf[:n], o.sink) })
		if err != nil {
			s.open = os.IsTimeout(err)
			break
		}
		if n == len(buf) && n < gather {
			buf = make([]byte, gather) // it prints much
		}
	}
	if len(s.rest) > 0 {
		o.pass(func() { o.sink.add(s.mark, s.rest, true) })
	}
}

// pass gives the sink to one reader at a time.
func (o *outputs) pass(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		do()
		o.sink.commit()
	}
}

// split makes entries of lines. A line that is too long to keep passes in pieces.
func (s *stream) split(p []byte, out sink) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.rest = append(s.rest, p...)
			if len(s.rest) > maxRest {
				out.add(s.mark, s.rest, false)
				s.rest = s.rest[:0]
			}
			return
		}
		if len(s.rest) > 0 {
			s.rest = append(s.rest, p[:i+1]...)
			out.add(s.mark, s.rest, true)
			s.rest = s.rest[:0]
		} else {
			out.add(s.mark, p[:i+1], true)
		}
		p = p[i+1:]
	}
}

// wait waits until both streams have ended, at most d.
func (o *outputs) wait(ctx context.Context, d time.Duration) {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-o.done:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// finish stops reading and returns the streams that somebody still holds.
func (o *outputs) finish() []*stream {
	both := []*stream{&o.stdout, &o.stderr}
	for _, s := range both {
		// Long past, so reading stops now.
		if err := s.r.SetReadDeadline(time.Unix(1, 0)); errors.Is(err, os.ErrNoDeadline) {
			return o.abandon(both)
		}
	}
	<-o.done
	return slices.DeleteFunc(both, func(s *stream) bool { return !s.open })
}

// abandon is finish for systems whose pipes cannot be interrupted: a reader may
// stay until the pipe is closed, but it passes nothing on.
func (o *outputs) abandon(both []*stream) []*stream {
	select {
	case <-o.done:
		return nil
	default:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return both
}
