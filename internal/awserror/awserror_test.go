package awserror_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestWhatErrorsMean(t *testing.T) {
	said := func(code string, fault smithy.ErrorFault) error {
		return fmt.Errorf("operation: %w", &smithy.GenericAPIError{Code: code, Message: "m", Fault: fault})
	}
	for name, tc := range map[string]struct {
		err     error
		want    lifecycle.Code
		expired bool
	}{
		"not allowed":               {said("AccessDeniedException", smithy.FaultClient), lifecycle.Denied, false},
		"not allowed, in short":     {said("AccessDenied", smithy.FaultClient), lifecycle.Denied, false},
		"wrongly signed":            {said("SignatureDoesNotMatch", smithy.FaultClient), lifecycle.Denied, false},
		"credentials have expired":  {said("ExpiredTokenException", smithy.FaultClient), lifecycle.Denied, true},
		"credentials are not known": {said("UnrecognizedClientException", smithy.FaultClient), lifecycle.Denied, true},
		"too many requests":         {said("ThrottlingException", smithy.FaultClient), lifecycle.Throttled, false},
		"a broken server":           {said("InternalFailure", smithy.FaultServer), lifecycle.Unknown, false},
		"no answer":                 {&smithyhttp.RequestSendError{Err: errors.New("connection reset")}, lifecycle.Unknown, false},
		"something else":            {errors.New("no idea"), lifecycle.Unknown, false},
		"a refusal":                 {said("InvalidParameterException", smithy.FaultClient), lifecycle.TargetFailed, false},
	} {
		require.Equal(t, tc.want, awserror.Meaning(tc.err), name)
		require.Equal(t, tc.expired, awserror.Expired(tc.err), name)
	}
	require.Equal(t, "AccessDenied", awserror.Code(said("AccessDenied", smithy.FaultClient)))
	require.Empty(t, awserror.Code(nil))
}
