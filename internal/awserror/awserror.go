// Package awserror says in the library's words what an error of AWS means, once for all
// drivers: who may not, who asks too much, and of what nobody knows whether it was done.
package awserror

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// denied are codes that say that somebody may not, or is not who he says; services write them
// with "Exception" behind or without.
var denied = map[string]bool{
	"AccessDenied": true, "UnauthorizedOperation": true, "NotAuthorized": true, "AuthFailure": true,
	"UnrecognizedClient": true, "InvalidClientTokenId": true, "InvalidSignature": true, "SignatureDoesNotMatch": true,
	"MissingAuthenticationToken": true, "ExpiredToken": true, "RequestExpired": true,
}

// expired are those of them that new credentials mend.
var expired = map[string]bool{"ExpiredToken": true, "RequestExpired": true, "UnrecognizedClient": true, "InvalidClientTokenId": true}

// Code is AWS's code of an error; empty: it is none of AWS's, or there is none.
func Code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// Expired reports whether the call failed for want of valid credentials. Then Meaning is Denied.
func Expired(err error) bool { return expired[strings.TrimSuffix(Code(err), "Exception")] }

// Meaning is the library's code for an error of a call: Denied, Throttled, Unknown where
// nobody can say whether the call was done, else TargetFailed.
func Meaning(err error) lifecycle.Code {
	e, answered := errors.AsType[smithy.APIError](err)
	switch {
	case denied[strings.TrimSuffix(Code(err), "Exception")]:
		return lifecycle.Denied
	case throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return lifecycle.Throttled
	case !answered, e.ErrorFault() == smithy.FaultServer, Retryable(err):
		return lifecycle.Unknown
	}
	return lifecycle.TargetFailed
}

var (
	throttles = retry.IsErrorThrottles(retry.DefaultThrottles)
	retries   = retry.IsErrorRetryables(retry.DefaultRetryables)
)

// Retryable reports whether the same call may succeed a little later.
func Retryable(err error) bool { return retries.IsErrorRetryable(err) == aws.TrueTernary }
