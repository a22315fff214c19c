package s3

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"strings"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/internal/fetch"
)

// Client is what is asked of S3. An *s3.Client of the SDK is one.
type Client interface {
	GetObject(context.Context, *awss3.GetObjectInput, ...func(*awss3.Options)) (*awss3.GetObjectOutput, error)
}

// Object is an object in a bucket as a revision. Set Client, Bucket and Key. With a
// Client alone it opens recorded locations; see [revision.Opener].
type Object struct {
	Client Client
	Bucket string
	Key    string

	Version string // version id; empty: the newest when it is opened
	ETag    string // of the object that is meant, with or without quotes; empty: not compared
	SHA256  string // of the object, hex; empty: not compared, but pinned when it is opened
	Region  string // of the bucket; empty: that of the client
	Owner   string // account that the bucket has to belong to; empty: not compared

	// Verifier has to agree before anything is unpacked. Nil: nobody is asked.
	Verifier revision.Verifier
	// Signature is the key of the detached signature in the same bucket, read for the
	// Verifier. Empty: Key with .sig behind it. It need not be there: the Verifier
	// decides.
	Signature string

	Limits   revision.Limits   // of what is unpacked; zero: the defaults
	Transfer revision.Transfer // of the download; zero: the defaults

	// HandOver is how long an address is good for at which hosts fetch the archive
	// themselves. Credentials that end earlier end it, too. Zero: there is none, and
	// hosts get the revision from the controller. It needs an *s3.Client.
	HandOver time.Duration

	recorded bool
}

var (
	_ revision.Source = Object{}
	_ revision.Opener = Object{}
)

// Location implements revision.Source. What Open finds out is in the bundle's own
// location: the version, the ETag and the SHA-256.
func (o Object) Location() revision.Location {
	p := map[string]string{
		"bucket": o.Bucket, "key": o.Key, "version": o.Version, "etag": unquote(o.ETag), "sha256": strings.ToLower(o.SHA256),
		"region": o.Region, "owner": o.Owner, "signature": o.Signature,
	}
	maps.DeleteFunc(p, func(_, v string) bool { return v == "" })
	return revision.Location{Kind: revision.KindS3, Params: p}
}

// At implements revision.Opener: another object, opened with this one's client,
// verifier and limits.
func (o Object) At(l revision.Location) (revision.Source, error) {
	if l.Kind != revision.KindS3 {
		return nil, revision.OtherKind(l, revision.KindS3)
	}
	p := l.Params
	o.Bucket, o.Key, o.Version, o.ETag, o.SHA256 = p["bucket"], p["key"], p["version"], p["etag"], p["sha256"]
	o.Region, o.Owner, o.Signature = cmp.Or(p["region"], o.Region), p["owner"], p["signature"]
	o.recorded = true
	return o, nil
}

// Open implements revision.Source. Of work it uses a file while it downloads, and a
// directory for the content.
func (o Object) Open(ctx context.Context, work string) (*revision.Bundle, error) {
	if err := o.valid(); err != nil {
		return nil, err
	}
	path, err := fetch.Place(work)
	if err != nil {
		return nil, o.error(ctx, err)
	}
	defer fetch.Discard(path)
	a, err := o.download(ctx, path)
	if err != nil {
		return nil, o.error(ctx, err)
	}
	b, err := a.Open(ctx, filepath.Join(work, "content"), revision.Unpacking{Verifier: o.Verifier, Limits: o.Limits})
	if err != nil {
		return nil, err
	}
	if o.HandOver > 0 {
		b.Presign = o.presign(a)
	}
	return b, nil
}

func (o Object) valid() error {
	switch {
	case o.Client == nil:
		return o.refuse(revision.Denied, "there is no Client to ask S3 with; set it")
	case o.Bucket == "" || o.Key == "":
		return o.refuse(revision.NotFound, "the location names no object; set Bucket and Key")
	case o.HandOver > 0:
		if _, ok := o.Client.(*awss3.Client); !ok {
			return o.refuse(revision.Denied, "HandOver needs an *s3.Client to sign addresses with; this is a %T", o.Client)
		}
	}
	return nil
}

// download brings the object to a file, and its signature if somebody wants it.
func (o Object) download(ctx context.Context, path string) (revision.Artifact, error) {
	get := &getter{o: o, version: o.Version, etag: unquote(o.ETag)}
	got, err := fetch.ToFile(ctx, path, o.Transfer, get.ask)
	if err != nil {
		return revision.Artifact{}, err
	}
	if o.SHA256 != "" && !strings.EqualFold(o.SHA256, got.SHA256) {
		return revision.Artifact{}, o.refuse(revision.DigestMismatch, "the object has the SHA-256 %s, not %s; it was replaced, or the deployment means another one", got.SHA256, o.SHA256)
	}
	o.Version, o.ETag, o.SHA256, o.Region = get.version, get.etag, got.SHA256, cmp.Or(o.Region, get.region)
	a := revision.Artifact{Location: o.Location(), Path: path, SHA256: got.SHA256, Size: got.Size, Recorded: o.recorded}
	if o.Verifier != nil {
		a.Signature, err = o.signature(ctx)
	}
	return a, err
}

// signature reads the detached signature; nil: there is none. It is the newest one, so
// that a revision can be signed again.
func (o Object) signature(ctx context.Context) ([]byte, error) {
	o.Key, o.Version, o.ETag = cmp.Or(o.Signature, o.Key+".sig"), "", ""
	get := &getter{o: o}
	b, err := fetch.ToMemory(ctx, maxSignature, o.Transfer, get.ask)
	if err != nil && codeOf(err) == revision.NotFound {
		return nil, nil
	}
	return b, err
}

// maxSignature is how large a signature may be.
const maxSignature = 64 << 10

// presign makes addresses for hosts. They are for exactly the version that was opened;
// without versions a replaced object is refused by its SHA-256.
func (o Object) presign(a revision.Artifact) func(context.Context) (revision.Download, error) {
	client := awss3.NewPresignClient(o.Client.(*awss3.Client)) // valid has seen to it
	o.Version = a.Location.Params["version"]
	return func(ctx context.Context) (revision.Download, error) {
		in := o.input()
		in.VersionId = text(o.Version)
		req, err := client.PresignGetObject(ctx, in, awss3.WithPresignExpires(o.HandOver), awss3.WithPresignClientFromClientOptions(o.options))
		if err != nil {
			return revision.Download{}, o.error(ctx, o.explain(ctx, err))
		}
		return revision.Download{URL: req.URL, SHA256: a.SHA256, Size: a.Size, Limits: o.Limits}, nil
	}
}

func unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
}

// text is a parameter of the SDK; nil: not given.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
