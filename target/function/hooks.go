package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// DefaultTimeout is how long a function may take to say how it went, from its first
// call on (CodeDeploy: one hour).
const DefaultTimeout = time.Hour

// Hooks runs functions as hooks. Set the fields before first use and leave them; then
// it may be used from many goroutines. One Hooks serves all drivers of a process: a
// callback wakes what waits in the Hooks that took it. It must not be copied after use.
type Hooks struct {
	Caller  Caller        // calls the functions. Required
	Timeout time.Duration // zero: DefaultTimeout
	// Ledger keeps outcomes. Nil: a memory of this Hooks' own. A hook that was begun
	// before a crash then counts as interrupted.
	Ledger Ledger
	// Secret authenticates callbacks; at least 16 bytes that nobody can guess, and the
	// same after a restart. Nil: functions cannot call back.
	Secret []byte
	// Note takes what should be known of callbacks that changed nothing: late ones,
	// and forged ones. It may be called from any goroutine. Nil: dropped.
	Note func(lifecycle.Note)

	mu     sync.Mutex
	memory Memory
	waits  map[string]context.CancelFunc // by step key: ends what waits for a callback
}

// minSecret is the fewest bytes of a secret.
const minSecret = 16

// Run runs a function as the hook of a step and returns when it is decided: nil if it
// said that all is well, else a [*lifecycle.Error], with code HookFailed if it said
// that it is not or failed, TimedOut if it said nothing in time, and Interrupted if
// nobody can say. An empty name is no hook, which is success.
//
// A step that comes again has the outcome that it had, or goes on waiting; its
// function is not called again unless it asked for that. When ctx is cancelled Run
// returns soon, with context.Cause(ctx). It is never called twice at once for one step.
func (h *Hooks) Run(ctx context.Context, t target.Task, function string) error {
	if function == "" {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := h.valid(t.Step); err != nil {
		return err
	}
	r := &run{h: h, task: t, function: function, key: t.Step.Key()}
	r.decided = h.enter(ctx, r.key)
	defer h.leave(r.key)
	e, err := r.known(ctx)
	for err == nil && e.Phase != Ended {
		e, err = r.advance(ctx, e)
	}
	if err != nil {
		return r.broken(ctx, err)
	}
	if e.Failure != nil {
		return &lifecycle.Error{Step: t.Step, Failure: *e.Failure}
	}
	return nil
}

// Check finds out, before anything is touched, whether functions could be called, as
// far as the caller can tell ([Prober]). It calls none. Empty names are skipped.
func (h *Hooks) Check(ctx context.Context, functions ...string) error {
	for _, f := range functions {
		if f == "" {
			continue
		}
		if err := h.valid(lifecycle.Step{}); err != nil {
			return err
		}
		if p, ok := h.Caller.(Prober); ok {
			if err := p.Probe(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Hooks) valid(step lifecycle.Step) error {
	why := ""
	switch {
	case h == nil || h.Caller == nil:
		why = "the AppSpec names a hook and nobody can call it: set Hooks, with a Caller"
	case len(h.Secret) > 0 && len(h.Secret) < minSecret:
		why = fmt.Sprintf("Hooks.Secret has %d bytes: give it %d or more that nobody can guess", len(h.Secret), minSecret)
	default:
		return nil
	}
	return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.Unsupported, Message: why}}
}

// enter returns a context that ends when a callback has decided the step.
func (h *Hooks) enter(ctx context.Context, key string) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	decided, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if h.waits == nil {
		h.waits = map[string]context.CancelFunc{}
	}
	h.waits[key] = cancel
	return decided
}

func (h *Hooks) leave(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits[key]()
	delete(h.waits, key)
}

func (h *Hooks) ledger() Ledger {
	if h.Ledger != nil {
		return h.Ledger
	}
	return &h.memory
}

// update changes what is known of a step, unless it has ended: what has ended stays
// as it is. It returns what is known then. Whoever waits for the step learns that it
// has ended, also from an update that finds it so: a ledger may have written the end
// down and failed after that.
func (h *Hooks) update(ctx context.Context, key string, change func(*Execution)) (Execution, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, err := h.ledger().Load(ctx, key)
	if err != nil {
		return e, err
	}
	if e.Phase != Ended {
		if change(&e); e.Phase == "" {
			return e, nil // nothing has begun that would have to be known
		}
		if err := h.ledger().Save(ctx, key, e); err != nil {
			return e, err
		}
	}
	if cancel := h.waits[key]; cancel != nil && e.Phase == Ended {
		cancel()
	}
	return e, nil
}

// run is one call of [Hooks.Run].
type run struct {
	h        *Hooks
	task     target.Task
	function string
	key      string
	decided  context.Context // ends when somebody has decided
	called   bool            // the function was called by this run
}

// advance does what is to be done next.
func (r *run) advance(ctx context.Context, e Execution) (Execution, error) {
	rerun := r.task.Job != nil && r.task.Job.RerunInterrupted
	switch {
	case e.Phase == "" && r.task.Again && r.h.Ledger == nil && !rerun:
		return r.lost(ctx, e)
	case e.Phase == "":
		return r.call(ctx, e)
	case e.Phase == Again:
		return r.again(ctx, e)
	case e.Phase == Waiting:
		return r.wait(ctx, e, lifecycle.TimedOut, "has not called back")
	case rerun && r.called:
		return e, errUnknown
	case rerun:
		r.note("the function %s is called again: nobody can say whether it ran before", r.function)
		return r.call(ctx, e)
	default:
		return r.lost(ctx, e)
	}
}

// errUnknown makes the engine ask again.
var errUnknown = errors.New("the function was called and its answer was lost")

// lost is what becomes of a call without an answer: the function may still call back.
func (r *run) lost(ctx context.Context, e Execution) (Execution, error) {
	const why = "was called, and nobody can say how that ended; set RerunInterrupted to call it again"
	if len(r.h.Secret) == 0 {
		return r.end(ctx, lifecycle.Interrupted, why)
	}
	if e.Phase != "" {
		return r.wait(ctx, e, lifecycle.Interrupted, why)
	}
	return r.h.update(ctx, r.key, r.begin) // it is known to nobody but the journal
}

// begin is the first thing that is written down.
func (r *run) begin(e *Execution) {
	e.Step, e.Function, e.Phase = r.task.Step, r.function, Calling
	if e.Began.IsZero() {
		e.Began = time.Now().UTC()
	}
}

// deadline is when the function must have said how it went.
func (r *run) deadline(e Execution) time.Time {
	limit := r.h.Timeout
	if limit <= 0 {
		limit = DefaultTimeout
	}
	return e.Began.Add(limit)
}

// wait waits for a callback, and no longer than the function may take.
func (r *run) wait(ctx context.Context, e Execution, code lifecycle.Code, why string) (Execution, error) {
	decided, err := r.until(ctx, r.deadline(e))
	switch {
	case err != nil:
		return e, err
	case decided:
		return r.known(ctx)
	}
	return r.end(ctx, code, fmt.Sprintf("%s; waited %s for it", why, r.deadline(e).Sub(e.Began)))
}

// again waits until the function is to be called again, and calls it.
func (r *run) again(ctx context.Context, e Execution) (Execution, error) {
	next, end := e.Next, r.deadline(e)
	if next.After(end) {
		next = end
	}
	decided, err := r.until(ctx, next)
	switch {
	case err != nil:
		return e, err
	case decided:
		return r.known(ctx)
	case next.Equal(end):
		return r.tooLate(ctx, e)
	}
	return r.call(ctx, e)
}

func (r *run) tooLate(ctx context.Context, e Execution) (Execution, error) {
	return r.end(ctx, lifecycle.TimedOut, fmt.Sprintf("has not said within %s how it went", r.deadline(e).Sub(e.Began)))
}

// until waits for a moment, and reports whether the step was decided before it.
func (r *run) until(ctx context.Context, when time.Time) (decided bool, err error) {
	timer := time.NewTimer(time.Until(when))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-r.decided.Done():
		return true, nil
	case <-timer.C:
		return false, nil
	}
}

