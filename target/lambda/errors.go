package lambda

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Error codes of Lambda that decide something.
const (
	notFound = "ResourceNotFoundException"
	notThere = "ProvisionedConcurrencyConfigNotFoundException"
	changed  = "PreconditionFailedException"
	conflict = "ResourceConflictException"
)

// tries is how often a call is made that does not answer.
const tries = 3

// ask makes a call, and makes it again where no answer comes, as the SDK does where the
// reply was lost: none of these calls does more when it is made twice.
func ask[In, Out any](ctx context.Context, call func(context.Context, *In, ...func(*lambda.Options)) (*Out, error), in *In) (*Out, error) {
	for try := 1; ; try++ {
		out, err := awserror.Ask(ctx, call, in)
		if _, hung := errors.AsType[*awserror.Hung](err); !hung || try == tries {
			return out, err
		}
	}
}

func code(err error) string { return awserror.Code(err) }

func fail(step lifecycle.Step, code lifecycle.Code, format string, args ...any) error {
	return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// failed makes an error of a call: what was called, on what, and what to do about it.
// An error that says nothing about whether the call was done has code Unknown.
func failed(ctx context.Context, step lifecycle.Step, action, resource string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &lifecycle.Error{Step: step, Err: err}
	known, ours := errors.AsType[*lifecycle.Error](err)
	if ours {
		e.Failure = known.Failure
		return e
	}
	text := err.Error()
	switch e.Code = awserror.Meaning(err); {
	case code(err) == notFound:
		e.Code, text = lifecycle.UnitLost, text+"; it was there when the deployment began, or should have been: see who deleted it"
	case awserror.Expired(err):
		text += "; renew the credentials and resume"
	case e.Code == lifecycle.Denied:
		text += "; Alias.Policy lists what it needs"
	case e.Code == lifecycle.Throttled:
		text += "; package throttle keeps calls within the rate"
	case e.Code == lifecycle.Unknown:
		text += "; nobody can say whether it was done"
	}
	e.Message = fmt.Sprintf("%s on %s: %s", action, resource, text)
	return e
}
