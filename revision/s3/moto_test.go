package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/s3"
)

// The same over an emulator that others have written, with the plain SDK: what the
// fake believes of S3 is not only ours.
func TestOverTheWire(t *testing.T) {
	server := moto.Start(t)
	c := awss3.NewFromConfig(server.Config(), func(o *awss3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{"versioned", "plain"} {
		_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraintEuCentral1}})
		require.NoError(t, err)
	}
	_, err := c.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String("versioned"),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	require.NoError(t, err)
	put := func(bucket, key string, content []byte) {
		t.Helper()
		_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)})
		require.NoError(t, err)
	}
	object := func(bucket, key string) s3.Object {
		return s3.Object{Client: c, Bucket: bucket, Key: key, Transfer: quick}
	}

	t.Run("versions", func(t *testing.T) {
		put("versioned", "app.zip", zipped(t, "one"))
		src := object("versioned", "app.zip")
		b := open(t, src)
		rev := b.Revision(src)
		require.NotEmpty(t, rev.Location.Params["version"])
		require.NotEmpty(t, rev.Location.Params["etag"])
		require.Equal(t, sum(zipped(t, "one")), rev.Location.Params["sha256"])

		put("versioned", "app.zip", zipped(t, "two"))
		require.Equal(t, "two", page(t, open(t, src)))
		again, err := revision.FromLocation(rev.Location, s3.Object{Client: c})
		require.NoError(t, err)
		require.Equal(t, "one", page(t, open(t, again)))
	})
	t.Run("wrong digest", func(t *testing.T) {
		put("versioned", "digest.zip", zipped(t, "one"))
		src := object("versioned", "digest.zip")
		src.SHA256 = sum([]byte("other"))
		refused(t, revision.DigestMismatch, src)
		src.SHA256 = sum(zipped(t, "one"))
		open(t, src)
	})
	t.Run("truncated", func(t *testing.T) {
		put("versioned", "cut.tgz", gzipped(t, tarred(t, "one"))[:60])
		refused(t, revision.ArchiveTruncated, object("versioned", "cut.tgz"))
	})
	t.Run("replaced between create and download", func(t *testing.T) {
		put("plain", "app.zip", zipped(t, "one"))
		src := object("plain", "app.zip")
		rev := open(t, src).Revision(src)
		require.Empty(t, rev.Location.Params["version"])
		put("plain", "app.zip", zipped(t, "two"))
		again, err := src.At(rev.Location)
		require.NoError(t, err)
		refused(t, revision.DigestMismatch, again)
	})
	t.Run("broken off and gone on with", func(t *testing.T) {
		put("versioned", "large.tar", tarred(t, string(bytes.Repeat([]byte("0123456789"), 100_000))))
		cut := &cutting{next: http.DefaultTransport, at: 300_000}
		src := object("versioned", "large.tar")
		src.Client = awss3.NewFromConfig(server.Config(), func(o *awss3.Options) {
			o.UsePathStyle, o.HTTPClient = true, &http.Client{Transport: cut}
		})
		require.Len(t, page(t, open(t, src)), 1_000_000)
		require.Equal(t, []string{"", "bytes=300000-", "bytes=600000-", "bytes=900000-"}, cut.ranges)
	})
	t.Run("too large", func(t *testing.T) {
		src := object("versioned", "large.tar")
		src.Transfer.Bytes = 1000
		refused(t, revision.TooLarge, src)
	})
	t.Run("endless", func(t *testing.T) {
		src := object("versioned", "large.tar")
		src.Transfer.Bytes = 5 << 20
		src.Client = awss3.NewFromConfig(server.Config(), func(o *awss3.Options) {
			o.UsePathStyle, o.HTTPClient = true, &http.Client{Transport: unending{http.DefaultTransport}}
		})
		refused(t, revision.TooLarge, src)
	})
	t.Run("an AppSpec alone", func(t *testing.T) {
		put("versioned", "appspec.json", []byte(`{"version": 0.0, "Resources": []}`))
		b := open(t, object("versioned", "appspec.json"))
		require.Equal(t, "appspec.yaml", b.Manifest.Entries[0].Path)
	})
	t.Run("handed over", func(t *testing.T) {
		src := object("versioned", "app.zip")
		src.HandOver = time.Minute
		d, err := open(t, src).Presign(t.Context())
		require.NoError(t, err)
		resp, err := http.Get(d.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, d.SHA256, sum(got))
	})
	t.Run("what is not there", func(t *testing.T) {
		require.Contains(t, refused(t, revision.NotFound, object("versioned", "nothing")), "NoSuchKey")
		require.Contains(t, refused(t, revision.NotFound, object("nothing", "nothing")), "NoSuchBucket")
		src := object("versioned", "app.zip")
		src.Version = "nothing"
		refused(t, revision.NotFound, src)
	})
}

// cutting breaks answers off.
type cutting struct {
	next   http.RoundTripper
	at     int64
	ranges []string
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.ranges = append(c.ranges, r.Header.Get("Range"))
	resp, err := c.next.RoundTrip(r)
	if err == nil && resp.ContentLength > c.at {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(resp.Body, c.at), broken{}), resp.Body}
	}
	return resp, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// unending never lets a body end, and hides how long it is.
type unending struct{ next http.RoundTripper }

func (u unending) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := u.next.RoundTrip(r)
	if err == nil {
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(resp.Body, zeros{}), resp.Body}
	}
	return resp, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
