package cutover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cutover-deploy/cutover/internal/lossy"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// failure is an error in the form that is recorded; nil for nil.
func failure(err error) *lifecycle.Failure {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		f := e.Failure
		return &f
	}
	return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: err.Error()}
}

// guard turns a panic of something that was plugged in into an error.
func guard(what string, f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.Panicked, Message: fmt.Sprintf("%s: a plug-in panicked: %v", what, cause)}}
		}
	}()
	return f()
}

// perform does one step and says how it ended. A driver that panics has failed the
// step.
func (r *runner) perform(ctx context.Context, j job, p *pool) (e event) {
	step := j.step
	e.step, e.foreign = step, j.foreign
	defer func() {
		if cause := recover(); cause != nil {
			e.err = &lifecycle.Error{Step: step, Failure: lifecycle.Failure{
				Code: lifecycle.Panicked, Message: fmt.Sprintf("the target panicked: %v", cause)}}
		}
	}()
	note := func(n lifecycle.Note) { p.tell(event{step: step, news: n}) }
	if step.Unit == "" && step.Event != lifecycle.Provision {
		e.err = r.once(ctx, step, j.again, note)
		return e
	}
	whole, limit := ctx, r.d.EventTimeouts[step.Event]
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTooLong)
		defer cancel()
	}
	if step.Unit == "" {
		e.news, e.err = r.provision(ctx, whole, step, j.units, note)
	} else {
		out, done := r.output(step)
		defer done()
		task := target.Task{Step: step, Job: r.job, Again: j.again, Expect: j.expect, Foreign: j.foreign, Note: note, Output: out}
		e.err = r.insist(ctx, func() error { return r.d.Target.Perform(ctx, task) })
	}
	if e.err != nil && context.Cause(ctx) == errTooLong {
		e.err = &lifecycle.Error{Step: step, Err: errTooLong, Failure: lifecycle.Failure{Code: lifecycle.TimedOut,
			Message: fmt.Sprintf("has not ended within %s (EventTimeouts); what it was doing may still run", limit)}}
	}
	return e
}

var errTooLong = errors.New("the event took too long")

// output is where what the step prints goes, until done is called; nil: nowhere. Who
// watches holds nothing up.
func (r *runner) output(step lifecycle.Step) (w io.Writer, done func()) {
	return lossy.To(r.watcher(step))
}

// watcher is who watches what the step prints; nil: nobody.
func (r *runner) watcher(step lifecycle.Step) (w io.Writer) {
	if r.d.Output == nil {
		return nil
	}
	defer func() { _ = recover() }() // who watches must not end a deployment
	return r.d.Output(step)
}

// patience is how long to wait before asking again when nobody could say whether a
// step was done. Its doer keeps the outcome, so asking again does nothing twice.
var patience = [...]time.Duration{time.Second, 5 * time.Second, 25 * time.Second}

// insist does something, and again while the answer is Unknown.
func (r *runner) insist(ctx context.Context, do func() error) error {
	for _, pause := range patience {
		err := do()
		if e, ok := errors.AsType[*lifecycle.Error](err); !ok || e.Code != lifecycle.Unknown {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return do()
}

// once runs the caller's own hook for an event of the whole deployment.
func (r *runner) once(ctx context.Context, step lifecycle.Step, again bool, note func(lifecycle.Note)) error {
	hook := map[lifecycle.Event]lifecycle.Hook{
		lifecycle.BeforeDeployment: r.d.Before, lifecycle.AfterDeployment: r.d.After, lifecycle.BeforeRollback: r.d.OnRollback,
	}[step.Event]
	switch {
	case again && !r.d.RerunInterrupted:
		return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.Interrupted,
			Message: "was cut off in the middle, and nobody can say how far it came; set RerunInterrupted to run it again"}}
	case hook == nil:
		return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.HookFailed,
			Message: "the plan has this hook and the Deployment that resumes it has not; fill it in"}}
	}
	out, done := r.output(step)
	defer done()
	run := lifecycle.Runner{Note: note, Log: out}
	return run.Run(ctx, lifecycle.Env{Step: step}, []lifecycle.Hook{hook})
}
