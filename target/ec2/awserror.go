package ec2

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// passing are error codes of Auto Scaling and Systems Manager after which the same call
// may succeed, apart from those that all services have.
var passing = map[string]bool{"ScalingActivityInProgress": true, "ResourceContention": true, "TooManyUpdates": true}

// codeOf is our code for what AWS answered. That nobody can say whether a call was done
// is a failure here, since most are repeated or looked after until that is known. Where
// a step on a host may have begun, that is made Unknown (see unknown).
func codeOf(err error) lifecycle.Code {
	if c := awserror.Meaning(err); c != lifecycle.Unknown {
		return c
	}
	return lifecycle.TargetFailed
}

// temporary reports whether the same call may succeed a little later: the service was
// busy or broken, or the answer did not come.
func temporary(err error) bool { return awserror.Retryable(err) || passing[awserror.Code(err)] }

// patience is how long a call is repeated that fails for a reason that passes.
const patience = 5 * time.Minute

// insist does a call that may be repeated, again while what is in its way may pass.
func insist(ctx context.Context, f func() error) error {
	return insistFor(ctx, patience, f)
}

func insistFor(ctx context.Context, limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for pause := time.Second; ; pause = min(2*pause, 20*time.Second) {
		err := f()
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause // whatever the SDK made of it
		}
		if err == nil || !temporary(err) || time.Now().Add(pause).After(deadline) {
			return err
		}
		if err := sleep(ctx, jitter(pause)); err != nil {
			return err
		}
	}
}

// jitter is a duration from half of d to d, so that those who wait do not come back
// all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// sleep waits, and returns context.Cause(ctx) if that comes first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed is an error of AWS with our code. What says what was tried, and to what.
func failed(what string, err error) error {
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return e
	}
	advice := map[lifecycle.Code]string{
		lifecycle.Throttled: "; AWS still refused after some minutes of waiting: deploy to fewer hosts at once, or share the rate (target/throttle)",
		lifecycle.Denied:    "; see Policies for the permissions that are needed, and check that the credentials have not expired",
	}[codeOf(err)]
	return &lifecycle.Error{Err: err, Failure: lifecycle.Failure{Code: codeOf(err), Message: what + ": " + err.Error() + advice}}
}

// refuse is an error of our own.
func refuse(code lifecycle.Code, format string, args ...any) error {
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// ofStep puts the step into an error, and gives one that has none a code. An error of
// a step that was cancelled is the cause.
func ofStep(ctx context.Context, s lifecycle.Step, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	e, ok := errors.AsType[*lifecycle.Error](err)
	if !ok {
		return &lifecycle.Error{Step: s, Err: err, Failure: lifecycle.Failure{Code: codeOf(err), Message: err.Error()}}
	}
	c := *e
	c.Step = s
	return &c
}