// call calls the function and takes in what it says.
func (r *run) call(ctx context.Context, e Execution) (Execution, error) {
	e, err := r.h.update(ctx, r.key, r.begin)
	if err != nil || e.Phase == Ended {
		return e, err
	}
	payload, err := json.Marshal(Payload{DeploymentID: r.task.Step.Deployment, ExecutionID: r.h.executionID(r.task.Step), Details: e.Details})
	if err != nil {
		return e, err
	}
	r.called = true
	callCtx, cancel := context.WithDeadlineCause(ctx, r.deadline(e), errTooLong)
	defer cancel()
	defer context.AfterFunc(r.decided, cancel)()
	answer, err := r.h.Caller.Call(callCtx, Invocation{Function: r.function, Payload: payload, Step: r.task.Step})
	switch {
	case r.decided.Err() != nil:
		return r.known(ctx)
	case err != nil && ctx.Err() != nil:
		return e, context.Cause(ctx)
	case err != nil && context.Cause(callCtx) == errTooLong:
		return r.tooLate(ctx, e)
	}
	kept := context.WithoutCancel(ctx) // what the function has said counts
	return r.h.update(kept, r.key, func(e *Execution) { e.hear(answer, err, time.Now().UTC(), len(r.h.Secret) > 0) })
}

var errTooLong = errors.New("the function took too long")

// known reads what a callback has decided.
func (r *run) known(ctx context.Context) (Execution, error) {
	return r.h.update(context.WithoutCancel(ctx), r.key, func(*Execution) {})
}

// end decides a step that was not decided meanwhile.
func (r *run) end(ctx context.Context, code lifecycle.Code, why string) (Execution, error) {
	f := &lifecycle.Failure{Code: code, Message: "the function " + r.function + " " + why}
	return r.h.update(context.WithoutCancel(ctx), r.key, func(e *Execution) {
		r.begin(e)
		e.Phase, e.Failure = Ended, f
	})
}

func (r *run) note(format string, args ...any) {
	if r.task.Note != nil {
		r.task.Note(lifecycle.Note{Text: fmt.Sprintf(format, args...)})
	}
}

// broken is the error of a run that has decided nothing.
func (r *run) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errUnknown):
		return &lifecycle.Error{Step: r.task.Step, Err: err, Failure: lifecycle.Failure{Code: lifecycle.Unknown, Message: err.Error()}}
	}
	return &lifecycle.Error{Step: r.task.Step, Err: err, Failure: lifecycle.Failure{Code: lifecycle.JournalFailed,
		Message: fmt.Sprintf("what becomes of the hook cannot be kept: %v; the function was not called again", err)}}
}
