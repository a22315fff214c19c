package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// ErrLost says that the connection to an agent has ended. The step goes on without
// it; who asks again over a new connection gets its outcome.
var ErrLost = errors.New("the connection to the agent was lost")

// ErrAgain says that the agent has not done the step and has to be asked again, by a
// new connection: it makes room for one of another build.
var ErrAgain = errors.New("the agent has not done the step: ask again")

// Client talks to an agent's process over a stream: how it is started and reached
// is a driver's business. It is safe for concurrent use. Make one with [Connect].
type Client struct {
	conn   *wire.Conn
	stream io.ReadWriteCloser
	pid    int // of the agent's process

	asking sync.Mutex // held while a request is sent
	job    []byte     // of the last request, as JSON

	mu       sync.Mutex
	requests map[uint32]*inquiry
	last     uint32
	err      error // why the connection ended
	ended    chan struct{}
}

// Connect shakes hands over stream, which is standard input and output of
// "PROGRAM cutover-agent serve …", from the banner on: a [bufio.Reader] behind
// stream's Read may have read ahead. The stream is closed when ctx ends before the
// handshake does, and by Close.
func Connect(ctx context.Context, stream io.ReadWriteCloser, s Start) (*Client, error) {
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	c := &Client{
		conn: wire.NewConn(stream, stream), stream: stream,
		requests: map[uint32]*inquiry{}, ended: make(chan struct{}),
	}
	err := c.conn.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: s.identity(), Settings: s.settings()})
	if err == nil {
		err = c.welcome(s)
	}
	if err != nil {
		_ = stream.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	go c.read()
	return c, nil
}

// welcome waits for the agent's hello.
func (c *Client) welcome(s Start) error {
	for {
		f, err := c.conn.Read()
		if err != nil {
			return fmt.Errorf("%w before it had introduced itself: %w", ErrLost, err)
		}
		switch f.Kind {
		case wire.KindWait:
		case wire.KindRefuse:
			var r wire.Refusal
			if err := f.Decode(&r); err != nil {
				return err
			}
			return fmt.Errorf("the agent refuses: %s", r.Why)
		case wire.KindHello:
			var h wire.Hello
			if err := f.Decode(&h); err != nil {
				return err
			}
			if h.Version != wire.Version || h.Digest != s.identity() {
				return fmt.Errorf("the agent is another one (version %d, %.12s…) than was started (version %d, %.12s…)", h.Version, h.Digest, wire.Version, s.Digest)
			}
			c.pid = h.PID
			return nil
		default:
			return fmt.Errorf("the agent introduces itself with a frame of kind %d", f.Kind)
		}
	}
}

// read hands frames to those who asked, until the connection ends.
func (c *Client) read() {
	var err error
	for {
		var f wire.Frame
		if f, err = c.conn.Read(); err != nil {
			break
		}
		c.mu.Lock()
		q := c.requests[f.ID]
		c.mu.Unlock()
		if q != nil && !q.see(f) { // nil: of a step that was abandoned
			q.put(f)
		}
	}
	c.mu.Lock()
	c.err = fmt.Errorf("%w: %w", ErrLost, err)
	c.mu.Unlock()
	close(c.ended)
	_ = c.stream.Close()
}

// Close ends the connection. Steps that are being done go on.
func (c *Client) Close() error {
	err := c.stream.Close()
	<-c.ended
	return err
}

// Ended is closed when the connection has ended, for whatever reason.
func (c *Client) Ended() <-chan struct{} { return c.ended }

func (c *Client) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// cancelWait is how long a connection may take to be told of a cancel.
const cancelWait = 2 * time.Second

// Perform asks the agent for a step and waits for its outcome; the contract is that
// of [target.Host], but for lost connections: these are an error that matches
// [ErrLost], and the step is to be asked for again over a new connection, with the
// same watch. The content of t.Job.Bundle is sent as far as the host lacks it.
//
// When ctx is cancelled, Perform returns context.Cause(ctx) soon. The step goes on, and
// whoever asks for it again gets its outcome. A connection that is stuck then is closed.
func (c *Client) Perform(ctx context.Context, t target.Task, w *Watch) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if w == nil {
		w = &Watch{}
	}
	defer func() {
		if errors.Is(err, ErrLost) && ctx.Err() != nil { // both came at once
			err = context.Cause(ctx)
		}
	}()
	over := make(chan struct{})
	defer close(over)
	defer context.AfterFunc(ctx, func() { // whoever writes to a stuck connection is let go
		select {
		case <-over:
		case <-time.After(cancelWait):
			_ = c.stream.Close()
		}
	})()
	id, q := c.begin()
	req, sender := w.request(t)
	sctx, stop := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer func() { stop(); c.end(id, q); sending.Wait() }()
	if err := c.ask(id, req); err != nil {
		return err
	}
	if sender != nil {
		sending.Go(func() { c.supply(sctx, id, q, sender) })
	}
	for {
		lost := false
		select {
		case <-q.come:
		case err := <-q.failed:
			return err
		case <-ctx.Done():
			_ = c.conn.Write(wire.KindCancel, id, nil)
			return context.Cause(ctx)
		case <-c.ended: // what had come is taken first: it may be the outcome
			lost = true
		}
		f, ok := q.take()
		if !ok && lost {
			return c.lost()
		}
		if !ok {
			continue
		}
		if over, err := c.take(f, q, t, w, sender != nil); over {
			return err
		}
	}
}

