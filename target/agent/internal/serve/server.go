package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Doer does steps on this machine: an agent with its settings.
type Doer interface {
	// Do does a step. Whoever brings is asked if the revision is not on the host. The
	// task's Output gets all that the step has printed on this host, what it printed when
	// it was asked for before included: offsets count from there.
	Do(ctx context.Context, t target.Task, from Bringer) error
}

// Bringer brings a revision to the host.
type Bringer interface {
	// Bring gets the revision. Dir is for what has come so far, retained is what the
	// host has; sure: read it before relying on it. Done gives back what the bundle
	// holds.
	Bring(ctx context.Context, dir string, retained func() []Retained, sure bool) (b *revision.Bundle, done func(), err error)
}

// Server does steps for controllers. Set the fields before first use.
type Server struct {
	Digest string // of this executable
	// NewDoer makes the agent for the settings of a controller. It is called once for
	// each different settings.
	NewDoer func(wire.Settings) Doer

	mu       sync.Mutex
	runs     map[string]*run // by Step.Key
	doers    map[string]Doer // by settings, as JSON
	sessions int
	open     map[*session]bool // those past their hello
	retiring bool
	idle     chan struct{} // closed when a server that was in use has nothing left to do
	wait     sync.WaitGroup
}

// errGone is the cause of the end of a run whose supplier is gone.
var errGone = errors.New("the controller that was sending the revision is gone")

// errRetiring is the cause of the end of a run that waits for a supplier while another
// build waits for its place.
var errRetiring = errors.New(Retiring + ": this agent makes room for one of another build before the revision has come")

// Enter counts a controller in; it must be called before the connection is served.
// False: the server has ended.
func (s *Server) Enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended() {
		return false
	}
	s.sessions++
	return true
}

func (s *Server) ended() bool {
	select {
	case <-s.idleLocked():
		return true
	default:
		return false
	}
}

func (s *Server) idleLocked() chan struct{} {
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	return s.idle
}

// Idle is closed when the last controller has gone and the last run is over.
func (s *Server) Idle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idleLocked()
}

// leave counts a controller out.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions--
	s.settle()
}

// settle ends the server when nothing is left. The caller holds mu.
func (s *Server) settle() {
	if s.sessions == 0 && len(s.runs) == 0 && !s.ended() {
		close(s.idleLocked())
	}
}

// Wait returns when no run and no session is left.
func (s *Server) Wait() { s.wait.Wait() }

func (s *Server) doer(set wire.Settings) (Doer, error) {
	key, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doers == nil {
		s.doers = map[string]Doer{}
	}
	d, ok := s.doers[string(key)]
	if !ok {
		d = s.NewDoer(set)
		s.doers[string(key)] = d
	}
	return d, nil
}

// retire makes the server take no new runs, and let go of controllers that wait for
// none: one of another version is waiting for its place. Runs that wait for a controller
// do not hold it up, which may be gone without anybody having noticed.
func (s *Server) retire() {
	s.mu.Lock()
	first := !s.retiring // who waits asks again and again, which gives nobody more time
	s.retiring = true
	for _, r := range s.runs {
		if r.supplier.Load() != nil {
			r.cancel(errRetiring)
		}
	}
	var all []*session
	for se := range s.open {
		all = append(all, se)
	}
	s.mu.Unlock()
	for _, se := range all {
		if first {
			se.hurry()
		}
		se.release()
	}
}

func (s *Server) isRetiring() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retiring
}

func (s *Server) opened(se *session, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*session]bool{}
	}
	if open {
		s.open[se] = true
	} else {
		delete(s.open, se)
	}
}

// join finds the run of a step, or starts it. Nil: the server takes no new runs.
func (s *Server) join(q *request) *run {
	key := q.Step.Key()
	for {
		s.mu.Lock()
		r, ok := s.runs[key]
		if !ok {
			if s.retiring {
				s.mu.Unlock()
				return nil
			}
			r = s.start(q, key)
			s.mu.Unlock()
			return r
		}
		s.mu.Unlock()
		if r.supplier.Load() == nil || r.supplier.Load() == q {
			return r
		}
		// It depends on a controller that may be gone without anybody having noticed.
		// This one is there, so the run begins anew with it.
		r.cancel(errGone)
		<-r.done
	}
}

// start begins a run. The caller holds mu.
func (s *Server) start(q *request, key string) *run {
	ctx, cancel := context.WithCancelCause(context.Background())
	r := newRun(cancel)
	if s.runs == nil {
		s.runs = map[string]*run{}
	}
	s.runs[key] = r
	s.wait.Go(func() {
		defer cancel(nil)
		err := q.doer.Do(ctx, target.Task{Step: q.Step, Job: q.Job, Note: r.note, Output: r}, &bringer{r: r, q: q})
		s.mu.Lock()
		delete(s.runs, key)
		s.settle()
		s.mu.Unlock()
		r.end(answer(ctx, err))
	})
	return r
}

// answer is what the controller is told.
func answer(ctx context.Context, err error) wire.Answer {
	switch {
	case err == nil:
		return wire.Answer{}
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return wire.Answer{Again: err.Error()}
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return wire.Answer{Failure: &e.Failure}
	}
	return wire.Answer{Failure: &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: err.Error()}}
}

// Accept serves those who connect until the server is idle, and then waits for what
// is left.
func (s *Server) Accept(l net.Listener) {
	go func() {
		<-s.Idle()
		_ = l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		if !s.Enter() {
			_ = c.Close()
			break
		}
		s.wait.Go(func() { s.Serve(c) })
	}
	s.Wait()
}
