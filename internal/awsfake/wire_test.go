package awsfake_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// wired is an API, and a client of another one that asks it by wire.
func wired(t *testing.T) (*awsfake.API, *s3.Client) {
	t.Helper()
	api, _ := bucketed()
	asking, c := bucketed()
	for _, a := range []*awsfake.API{api, asking} {
		awsfake.Handle(a, "S3", "HeadBucket", func(context.Context, *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
			return nil, &types.NotFound{Message: aws.String("no such bucket")}
		})
	}
	here, there := net.Pipe()
	done := make(chan error)
	go func() { done <- api.Serve(here) }()
	t.Cleanup(func() {
		there.Close()
		require.NoError(t, <-done, "to be left is no error")
	})
	require.NoError(t, asking.Through(there))
	return api, c
}

func TestCallsGoOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, c := wired(t)
		require.NoError(t, create(t, c, "one"))
		require.NoError(t, create(t, c, "two"))
		require.Equal(t, 2, count(t, c))
		require.Equal(t, 2, api.Counts()["S3.CreateBucket"], "it was done there")
		v, err := c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String("one")})
		require.NoError(t, err)
		require.Equal(t, types.BucketVersioningStatusEnabled, v.Status)
	})
}

// The client's own retryer sees what went wrong there, and callers see the code.
func TestErrorsGoOverTheWire(t *testing.T) {
	for _, tc := range []struct {
		fault       awsfake.Fault
		tries, made int
		code        string
	}{
		{awsfake.Throttle, 2, 1, ""},
		{awsfake.ServerError, 2, 1, ""},
		{awsfake.LostReply, 2, 2, ""},
		{awsfake.AccessDenied, 1, 0, "AccessDeniedException"},
	} {
		synctest.Test(t, func(t *testing.T) {
			api, c := wired(t)
			api.Inject(awsfake.At(0, tc.fault))
			err := create(t, c, "one")
			if tc.code == "" {
				require.NoError(t, err, tc.fault)
			} else {
				e, ok := errors.AsType[smithy.APIError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.code, e.ErrorCode())
				require.Equal(t, smithy.FaultClient, e.ErrorFault())
			}
			require.Equal(t, tc.tries, api.Counts()["S3.CreateBucket"], tc.fault)
			api.Inject(nil)
			require.Equal(t, tc.made, count(t, c), tc.fault)

			_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("one")})
			e, ok := errors.AsType[smithy.APIError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, []string{"NotFound", "no such bucket"}, []string{e.ErrorCode(), e.ErrorMessage()})
		})
	}
}

// talk is a connection on which everything has been said.
type talk struct {
	*strings.Reader
	strings.Builder
}

func (t *talk) Read(p []byte) (int, error)  { return t.Reader.Read(p) }
func (t *talk) Write(p []byte) (int, error) { return t.Builder.Write(p) }

// A question is answered when it was asked, by the clock of who asks. Half of one is not.
func TestOneTimeForTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, _ := bucketed()
		began := time.Now()
		asked, err := began.Add(90 * time.Second).MarshalJSON()
		require.NoError(t, err)
		conn := &talk{Reader: strings.NewReader(`{"At":` + string(asked) + `,"Service":"S3","Operation":"ListBuckets","In":{}}` + "\n" + `{"At":`)}
		require.NoError(t, api.Serve(conn))
		require.Equal(t, 90*time.Second, time.Since(began))
		require.Len(t, api.Calls(), 1)

		for _, said := range []string{"hello", `{"At":"yesterday"}`, `{"Service":1}`} {
			require.ErrorContains(t, api.Serve(&talk{Reader: strings.NewReader(said)}), "no question", said)
		}

		asking, c := bucketed()
		later, err := began.Add(time.Hour).MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, asking.Through(&talk{Reader: strings.NewReader(`{"At":` + string(later) + `}`)}))
		require.Equal(t, time.Hour, time.Since(began))
		require.ErrorContains(t, create(t, c, "one"), "S3.CreateBucket")
		require.ErrorContains(t, asking.Through(&talk{Reader: strings.NewReader("")}), "nobody serves")
	})
}
