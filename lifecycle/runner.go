package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// DefaultMaxLog is how many bytes of log an event may write.
const DefaultMaxLog = 16 << 20

// Runner runs the hooks of an event, one after another. A Runner may be used by
// several goroutines if Log and Note may.
type Runner struct {
	Log    io.Writer  // takes lines as the host agent writes them to scripts.log; nil: nowhere. A Write that blocks holds up hooks, limits and cancels
	Note   func(Note) // takes warnings; nil: dropped
	MaxLog int64      // bytes of Log that one event may fill, the rest is counted; zero: DefaultMaxLog, negative: no limit
}

// Run runs hooks in order and stops at the first failure, which it returns as a
// *Error whose Step is env.Step and whose Log is the end of the event's log. No
// hooks: nothing is logged. When ctx is cancelled, what runs is ended and
// context.Cause(ctx) is returned as it is, unless a hook had already failed by
// itself.
func (r *Runner) Run(ctx context.Context, env Env, hooks []Hook) error {
	if len(hooks) == 0 {
		return nil
	}
	if env.Note == nil {
		env.Note = r.Note
	}
	log := &eventLog{w: r.Log, limit: r.MaxLog, clock: now}
	if r.MaxLog == 0 {
		log.limit = DefaultMaxLog
	}
	defer log.close(env.note)
	log.line("LifecycleEvent - " + string(env.Step.Event))
	for _, h := range hooks {
		err := runHook(ctx, env, h, log)
		log.flush()
		if err == nil {
			continue
		}
		if ctx.Err() != nil && !definite(ctx, err) {
			return context.Cause(ctx)
		}
		return asFailure(err, env.Step, log.tail.String())
	}
	return nil
}

// definite says that a hook failed by itself, although ctx was cancelled before it
// returned: a script that had exited, or had exceeded its limit.
func definite(ctx context.Context, err error) bool {
	e, ok := err.(*Error)
	return ok && !errors.Is(e.Err, ctx.Err()) && !errors.Is(e.Err, context.Cause(ctx))
}

// runHook keeps a panicking hook from taking the process down.
func runHook(ctx context.Context, env Env, h Hook, log *eventLog) (err error) {
	defer func() {
		if v := recover(); v != nil {
			cause, _ := v.(error)
			log.line(fmt.Sprintf("panic: %v", v))
			_, _ = log.Write(debug.Stack())
			err = &Error{Err: cause, Failure: Failure{Code: Panicked,
				Message: fmt.Sprintf("hook panicked: %v; its stack is in the log", v)}}
		}
	}()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return h.Run(ctx, env, log)
}

// asFailure completes a hook's error without changing the hook's own value.
func asFailure(err error, step Step, log string) *Error {
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Failure: Failure{Code: HookFailed, Message: err.Error()}, Err: err}
	}
	c := *e
	c.Step = step
	if c.Code == "" {
		c.Code = HookFailed
	}
	if c.Log == "" {
		c.Log = log
	}
	return &c
}