// ask sends a request. The job goes along only if it is not that of the request
// before, as it nearly always is.
func (c *Client) ask(id uint32, req wire.Request) error {
	job, err := json.Marshal(req.Job)
	if err != nil {
		return err
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if bytes.Equal(job, c.job) {
		req.Job = nil
	}
	if err := c.conn.Send(wire.KindPerform, id, req); errors.Is(err, wire.ErrTooLong) {
		return fail(req.Step, lifecycle.TargetFailed, "the step cannot be asked for: %w; make what the job carries smaller, such as its Env", err)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	c.job = job
	return nil
}

func (c *Client) begin() (uint32, *inquiry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	q := newInquiry()
	c.requests[c.last] = q
	return c.last, q
}

func (c *Client) end(id uint32, q *inquiry) {
	c.mu.Lock()
	delete(c.requests, id)
	c.mu.Unlock()
	q.end()
}

// take deals with one frame of a request.
func (c *Client) take(f wire.Frame, q *inquiry, t target.Task, w *Watch, offered bool) (over bool, err error) {
	switch f.Kind {
	case wire.KindNote:
		var n lifecycle.Note
		if err := f.Decode(&n); err != nil {
			return true, err
		}
		w.tell(n, t.Note)
	case wire.KindOutput:
		o, err := wire.ParseOutput(f.Payload)
		if err != nil {
			return true, err
		}
		w.show(o, t.Output)
	case wire.KindWant:
		var want wire.Want
		if err := f.Decode(&want); err != nil {
			return true, err
		}
		if !offered {
			return true, errors.New("the agent asks for a revision that it was not offered")
		}
		select {
		case q.wants <- want:
		default:
			return true, fmt.Errorf("%w: the agent asks for more before it has what it asked for", ErrLost)
		}
	case wire.KindDone:
		var a wire.Answer
		if err := f.Decode(&a); err != nil {
			return true, err
		}
		return true, outcomeOf(t.Step, a)
	default:
		return true, fmt.Errorf("%w: an agent does not send frames of kind %d", ErrLost, f.Kind)
	}
	return false, nil
}

func outcomeOf(s lifecycle.Step, a wire.Answer) error {
	switch {
	case a.Again != "":
		return fmt.Errorf("%w: %s", ErrAgain, a.Again)
	case a.Failure != nil:
		return &lifecycle.Error{Step: s, Failure: *a.Failure}
	}
	return nil
}

// supply sends what the host wants of the revision, until ctx ends.
func (c *Client) supply(ctx context.Context, id uint32, q *inquiry, sender *transfer.Sender) {
	for {
		select {
		case want := <-q.wants:
			if err := c.send(ctx, id, q, want, sender); err != nil {
				q.failed <- err
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// send answers one question. An error means that the connection is lost.
func (c *Client) send(ctx context.Context, id uint32, q *inquiry, want wire.Want, sender *transfer.Sender) error {
	out := &dataWriter{ctx: ctx, c: c, id: id, q: q}
	err := sender.Answer(ctx, want, out)
	if err == nil {
		err = out.flush()
	}
	switch {
	case q.answered.Load() || ctx.Err() != nil: // such as that the disk is full
		return nil
	case c.lost() != nil:
		return c.lost()
	}
	why := ""
	if err != nil { // the agent makes it the outcome of the step
		why = err.Error()
	}
	if err := c.conn.Write(wire.KindEnd, id, []byte(why)); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return nil
}

// errAnswered says that the host has ended the request, and wants no more.
var errAnswered = errors.New("the request was answered")

// dataWriter makes frames of a stream, and waits for the agent to take them. All but the
// last are full: the agent has room for as many as fit into what may be sent ahead.
type dataWriter struct {
	ctx context.Context
	c   *Client
	id  uint32
	q   *inquiry
	buf []byte
}

func (w *dataWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), wire.MaxPiece-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		n, p = n+k, p[k:]
		if len(w.buf) == wire.MaxPiece {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush sends what is left.
func (w *dataWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if err := w.wait(int64(len(w.buf))); err != nil {
		return err
	}
	if err := w.c.conn.Write(wire.KindData, w.id, w.buf); err != nil {
		return err
	}
	w.q.sent += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// wait waits until so many bytes more may be sent.
func (w *dataWriter) wait(more int64) error {
	for {
		switch {
		case w.q.answered.Load():
			return errAnswered
		case w.q.sent+more-w.q.taken.Load() <= wire.MaxAhead:
			return nil
		}
		select {
		case <-w.q.news:
		case <-w.c.ended:
			return w.c.lost()
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}
