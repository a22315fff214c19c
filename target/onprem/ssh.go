package onprem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/internal/lossy"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
)

// SSH is a host that is reached by SSH. Nothing has to be installed on it: this
// program's executable is sent there, once, and started as its agent. Set ID, Address
// and Access. It is safe for concurrent use. Do not change fields after the first
// call, and do not copy it.
//
// A step goes on when the connection is lost, and when this process dies; the next
// connection gets its outcome. Cancelling a step abandons it in the same way: it is
// not ended.
type SSH struct {
	ID   string // unique in the fleet, the same in every deployment. Required
	Zone string // availability zone; empty: none

	// Address is the host as it is dialled, "user@host:port", or a name of
	// Access.Config; user and port may be left out. Required.
	Address string
	Access  *Access // shared by the hosts of a fleet. Required
	// Jump are hosts to go through for this one. Nil: those of Access; not nil and
	// empty: none.
	Jump []string

	// Sudo starts the agent as root, by way of sudo, which must not ask for a password.
	Sudo bool

	// State is the directory on the host for what it remembers, its agents included.
	// It is made if missing. Empty: /var/lib/cutover for root, else
	// ~/.local/state/cutover.
	State string

	// Root, Allow, Env, Keep and Grace are what they are for [Local], on the host.
	Root  string
	Allow []string
	Env   []string
	Keep  int
	Grace time.Duration

	// Fetch lets the host get revisions from where they are kept, if their source can
	// give an address for it, instead of being sent what it lacks.
	Fetch bool

	// Output, if not nil, says where the output of a step's scripts goes while they
	// run. It wins over that of a task, and holds nothing up either. See [target.Task].
	Output func(lifecycle.Step) io.Writer

	once   sync.Once
	slot   chan struct{} // holds who connects
	mu     sync.Mutex
	link   *link
	unsure map[string]*agent.Watch // what was seen of steps of unknown outcome, by key
}

var (
	_ target.Host    = (*SSH)(nil)
	_ target.Checker = (*SSH)(nil)
)

// Unit says who the host is. Whether it can be reached shows when it is needed.
func (h *SSH) Unit() lifecycle.Unit { return lifecycle.Unit{ID: h.ID, Zone: h.Zone} }

// Check reports what is wrong with a revision, or with the settings of the host,
// before anything is touched. It connects to nothing.
func (h *SSH) Check(ctx context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if err := h.checkSettings(ctx); err != nil {
		return nil, h.fail(lifecycle.Step{}, lifecycle.TargetFailed, fmt.Errorf("host %s: %w", h.ID, err))
	}
	return (&agent.Agent{}).Check(ctx, job)
}

// checkSettings finds what can be found without a connection.
func (h *SSH) checkSettings(ctx context.Context) error {
	if err := h.valid(); err != nil {
		return err
	}
	h.Access.init()
	p, err := h.Access.resolve(h.Address, h.Jump)
	if err != nil {
		return err
	}
	if _, err := h.Access.trust(p); err != nil {
		return err
	}
	limit := h.Access.dial()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	_, done, err := h.Access.auth(ctx, p)
	if err != nil {
		return err
	}
	done()
	if h.Access.Executables == "" {
		_, err = h.Access.own()
	}
	return err
}

// valid says what is missing.
func (h *SSH) valid() error {
	switch {
	case h.ID == "" || h.Address == "" || h.Access == nil:
		return errors.New("set ID, Address and Access")
	case strings.HasPrefix(h.State, "~") || strings.HasPrefix(h.Root, "~"):
		return fmt.Errorf("State is %q and Root is %q: write whole paths, no shell of the host sees them", h.State, h.Root)
	}
	return nil
}

// Perform does one step on the host. Its contract is that of [target.Host].
func (h *SSH) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := h.valid(); err != nil {
		return h.fail(t.Step, lifecycle.TargetFailed, fmt.Errorf("host %q: %w", h.ID, err))
	}
	if t.Job == nil {
		return h.fail(t.Step, lifecycle.TargetFailed, errors.New("the task has no job"))
	}
	h.Access.init()
	if h.Output != nil {
		out, done := lossy.To(h.Output(t.Step))
		defer done()
		t.Output = out
	}
	w := h.watch(t.Step)
	err := h.perform(ctx, t, w)
	if e, ok := errors.AsType[*lifecycle.Error](err); ok && e.Code == lifecycle.Unknown {
		h.keep(t.Step, w)
	}
	return err
}

