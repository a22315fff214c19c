package ec2

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestWhatErrorsMeanAndWhetherTheyPass(t *testing.T) {
	said := func(code string) error { return &smithy.GenericAPIError{Code: code, Fault: smithy.FaultClient} }
	status := func(code int) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: said("SomethingElse")}
	}
	for name, tc := range map[string]struct {
		err    error
		code   lifecycle.Code
		passes bool
	}{
		"throttled by Auto Scaling":  {said("Throttling"), lifecycle.Throttled, true},
		"throttled by EC2":           {said("RequestLimitExceeded"), lifecycle.Throttled, true},
		"not allowed by EC2":         {said("UnauthorizedOperation"), lifecycle.Denied, false},
		"credentials have expired":   {said("ExpiredTokenException"), lifecycle.Denied, false},
		"an activity in the way":     {said("ScalingActivityInProgress"), lifecycle.TargetFailed, true},
		"somebody else changes it":   {said("ResourceContention"), lifecycle.TargetFailed, true},
		"too many changes at once":   {said("TooManyUpdates"), lifecycle.TargetFailed, true},
		"a broken server":            {status(500), lifecycle.TargetFailed, true},
		"a server that is not there": {status(503), lifecycle.TargetFailed, true},
		"no answer":                  {&smithyhttp.RequestSendError{Err: errors.New("reset")}, lifecycle.TargetFailed, true},
		"a refusal":                  {said("ValidationError"), lifecycle.TargetFailed, false},
		"an instance that isn't":     {said("InvalidInstanceId"), lifecycle.TargetFailed, false},
		"no error of AWS":            {errors.New("no idea"), lifecycle.TargetFailed, false},
	} {
		require.Equal(t, tc.code, codeOf(tc.err), name)
		require.Equal(t, tc.passes, temporary(tc.err), name)
	}
}
