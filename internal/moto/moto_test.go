package moto_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
)

func TestServer(t *testing.T) {
	server := moto.Start(t)
	c := s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	list := func() int {
		out, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
		require.NoError(t, err)
		return len(out.Buckets)
	}
	require.Zero(t, list())
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("one"), CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: types.BucketLocationConstraintEuCentral1}})
	require.NoError(t, err)
	require.Equal(t, 1, list())
	server.Post(t, "/moto-api/reset", "")
	require.Zero(t, list())
}