// watch is what was seen of a step so far. One whose outcome is unknown is asked for again,
// and what was seen does not come twice.
func (h *SSH) watch(s lifecycle.Step) *agent.Watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w, ok := h.unsure[s.Key()]; ok {
		delete(h.unsure, s.Key())
		return w
	}
	return h.Access.sending.Watch()
}

func (h *SSH) keep(s lifecycle.Step, w *agent.Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unsure == nil {
		h.unsure = map[string]*agent.Watch{}
	}
	h.unsure[s.Key()] = w
}

// maxLosses bounds how often a step is asked for again that is lost each time.
const maxLosses = 10

// perform asks for the step until there is an answer.
func (h *SSH) perform(ctx context.Context, t target.Task, w *agent.Watch) error {
	var lost time.Time // when the host, which had the step then, was last heard of; zero: it never had it
	for losses := 0; ; losses++ {
		l, err := h.connected(ctx)
		if err != nil {
			return h.unreachable(ctx, t.Step, lost, err)
		}
		err = h.ask(ctx, l, t, w, !lost.IsZero())
		h.release(l, err)
		switch {
		case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
			return context.Cause(ctx)
		case !errors.Is(err, agent.ErrLost) && !errors.Is(err, agent.ErrAgain):
			return err
		}
		if lost = time.Now(); losses == maxLosses {
			return h.unreachable(ctx, t.Step, lost, err)
		}
	}
}

// ask asks for the step once. An address of the revision is made anew each time, since
// none is good for long. Where none can be had any more, a host that may be doing the
// step is asked all the same: only it knows what becomes of it.
func (h *SSH) ask(ctx context.Context, l *link, t target.Task, w *agent.Watch, again bool) error {
	if h.Fetch {
		if err := w.Presign(ctx, t); err != nil && !again {
			return h.fail(t.Step, lifecycle.RevisionUnavailable, err)
		}
	}
	return l.agent.Perform(ctx, t, w)
}

// unreachable is the error of a step that got no answer. One that was never asked
// for has not been done; of one that was, nobody can say.
func (h *SSH) unreachable(ctx context.Context, s lifecycle.Step, lost time.Time, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return context.Cause(ctx)
	}
	code := lifecycle.UnitLost
	if _, ok := errors.AsType[*identityError](err); ok {
		code = lifecycle.IdentityChanged
	} else if _, ok := errors.AsType[*loginError](err); ok {
		code = lifecycle.Denied
	} else if _, ok := errors.AsType[*setupError](err); ok {
		code = lifecycle.TargetFailed
	}
	if !lost.IsZero() {
		return h.fail(s, lifecycle.Unknown, fmt.Errorf("the connection to %s was lost in the middle of the step, and the host is out of reach since %s: %w; look on the host, or deploy again when it is back",
			h.Address, lost.Format(time.RFC3339), err))
	}
	return h.fail(s, code, fmt.Errorf("%s: %w", h.Address, err))
}

func (h *SSH) fail(s lifecycle.Step, code lifecycle.Code, err error) error {
	return &lifecycle.Error{Step: s, Err: err, Failure: lifecycle.Failure{Code: code, Message: err.Error()}}
}

// start says how the agent is started.
func (h *SSH) start(p *program) agent.Start {
	return agent.Start{
		Digest: p.digest, Umask: h.Access.Umask,
		Root: h.Root, Allow: h.Allow, Env: h.Env, Keep: h.Keep, Grace: h.Grace,
	}
}

// link is a connection with the agent at its end.
type link struct {
	ssh   *client
	agent *agent.Client
	users int
	idle  *time.Timer
}

func (l *link) close() {
	_ = l.ssh.Close()
	_ = l.agent.Close()
}

func (l *link) alive() bool {
	select {
	case <-l.agent.Ended():
		return false
	default:
		return true
	}
}
