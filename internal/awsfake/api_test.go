package awsfake_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// bucketed is an S3 that has as many buckets as were made.
func bucketed() (*awsfake.API, *s3.Client) {
	api := &awsfake.API{}
	var buckets []types.Bucket
	awsfake.Handle(api, "S3", "CreateBucket", func(_ context.Context, in *s3.CreateBucketInput) (*s3.CreateBucketOutput, error) {
		buckets = append(buckets, types.Bucket{Name: in.Bucket})
		return &s3.CreateBucketOutput{}, nil
	})
	awsfake.Handle(api, "S3", "ListBuckets", func(context.Context, *s3.ListBucketsInput) (*s3.ListBucketsOutput, error) {
		return &s3.ListBucketsOutput{Buckets: buckets}, nil
	})
	awsfake.Handle(api, "S3", "GetBucketVersioning", func(context.Context, *s3.GetBucketVersioningInput) (*s3.GetBucketVersioningOutput, error) {
		return &s3.GetBucketVersioningOutput{Status: types.BucketVersioningStatusEnabled}, nil
	})
	return api, s3.NewFromConfig(api.Config())
}

func create(t *testing.T, c *s3.Client, name string) error {
	t.Helper()
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
	return err
}

func count(t *testing.T, c *s3.Client) int {
	t.Helper()
	out, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	require.NoError(t, err)
	return len(out.Buckets)
}

// The client's own retryer sees the faults, in virtual time.
func TestFaultsReachTheRetryer(t *testing.T) {
	for _, tc := range []struct {
		fault  awsfake.Fault
		tries  int
		made   int
		failed bool
	}{
		{awsfake.NoFault, 1, 1, false},
		{awsfake.Throttle, 2, 1, false},
		{awsfake.ServerError, 2, 1, false},
		{awsfake.LostReply, 2, 2, false}, // no token: it happened twice
		{awsfake.AccessDenied, 1, 0, true},
	} {
		t.Run("fault "+string(tc.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api, c := bucketed()
				api.Inject(awsfake.At(0, tc.fault))
				began := time.Now()
				err := create(t, c, "one")
				require.Equal(t, tc.failed, err != nil, "%v", err)
				require.Equal(t, tc.tries, api.Counts()["S3.CreateBucket"])
				require.Equal(t, tc.made, count(t, c))
				require.Equal(t, tc.tries > 1, time.Since(began) > 0, "a retry waits, in virtual time")
			})
		})
	}
}

func TestReadsThatLie(t *testing.T) {
	api, c := bucketed()
	require.Equal(t, 0, count(t, c))
	require.NoError(t, create(t, c, "one"))
	api.Inject(func(call awsfake.Call) awsfake.Fault {
		return map[int]awsfake.Fault{2: awsfake.StaleRead, 4: awsfake.EmptyAnswer, 5: awsfake.UnknownEnum}[call.N]
	})
	require.Equal(t, 0, count(t, c), "as it was")
	require.Equal(t, 1, count(t, c))
	require.Equal(t, 0, count(t, c), "nothing in it")
	v, err := c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String("one")})
	require.NoError(t, err)
	require.NotContains(t, v.Status.Values(), v.Status)
}

func TestUnknownOperationFailsWithItsName(t *testing.T) {
	api, c := bucketed()
	_, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("one")})
	require.ErrorContains(t, err, "S3.DeleteBucket")
	require.Len(t, api.Calls(), 1, "it is not tried again")
}
