package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Agent does deployments on one machine. Set Dir; the zero value of everything
// else is a sensible default. It is safe for concurrent use: one step runs at a
// time, on the whole host, also when several processes share Dir. Do not change
// fields after the first call.
type Agent struct {
	// Dir is the state directory: retained revisions, logs, what is installed,
	// outcomes of steps. It is made if missing. Keep it for the life of the host
	// and out of the reach of other accounts. Users that scripts run as (runas)
	// must be able to pass through its parents.
	Dir string

	// Root is the directory that deployments take for the root of the file system.
	// Empty: the real one.
	Root string
	// Allow lists directories outside Root that destinations may lie in as
	// written. Empty: none.
	Allow []string

	// Env is the environment that scripts start from, "NAME=value". The agent's
	// own variables win over it. Nil: a small fixed one, nothing is inherited.
	Env []string

	// Keep is how many revisions of a group stay on the host, the new one
	// included. Zero: 5.
	Keep int

	// Grace is the time between TERM and KILL for a script that has to end.
	// Zero: that of [lifecycle.Script].
	Grace time.Duration

	// Wait bounds the waiting for a step of another deployment that is running on
	// the host. Zero: an hour, which is what one lifecycle event may take.
	Wait time.Duration

	mu      sync.Mutex
	running map[string]chan struct{} // by Step.Key; closed when the step is over
}

// dir is Dir, absolute, as scripts and the install see it.
func (a *Agent) dir() string {
	if dir, err := filepath.Abs(a.Dir); err == nil {
		return dir
	}
	return a.Dir
}

// root is Root, absolute.
func (a *Agent) root() string {
	if a.Root == "" {
		return filepath.VolumeName(a.dir()) + string(filepath.Separator)
	}
	if dir, err := filepath.Abs(a.Root); err == nil {
		return dir
	}
	return a.Root
}

func (a *Agent) wait() time.Duration {
	if a.Wait > 0 {
		return a.Wait
	}
	return time.Hour
}

func (a *Agent) keep() int {
	if a.Keep > 0 {
		return a.Keep
	}
	return 5
}

// Perform does one step and returns when it is done: nil for success, else a
// [*lifecycle.Error]. Its contract is that of [target.Host]: a step that has
// ended answers with its recorded outcome, one that is running is waited for, one
// that was cut off in the middle of a script fails with code Interrupted unless
// the job says RerunInterrupted. Start, DownloadBundle and Install are never
// interrupted: they are put right and done again.
//
// When ctx is cancelled the step is abandoned: its scripts are ended, all of
// them, and context.Cause(ctx) is returned.
func (a *Agent) Perform(ctx context.Context, t target.Task) error { return a.performBy(ctx, t, nil) }

// performBy is Perform with somebody who brings what the host lacks; nil: nobody.
func (a *Agent) performBy(ctx context.Context, t target.Task, bring bringer) error {
	if err := a.check(t); err != nil {
		return err
	}
	key := t.Step.Key()
	for {
		over, mine := a.join(key)
		if mine {
			defer a.leave(key, over)
			return a.perform(ctx, t, bring)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
		}
		// Either its outcome is on record now, or it was abandoned and is ours.
	}
}

// check refuses what no agent can do.
func (a *Agent) check(t target.Task) error {
	switch {
	case a.Dir == "":
		return fail(t.Step, lifecycle.TargetFailed, "the agent has no state directory: set Agent.Dir")
	case t.Job == nil:
		return fail(t.Step, lifecycle.TargetFailed, "the task has no job")
	case t.Job.Group == "" || t.Step.Deployment == "":
		return fail(t.Step, lifecycle.TargetFailed, "a step needs the id of its deployment and of its group")
	}
	return nil
}

// join returns a channel that is closed when the step is over, and whether it is
// the caller who has to do it.
func (a *Agent) join(key string) (over chan struct{}, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if over, ok := a.running[key]; ok {
		return over, false
	}
	if a.running == nil {
		a.running = map[string]chan struct{}{}
	}
	over = make(chan struct{})
	a.running[key] = over
	return over, true
}

func (a *Agent) leave(key string, over chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, key)
	close(over)
}

// perform does the step unless its outcome is known, and records the outcome
// before it returns.
func (a *Agent) perform(ctx context.Context, t target.Task, bring bringer) error {
	if err := a.makeDir(); err != nil {
		return fail(t.Step, lifecycle.TargetFailed, "the state directory cannot be made: %v", err)
	}
	unlock, dead, err := a.lock(ctx, t.Step)
	if err != nil {
		return a.answer(ctx, t.Step, err)
	}
	defer unlock()
	o, err := a.recall(t.Step)
	if err != nil {
		return err
	}
	w := newWork(a, t, o)
	w.bring = bring
	if dead != nil {
		if err := w.endLeftovers(ctx, *dead); err != nil {
			return a.answer(ctx, t.Step, err)
		}
	}
	w.showAgain()
	if o.Ended {
		for _, n := range o.Notes {
			w.tell(n)
		}
		return o.result(t.Step)
	}
	err = w.do(ctx)
	if abandoned(ctx, err) {
		return context.Cause(ctx)
	}
	return w.end(err)
}

// answer is how an error leaves Perform when the step was not begun.
func (a *Agent) answer(ctx context.Context, s lifecycle.Step, err error) error {
	if abandoned(ctx, err) {
		return context.Cause(ctx)
	}
	return asError(s, err)
}

// env names a script of a step of this agent, by its place in the list: what the
// script leaves running is found by it.
func (a *Agent) env(s lifecycle.Step, script int) lifecycle.Env {
	return lifecycle.Env{Step: s, Scope: a.dir() + "#" + strconv.Itoa(script)}
}

// abandoned tells a step that was given up from one that failed by itself.
func abandoned(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()))
}

// makeDir makes the state directory. Other accounts may pass through it, since
// scripts run as them, but not look around.
func (a *Agent) makeDir() error {
	if err := os.MkdirAll(filepath.Dir(a.dir()), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(a.dir(), 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// fail makes an error of a step.
func fail(s lifecycle.Step, code lifecycle.Code, format string, args ...any) *lifecycle.Error {
	err := fmt.Errorf(format, args...)
	return &lifecycle.Error{Step: s, Failure: lifecycle.Failure{Code: code, Message: err.Error()}, Err: errors.Unwrap(err)}
}

// asError gives an error of another package the form of a step's.
func asError(s lifecycle.Step, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		c := *e
		c.Step = s
		return &c
	}
	return &lifecycle.Error{Step: s, Failure: lifecycle.Failure{Code: lifecycle.TargetFailed, Message: err.Error()}, Err: err}
}
