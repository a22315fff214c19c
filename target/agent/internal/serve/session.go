package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// session is one controller that is connected.
type session struct {
	s    *Server
	raw  io.ReadWriteCloser
	conn *wire.Conn
	doer Doer
	job  *target.Job // of the last request; belongs to the goroutine that reads

	mu       sync.Mutex
	requests map[uint32]*request
	wait     sync.WaitGroup
}

// request is one step that a controller has asked for.
type request struct {
	wire.Request
	id     uint32
	se     *session
	doer   Doer
	ctx    context.Context // ends when the controller is gone or has lost interest
	cancel context.CancelCauseFunc
	data   chan piece
	taken  int64 // bytes of data, by whoever reads the stream
}

// ahead is how many pieces may come that are not taken: as many as may be sent ahead, all
// full but for the last, and the end. Who reads the connection must not wait for a run.
const ahead = wire.MaxAhead/wire.MaxPiece + 1

// piece is what comes of a stream; the last one has end set.
type piece struct {
	data []byte
	end  bool
}

// Serve talks to one controller until the connection ends. Enter must have been
// called.
func (s *Server) Serve(c io.ReadWriteCloser) {
	defer s.leave()
	defer c.Close()
	se := &session{s: s, raw: c, requests: map[uint32]*request{}}
	se.conn = wire.NewConn(c, se)
	if err := se.greet(); err != nil {
		_ = se.conn.Send(wire.KindRefuse, 0, wire.Refusal{Why: err.Error()})
		return
	}
	s.opened(se, true)
	_ = se.read() // how a connection ends makes no difference
	s.opened(se, false)
	se.end()
}

// stuckWait is how long a controller may take nothing while another build waits for the
// server's place. What came of its steps is kept on the host, so it may ask again.
const stuckWait = 30 * time.Second

// Write writes to the connection. A controller that takes nothing holds its runs back,
// but not a server that is to make room.
func (se *session) Write(p []byte) (int, error) {
	if se.s.isRetiring() {
		se.hurry()
	}
	n, err := se.raw.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = se.raw.Close() // half a frame is no use
	}
	return n, err
}

// hurry limits the write that is going on, or the next one.
func (se *session) hurry() {
	if c, ok := se.raw.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(stuckWait)) // it fails on a closed connection only
	}
}

// release ends the connection if nothing is asked for.
func (se *session) release() {
	se.mu.Lock()
	defer se.mu.Unlock()
	if len(se.requests) == 0 {
		_ = se.raw.Close()
	}
}

// greet exchanges hellos and finds out whether the two fit together.
func (se *session) greet() error {
	f, err := se.conn.Read()
	if err != nil {
		return err
	}
	var h wire.Hello
	if f.Kind != wire.KindHello {
		return fmt.Errorf("the first frame has kind %d, not that of a hello", f.Kind)
	}
	if err := f.Decode(&h); err != nil {
		return err
	}
	switch {
	case h.Version != wire.Version:
		return fmt.Errorf("the controller speaks version %d of the protocol, this agent version %d: build both from one version of the library", h.Version, wire.Version)
	case h.Digest != se.s.Digest:
		// The other side starts an agent of its own as soon as this one has ended.
		se.s.retire()
		return fmt.Errorf("%s: this is the agent of another build (%.12s…), it finishes what it is doing", Retiring, se.s.Digest)
	case se.s.isRetiring():
		return fmt.Errorf("%s: this agent finishes what it is doing, since one of another build waits for its place", Retiring)
	case h.Settings == nil:
		return errors.New("the controller's hello has no settings")
	}
	if se.doer, err = se.s.doer(*h.Settings); err != nil {
		return err
	}
	return se.conn.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: se.s.Digest, PID: os.Getpid()})
}

// Retiring begins the refusal of an agent that makes room for another build. Who is
// refused so tries again until that has ended, also a controller of the agent's own build:
// there is no end to asking one that does nothing new.
const Retiring = "retiring"

