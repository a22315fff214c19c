package serve

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Retained is a revision that is on the host.
type Retained = transfer.Retained

// bringer gets the revision of a run by way of the request that started it.
type bringer struct {
	r *run
	q *request
}

// Bring implements Bringer.
func (b *bringer) Bring(ctx context.Context, dir string, retained func() []Retained, sure bool) (*revision.Bundle, func(), error) {
	switch {
	case b.q.Fetch != nil:
		return transfer.Fetch(ctx, *b.q.Fetch, dir, b.q.Job.Revision.Digest)
	case b.q.Content == nil:
		return nil, nil, fmt.Errorf("%w: this host does not retain it, and nobody offers it", transfer.ErrUnavailable)
	}
	b.r.supplier.Store(b.q)
	defer b.r.supplier.Store(nil)
	switch { // before anybody could know that it mattered
	case b.q.ctx.Err() != nil:
		return nil, nil, b.end(ctx, errGone)
	case b.q.se.s.isRetiring():
		return nil, nil, b.end(ctx, errRetiring)
	}
	in := transfer.Receiver{Dir: dir, Content: *b.q.Content, Retained: retained(), Asker: b.q, Sure: sure}
	bundle, done, err := in.Receive(ctx)
	if err != nil && b.q.ctx.Err() != nil {
		return nil, nil, b.end(ctx, errGone)
	}
	return bundle, done, err
}

// end ends the run and returns why: it may have been ended before, for another cause.
func (b *bringer) end(ctx context.Context, cause error) error {
	b.r.cancel(cause)
	return context.Cause(ctx)
}

// Ask implements transfer.Asker: it asks the controller and returns what it sends.
func (q *request) Ask(ctx context.Context, want wire.Want) (io.Reader, error) {
	if err := q.se.conn.Send(wire.KindWant, q.id, want); err != nil {
		q.cancel(errGone)
		return nil, err
	}
	return &stream{ctx: ctx, q: q}, nil
}

// stream reads the pieces of one answer.
type stream struct {
	ctx  context.Context
	q    *request
	rest []byte
	err  error
}

func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 && s.err == nil {
		s.next()
	}
	if len(s.rest) == 0 {
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *stream) next() {
	select {
	case x := <-s.q.data:
		switch {
		case !x.end:
			s.rest = x.data
			s.q.taken += int64(len(x.data))
			_ = s.q.se.conn.Write(wire.KindTaken, s.q.id, wire.Taken(s.q.taken)) // a broken connection ends the request by itself
		case len(x.data) > 0:
			s.err = errors.New(string(x.data))
		default:
			s.err = io.EOF
		}
	case <-s.q.ctx.Done():
		s.err = errGone
	case <-s.ctx.Done():
		s.err = context.Cause(s.ctx)
	}
}
