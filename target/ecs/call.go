package ecs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// How often a call is made again that the client has given up on: one that the service
// refused or did not answer, and one whose answer made no sense. The second is mostly a
// read that lags behind.
const (
	tries    = 8
	oddTries = 4
	longest  = 30 * time.Second // between two tries
)

// oddAnswer is an answer that is no error of the service and yet cannot be right, such as a
// service that was there before. It is asked again before it counts.
type oddAnswer struct{ err *lifecycle.Error }

func odd(code lifecycle.Code, format string, args ...any) error {
	return &oddAnswer{fail(code, format, args...)}
}

func (o *oddAnswer) Error() string { return o.err.Error() }
func (o *oddAnswer) Unwrap() error { return o.err }

// call makes one call of AWS, and makes it again while that may help. Action is named as in
// IAM policies, on is what it is about. Check, if not nil, says what is odd about an answer.
func call[In, Out, O any](ctx context.Context, action, on string, f func(context.Context, *In, ...func(*O)) (*Out, error), in *In, check func(*Out) error) (*Out, error) {
	for try := 1; ; try++ {
		out, err := awserror.Ask(ctx, f, in)
		if err == nil && check != nil {
			err = check(out)
		}
		if err == nil {
			return out, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if !again(err, try) {
			return nil, translated(action, on, err)
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return nil, err
		}
	}
}

func again(err error, try int) bool {
	if _, ok := errors.AsType[*oddAnswer](err); ok {
		return try < oddTries
	}
	return try < tries && awserror.Retryable(err)
}

// backoff is how long to wait after a try: twice as long each time, less a random part, so
// that many callers do not come back together.
func backoff(try int) time.Duration {
	d := min(time.Second<<(try-1), longest)
	return d - rand.N(d/2)
}

// pause waits, or returns why it must not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// translated says in the library's words why a call has failed.
func translated(action, on string, err error) error {
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return e
	}
	code, hint := awserror.Meaning(err), ""
	switch {
	case awserror.Expired(err):
		hint = "; the credentials are no longer valid: resume with new ones"
	case code == lifecycle.Denied:
		hint = "; allow " + action + " on " + on
	case code == lifecycle.Throttled:
		hint = "; too many requests for longer than is worth waiting: deploy less at a time, or ask for a higher limit"
	case code == lifecycle.Unknown:
		hint = "; nobody can say whether it was done"
	}
	e := fail(code, "%s on %s: %v%s", action, on, err, hint)
	e.Err = err
	return e
}

func fail(code lifecycle.Code, format string, args ...any) *lifecycle.Error {
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// located puts the step into an error, and the cause of a cancel in its place.
func located(ctx context.Context, step lifecycle.Step, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		copied := *e
		copied.Step = step
		return &copied
	}
	return &lifecycle.Error{Step: step, Err: err, Failure: lifecycle.Failure{Code: lifecycle.TargetFailed, Message: err.Error()}}
}
