package ec2_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// objects is what the Bucket calls of S3, in memory.
type objects struct {
	mu  sync.Mutex
	all map[string]string // by bucket/key
}

func newObjects() (*awsfake.API, *objects) {
	api, o := &awsfake.API{}, &objects{all: map[string]string{}}
	awsfake.Handle(api, s3.ServiceID, "HeadObject", func(_ context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if _, ok := o.all[*in.Bucket+"/"+*in.Key]; !ok {
			return nil, &types.NotFound{}
		}
		return &s3.HeadObjectOutput{}, nil
	})
	awsfake.Handle(api, s3.ServiceID, "PutObject", func(_ context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
		data, err := io.ReadAll(in.Body)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all[*in.Bucket+"/"+*in.Key] = string(data)
		return &s3.PutObjectOutput{}, err
	})
	return api, o
}

// unread fails the test if somebody reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("what is there already was read")
	return 0, io.EOF
}
func (u unread) Seek(int64, int) (int64, error) { return 0, nil }

func TestBucketPutsOnce(t *testing.T) {
	api, o := newObjects()
	b := ec2.Bucket{Client: s3.NewFromConfig(api.Config()), Name: "my-bucket", Prefix: "cutover/"}
	first, err := b.Put(t.Context(), "agents/1", strings.NewReader("program"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"my-bucket/cutover/agents/1": "program"}, o.all)
	u, err := url.Parse(first)
	require.NoError(t, err)
	require.Equal(t, "https://my-bucket.s3.eu-central-1.amazonaws.com/cutover/agents/1", u.Scheme+"://"+u.Host+u.Path)
	require.Equal(t, "3600", u.Query().Get("X-Amz-Expires"))
	require.NotEmpty(t, u.Query().Get("X-Amz-Signature"))

	b.Expires = 2 * time.Hour
	second, err := b.Put(t.Context(), "agents/1", unread{t})
	require.NoError(t, err)
	require.Contains(t, second, "X-Amz-Expires=7200")
	require.Equal(t, 1, api.Counts()["S3.PutObject"])
}

// Whatever comes of looking, what is put is there, whole; and what cannot be put is an
// error that says so.
func TestBucketThroughFaults(t *testing.T) {
	content := strings.Repeat("0123456789", 10000)
	for _, fault := range []awsfake.Fault{awsfake.Throttle, awsfake.ServerError, awsfake.LostReply, awsfake.AccessDenied} {
		for _, operation := range []string{"HeadObject", "PutObject"} {
			synctest.Test(t, func(t *testing.T) {
				api, o := newObjects()
				n := 0
				api.Inject(func(c awsfake.Call) awsfake.Fault {
					if c.Operation == operation {
						n++
					}
					if c.Operation == operation && (n == 1 || fault == awsfake.AccessDenied) {
						return fault
					}
					return awsfake.NoFault
				})
				b := ec2.Bucket{Client: s3.NewFromConfig(api.Config()), Name: "b"}
				address, err := b.Put(t.Context(), "one", strings.NewReader(content))
				if fault == awsfake.AccessDenied && operation == "PutObject" {
					require.ErrorContains(t, err, "AccessDenied")
					require.Empty(t, address)
					return
				}
				require.NoError(t, err, "%s of %s", fault, operation)
				require.Equal(t, content, o.all["b/one"], "%s of %s", fault, operation)
			})
		}
	}
}

// Without permission a step fails as Denied, and says what was tried.
func TestStepsThatCannotBePut(t *testing.T) {
	api, _ := newObjects()
	api.Inject(func(c awsfake.Call) awsfake.Fault { return awsfake.AccessDenied })
	r := newReal(t, 1)
	r.reach.Store = ec2.Bucket{Client: s3.NewFromConfig(api.Config()), Name: "b"}
	err := r.fleet().Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: r.ids[0], Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}})
	code, text := codeAndText(err)
	require.Equal(t, lifecycle.Denied, code, "%v", err)
	require.Contains(t, text, "putting the agent's executable where hosts fetch it")
}

// Over the wire: agents, batches and revisions go through the bucket to real agents, by
// addresses that need no credentials.
func TestMotoBucket(t *testing.T) {
	c := s3.NewFromConfig(moto.Start(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("web"), CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: types.BucketLocationConstraintEuCentral1}})
	require.NoError(t, err)
	b := ec2.Bucket{Client: c, Name: "web", Prefix: "cutover/"}

	want := bytes.Repeat([]byte{0, 1, 2, 255}, 1<<18)
	for range 2 {
		address, err := b.Put(t.Context(), "agents/1", bytes.NewReader(want))
		require.NoError(t, err)
		resp, err := http.Get(address)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.True(t, bytes.Equal(want, got))
	}

	r := newReal(t, 2)
	r.reach.Store = b
	res, err := r.deployment(t, revisionOf(t, "one", "exit 0")).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "map[Succeeded:2]", statuses(res), "%+v", res.Failure)
	require.Equal(t, "one", r.read(t, r.ids[0], "srv/app/page.txt"))
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("web")})
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, one := range out.Contents {
		kinds[strings.Split(*one.Key, "/")[1]]++
		require.True(t, strings.HasPrefix(*one.Key, "cutover/"))
	}
	require.Equal(t, 2, kinds["agents"], "the one above, and the program, once")
	require.Equal(t, 1, kinds["revisions"])
	require.NotZero(t, kinds["batches"])
}