// read takes frames until the connection ends or says something senseless.
func (se *session) read() error {
	for {
		f, err := se.conn.Read()
		if err != nil {
			return err
		}
		switch f.Kind {
		case wire.KindPerform:
			err = se.open(f)
		case wire.KindCancel:
			se.close(f.ID)
		case wire.KindData, wire.KindEnd:
			err = se.pass(f)
		default:
			err = fmt.Errorf("a controller does not send frames of kind %d", f.Kind)
		}
		if err != nil {
			return err
		}
	}
}

// open begins a request.
func (se *session) open(f wire.Frame) error {
	q := &request{id: f.ID, se: se, doer: se.doer, data: make(chan piece, ahead)}
	if err := f.Decode(&q.Request); err != nil {
		return err
	}
	if q.Job == nil {
		q.Job = se.job
	}
	if se.job = q.Job; q.Job == nil {
		return errors.New("a request without a job, and none before it")
	}
	q.ctx, q.cancel = context.WithCancelCause(context.Background())
	se.mu.Lock()
	_, again := se.requests[f.ID]
	if !again {
		se.requests[f.ID] = q
	}
	se.mu.Unlock()
	if again {
		return fmt.Errorf("request %d is open already", f.ID)
	}
	se.wait.Go(func() {
		q.follow()
		se.close(q.id)
		if se.s.isRetiring() {
			se.release()
		}
	})
	return nil
}

// close ends a request; its run goes on.
func (se *session) close(id uint32) {
	se.mu.Lock()
	q := se.requests[id]
	delete(se.requests, id)
	se.mu.Unlock()
	if q != nil {
		q.cancel(errGone)
	}
}

// pass hands a piece of a stream to the request that it is for. One that is closed
// takes no more.
func (se *session) pass(f wire.Frame) error {
	se.mu.Lock()
	q := se.requests[f.ID]
	se.mu.Unlock()
	if q == nil {
		return nil
	}
	p := piece{data: f.Payload, end: f.Kind == wire.KindEnd}
	select {
	case q.data <- p:
	case <-q.ctx.Done():
	}
	return nil
}

// end gives up all requests and waits for their goroutines.
func (se *session) end() {
	se.mu.Lock()
	for _, q := range se.requests {
		q.cancel(errGone)
	}
	se.mu.Unlock()
	se.wait.Wait()
}

// done closes the request. The controller waits for it, so an answer that is too long for
// a frame goes without its middle.
func (q *request) done(a wire.Answer) {
	err := q.se.conn.Send(wire.KindDone, q.id, a)
	if !errors.Is(err, wire.ErrTooLong) || a.Failure == nil {
		return // a broken connection ends the request by itself
	}
	f := *a.Failure
	f.Message, f.Log = shorten(f.Message), shorten(f.Log)
	_ = q.se.conn.Send(wire.KindDone, q.id, wire.Answer{Failure: &f})
}

// shorten leaves the begin and the end. In JSON a byte may take six.
func shorten(s string) string {
	const most = 32 << 10
	if len(s) <= 2*most {
		return s
	}
	return s[:most] + " … " + s[len(s)-most:]
}

// follow shows a run to the controller until it is over.
func (q *request) follow() {
	r := q.se.s.join(q)
	if r == nil {
		_ = q.se.conn.Send(wire.KindDone, q.id, wire.Answer{Again: Retiring})
		return
	}
	at := &seen{output: q.Output}
	if q.Quiet {
		at.output = math.MaxInt64
	}
	for {
		notes, out, over, news := r.look(at)
		for _, n := range notes {
			_ = q.se.conn.Send(wire.KindNote, q.id, n) // a broken connection ends the request by itself
		}
		if len(out.Data) > 0 {
			_ = q.se.conn.Write(wire.KindOutput, q.id, out.Append(nil))
			if q.ctx.Err() == nil {
				continue
			}
		}
		if over {
			q.done(r.answer)
			return
		}
		select {
		case <-news:
		case <-q.ctx.Done():
			if r.supplier.Load() == q {
				r.cancel(errGone)
			}
			return
		}
	}
}
