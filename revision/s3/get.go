package s3

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/internal/fetch"
)

// getter gets one object, in as many parts as it takes.
type getter struct {
	o       Object
	version string // as given; then the one that came
	etag    string // as given; then the one that came
	region  string // that the client asks in
}

// ask implements fetch.Source. Only a version names one content for ever: an ETag may
// be that of another content, too. Once a version has come it is asked for again.
func (g *getter) ask(ctx context.Context, offset int64, _ string) (fetch.Part, error) {
	in := g.o.input()
	in.VersionId = text(g.version)
	if offset > 0 {
		in.Range = text(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := g.o.Client.GetObject(ctx, in, g.o.options, func(o *awss3.Options) { g.region = o.Region })
	if err != nil {
		return fetch.Part{}, g.o.explain(ctx, err)
	}
	if etag := unquote(aws.ToString(out.ETag)); g.etag != "" && etag != g.etag && g.o.ETag != "" {
		out.Body.Close()
		return fetch.Part{}, fetch.Final(g.o.refuse(revision.DigestMismatch, "the object has the ETag %q, not %q; it was replaced, or the deployment means another one", etag, g.etag))
	}
	from, size, err := extent(out)
	if err != nil {
		out.Body.Close()
		return fetch.Part{}, g.o.refuse(revision.Unreachable, "%w", err)
	}
	id := known(aws.ToString(out.VersionId))
	g.version, g.etag = cmp.Or(id, g.o.Version), unquote(aws.ToString(out.ETag))
	return fetch.Part{Body: out.Body, Offset: from, Size: size, ID: id}, nil
}

// known is a version that stays what it is. "null" is what an object has that came
// while the bucket had no versions; it can be replaced.
func known(version string) string {
	if version == "null" {
		return ""
	}
	return version
}

// input is a request for the object.
func (o Object) input() *awss3.GetObjectInput {
	return &awss3.GetObjectInput{Bucket: &o.Bucket, Key: &o.Key, ExpectedBucketOwner: text(o.Owner)}
}

// options are for every call. Content is compared by its SHA-256; the checksums of the
// service do not cover parts of an object.
func (o Object) options(opt *awss3.Options) {
	opt.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	if o.Region != "" {
		opt.Region = o.Region
	}
}

// extent says which bytes an answer has, and how many there are in all.
func extent(out *awss3.GetObjectOutput) (from, size int64, err error) {
	size = -1
	if out.ContentLength != nil {
		size = *out.ContentLength
	}
	r := aws.ToString(out.ContentRange)
	if r == "" {
		return 0, size, nil
	}
	span, total, ok := strings.Cut(strings.TrimPrefix(r, "bytes "), "/")
	first, _, ok2 := strings.Cut(span, "-")
	from, err = strconv.ParseInt(first, 10, 64)
	if !ok || !ok2 || err != nil {
		return 0, 0, fmt.Errorf("the range %q of the answer cannot be read", r)
	}
	if size, err = strconv.ParseInt(total, 10, 64); err != nil {
		size = -1
	}
	return from, size, nil
}
