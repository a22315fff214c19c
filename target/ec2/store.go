package ec2

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
)

// Store is a place that hosts can fetch from without credentials.
type Store interface {
	// Put keeps content under a name, and returns the address by which whoever knows it
	// can get it with GET, for at least half an hour. Names say what is in it: the same
	// name always has the same content, so it need not be put again.
	Put(ctx context.Context, name string, content io.ReadSeeker) (url string, err error)
}

// Bucket is a [Store] in S3, with presigned addresses. Let a lifecycle rule of the
// bucket remove what is old.
type Bucket struct {
	Client *s3.Client // required
	Name   string     // of the bucket. Required
	Prefix string     // of all keys, such as "cutover/"; empty: none
	// Expires is how long addresses are good. Zero: an hour. Those made with temporary
	// credentials end with these, whatever is said here.
	Expires time.Duration
}

var _ Store = Bucket{}

// uploading is how long the content of an object may be on its way.
const uploading = time.Hour

// Put implements [Store].
func (b Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) (string, error) {
	key := b.Prefix + name
	_, err := awserror.Ask(ctx, b.Client.HeadObject, &s3.HeadObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		if _, err = awserror.AskFor(ctx, uploading, b.Client.PutObject, &s3.PutObjectInput{Bucket: &b.Name, Key: &key, Body: content}); err != nil {
			return "", err
		}
	}
	var req *v4.PresignedHTTPRequest
	req, err = s3.NewPresignClient(b.Client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &key}, s3.WithPresignExpires(or(b.Expires, time.Hour)))
	if err != nil {
		return "", err
	}
	return req.URL, nil
}

// parts are what hosts fetch: put once, given out under fresh addresses.
type parts struct {
	mu      sync.Mutex
	agents  []program // nil: not looked for yet
	packing sync.Mutex
	last    *packed
}

// packed is a revision that was put.
type packed struct {
	job  *target.Job
	sum  string
	size int64
}

// programs are the agent's executables, which are found and read once.
func (p *parts) programs(find func() ([]program, error)) ([]program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.agents != nil {
		return p.agents, nil
	}
	all, err := find()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].digest, _, err = agent.Examine(all[i].path); err != nil {
			return nil, refuse(lifecycle.TargetFailed, "SSM.Program or SSM.Programs: %v", err)
		}
	}
	p.agents = all
	return all, nil
}

// putPrograms puts the agent's executables, and returns the choice that hosts have.
func putPrograms(ctx context.Context, to Store, all []program) (choices string, err error) {
	for _, one := range all {
		url, err := one.put(ctx, to)
		if err != nil {
			return "", err
		}
		choices += one.choice(url)
	}
	return choices, nil
}

// put puts the program, and returns its address.
func (p program) put(ctx context.Context, to Store) (url string, err error) {
	f, err := os.Open(p.path)
	if err != nil {
		return "", refuse(lifecycle.TargetFailed, "the agent's executable cannot be read: %v", err)
	}
	defer f.Close()
	if url, err = to.Put(ctx, "agents/"+p.digest, f); err != nil {
		return "", failed("putting the agent's executable where hosts fetch it", err)
	}
	return url, nil
}

// revision says where hosts fetch the job's revision: where its source says, or in the
// store. Nil: nowhere; only hosts that retain it can deploy it.
func (p *parts) revision(ctx context.Context, to Store, job *target.Job) (*revision.Download, error) {
	switch {
	case job.Bundle == nil:
		return nil, nil
	case job.Bundle.Presign != nil:
		d, err := job.Bundle.Presign(ctx)
		if err != nil {
			return nil, refuse(lifecycle.RevisionUnavailable, "there is no address of the revision for hosts: %v", err)
		}
		return &d, nil
	}
	p.packing.Lock() // others wait: it is the same for all hosts
	defer p.packing.Unlock()
	again := &repack{pack: func() (*packedFile, error) { return packFile(ctx, job.Bundle) }}
	defer again.close()
	a, content := p.last, io.ReadSeeker(again)
	if a == nil || a.job != job {
		f, err := packFile(ctx, job.Bundle)
		if err != nil {
			return nil, refuse(lifecycle.RevisionUnavailable, "the revision cannot be packed for hosts: %v", err)
		}
		defer f.Close()
		a, content = &packed{job: job, sum: f.sum, size: f.size}, f
	}
	url, err := to.Put(ctx, "revisions/"+a.sum, content)
	if err != nil {
		return nil, failed("putting the revision where hosts fetch it", err)
	}
	p.last = a
	return &revision.Download{URL: url, SHA256: a.sum, Size: a.size}, nil
}
