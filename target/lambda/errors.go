package lambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Error codes of Lambda that decide something.
const (
	notFound      = "ResourceNotFoundException"
	notThere      = "ProvisionedConcurrencyConfigNotFoundException"
	changed       = "PreconditionFailedException"
	conflict      = "ResourceConflictException"
	noCredentials = "ExpiredToken"
)

// denied lists codes that say who may not.
var denied = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "UnrecognizedClientException",
	"InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationToken", noCredentials, noCredentials + "Exception"}

// code is AWS's code of an error; empty: it is none of AWS's, or there is none.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

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
	c, text := code(err), err.Error()
	switch {
	case ours:
		e.Failure = known.Failure
		return e
	case slices.Contains(denied, c) && strings.HasPrefix(c, noCredentials):
		e.Code, text = lifecycle.Denied, text+"; renew the credentials and resume"
	case slices.Contains(denied, c):
		e.Code, text = lifecycle.Denied, text+"; Alias.Policy lists what it needs"
	case retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary:
		e.Code, text = lifecycle.Throttled, text+"; package throttle keeps calls within the rate"
	case c == notFound:
		e.Code, text = lifecycle.UnitLost, text+"; it was there when the deployment began, or should have been: see who deleted it"
	case c == "" || serverFault(err):
		e.Code, text = lifecycle.Unknown, text+"; nobody can say whether it was done"
	default:
		e.Code = lifecycle.TargetFailed
	}
	e.Message = fmt.Sprintf("%s on %s: %s", action, resource, text)
	return e
}

func serverFault(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorFault() == smithy.FaultServer
}
