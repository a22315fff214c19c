package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Publisher is what [Publish] calls. A *lambda.Client of the SDK is one.
type Publisher interface {
	GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error)
	UpdateFunctionCode(context.Context, *lambda.UpdateFunctionCodeInput, ...func(*lambda.Options)) (*lambda.UpdateFunctionCodeOutput, error)
	PublishVersion(context.Context, *lambda.PublishVersionInput, ...func(*lambda.Options)) (*lambda.PublishVersionOutput, error)
}

// Code is what a version is made of: a zip file, or one in S3.
type Code struct {
	Zip []byte // the file's content; empty: it is in S3

	Bucket, Key string
	Object      string // version of the object; empty: the newest

	Description string // of the published version; empty: the function's
}

// Publish makes code a published version of a function and returns its number. It waits
// for updates that somebody has begun, and for its own. Done again it publishes nothing
// new: code and settings that are those of the newest version keep its number. If the
// code is changed by somebody else meanwhile, that is not published, and the error has
// code ExternalChange.
func Publish(ctx context.Context, c Publisher, name string, code Code) (version string, err error) {
	p := publishing{c, name, code}
	sha, err := p.upload(ctx)
	if err != nil {
		return "", err
	}
	return p.publish(ctx, sha)
}

// publishing is one call of [Publish].
type publishing struct {
	c    Publisher
	name string
	code Code
}

// updating is how long an update may take.
const updating = 10 * time.Minute

var noStep lifecycle.Step

// upload makes the code that of $LATEST and returns its digest, as Lambda says it.
func (p publishing) upload(ctx context.Context) (string, error) {
	in := &lambda.UpdateFunctionCodeInput{FunctionName: &p.name}
	switch {
	case len(p.code.Zip) > 0:
		in.ZipFile = p.code.Zip
	case p.code.Bucket != "" && p.code.Key != "":
		in.S3Bucket, in.S3Key = &p.code.Bucket, &p.code.Key
		if p.code.Object != "" {
			in.S3ObjectVersion = &p.code.Object
		}
	default:
		return "", fail(noStep, lifecycle.RevisionInvalid, "there is no code for function %s: give a zip file, or a bucket and a key", p.name)
	}
	want := ""
	if in.ZipFile != nil {
		sum := sha256.Sum256(in.ZipFile)
		want = base64.StdEncoding.EncodeToString(sum[:])
	}
	for range writes {
		now, err := p.idle(ctx)
		if err != nil {
			return "", err
		}
		if want != "" && aws.ToString(now.CodeSha256) == want {
			return want, nil
		}
		in.RevisionId = now.RevisionId
		out, err := awserror.AskFor(ctx, updating, p.c.UpdateFunctionCode, in) // it may carry 50 MB
		switch c := code(err); {
		case c == conflict, c == changed: // somebody else was faster
		case err != nil:
			return "", failed(ctx, noStep, "lambda:UpdateFunctionCode", p.name, err)
		case want == "" || aws.ToString(out.CodeSha256) == want:
			return aws.ToString(out.CodeSha256), nil
		}
	}
	return "", p.changed("its code could not be set: somebody else changes it all the time")
}

// publish publishes $LATEST, if its code is still the one with the digest.
func (p publishing) publish(ctx context.Context, sha string) (string, error) {
	for range writes {
		now, err := p.idle(ctx)
		if err != nil {
			return "", err
		}
		if got := aws.ToString(now.CodeSha256); got != sha {
			return "", p.changed("its code is " + got + " now, and was set to " + sha)
		}
		in := &lambda.PublishVersionInput{FunctionName: &p.name, CodeSha256: &sha, RevisionId: now.RevisionId}
		if p.code.Description != "" {
			in.Description = &p.code.Description
		}
		out, err := ask(ctx, p.c.PublishVersion, in)
		switch c := code(err); {
		case c == conflict, c == changed: // somebody has begun an update: look again
		case err != nil:
			return "", failed(ctx, noStep, "lambda:PublishVersion", p.name, err)
		case aws.ToString(out.Version) == "":
			return "", fail(noStep, lifecycle.Unknown, "function %s was published, and the answer names no version; say it again", p.name)
		default:
			return *out.Version, nil
		}
	}
	return "", p.changed("it is updated by somebody else all the time")
}

func (p publishing) changed(why string) error {
	return fail(noStep, lifecycle.ExternalChange, "function %s: %s; nothing was published, see who that is", p.name, why)
}

// idle waits until no update of $LATEST is in progress.
func (p publishing) idle(ctx context.Context) (*lambda.GetFunctionConfigurationOutput, error) {
	wait := time.Second
	for began := time.Now(); time.Since(began) < updating; wait = min(2*wait, 5*time.Second) {
		out, err := ask(ctx, p.c.GetFunctionConfiguration, &lambda.GetFunctionConfigurationInput{FunctionName: &p.name})
		switch {
		case err != nil:
			return nil, failed(ctx, noStep, "lambda:GetFunctionConfiguration", p.name, err)
		case out.LastUpdateStatus == types.LastUpdateStatusFailed:
			return nil, fail(noStep, lifecycle.TargetFailed, "the last update of function %s has failed (%s); mend it first", p.name, or(aws.ToString(out.LastUpdateStatusReason), "Lambda gives no reason"))
		case settled(out):
			return out, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
	return nil, fail(noStep, lifecycle.TimedOut, "function %s: an update has been in progress for %s; %s", p.name, updating, "look at it, and say it again")
}

// settled reports whether an answer says that nothing is in progress. Emulators say
// nothing of functions that were never updated.
func settled(out *lambda.GetFunctionConfigurationOutput) bool {
	return out.LastUpdateStatus == types.LastUpdateStatusSuccessful && out.State != types.StatePending && out.CodeSha256 != nil
}
