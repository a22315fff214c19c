package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/internal/fetch"
)

// meaning is what an answer of S3 means for a revision.
type meaning struct {
	code  revision.Code
	final bool   // asking again gives the same
	says  string // what to do about it
}

// codes are S3's own codes.
var codes = map[string]meaning{
	"NoSuchBucket":     {revision.NotFound, true, "there is no such bucket"},
	"NoSuchKey":        {revision.NotFound, true, "there is no such key in the bucket"},
	"NoSuchVersion":    {revision.NotFound, true, "there is no such version of the key"},
	"NotFound":         {revision.NotFound, true, "there is no such object"},
	"MethodNotAllowed": {revision.NotFound, true, "the version is a delete marker: the object was deleted"},
	"InvalidArgument":  {revision.NotFound, true, "S3 does not take the bucket, the key or the version"},

	"AccessDenied":          {revision.Denied, true, "is not allowed; S3 says so, too, where the object is not there and s3:ListBucket is not allowed"},
	"AllAccessDisabled":     {revision.Denied, true, "is disabled for everybody"},
	"AccountProblem":        {revision.Denied, true, "the account has a problem"},
	"InvalidAccessKeyId":    {revision.Denied, true, "the credentials are not known"},
	"InvalidToken":          {revision.Denied, true, "the session token is not valid"},
	"ExpiredToken":          {revision.Denied, true, "the credentials have expired; get new ones and resume"},
	"TokenRefreshRequired":  {revision.Denied, true, "the credentials have expired; get new ones and resume"},
	"SignatureDoesNotMatch": {revision.Denied, true, "the secret key does not belong to the access key"},
	"RequestTimeTooSkewed":  {revision.Denied, true, "the clock of this machine is wrong"},

	"PermanentRedirect":                  {revision.WrongRegion, true, "the bucket is in another region; set Region"},
	"TemporaryRedirect":                  {revision.WrongRegion, true, "the bucket is in another region; set Region"},
	"AuthorizationHeaderMalformed":       {revision.WrongRegion, true, "the bucket is in another region; set Region"},
	"IllegalLocationConstraintException": {revision.WrongRegion, true, "the bucket is in another region; set Region"},
	"MovedPermanently":                   {revision.WrongRegion, true, "the bucket is in another region; set Region"},

	"InvalidObjectState": {revision.NotReadable, true, "the object is archived; restore it first"},
	"InvalidRange":       {revision.Unreachable, false, "the object is shorter than it was"},
	"PreconditionFailed": {revision.DigestMismatch, true, "the object was replaced"},
}

// statuses are for answers without a code that is known.
var statuses = map[int]meaning{
	http.StatusMovedPermanently: {revision.WrongRegion, true, "the bucket is in another region; set Region"},
	http.StatusBadRequest:       {revision.NotReadable, true, "S3 does not take the request"},
	http.StatusUnauthorized:     {revision.Denied, true, "is not allowed"},
	http.StatusForbidden:        {revision.Denied, true, "is not allowed"},
	http.StatusNotFound:         {revision.NotFound, true, "there is no such object"},
}

// explain gives an error of the SDK its code and says what it means.
func (o Object) explain(ctx context.Context, err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return o.refuse(revision.Unreachable, "S3 cannot be asked for the object%s: %s%w", o.region(), network(err), hidden{err})
	}
	m := answer(api, err)
	made := o.refuse(m.code, "%s%s: %s (%s: %s)%w", o.action(m.code), o.region()+o.as(ctx), m.says, api.ErrorCode(), api.ErrorMessage(), hidden{err})
	if m.final {
		return fetch.Final(made)
	}
	return made
}

// answer looks up what an answer means.
func answer(api smithy.APIError, err error) meaning {
	resp, isHTTP := errors.AsType[*awshttp.ResponseError](err)
	m, ok := codes[api.ErrorCode()]
	if !ok && isHTTP {
		m, ok = statuses[resp.HTTPStatusCode()]
	}
	switch {
	case !ok:
		return meaning{code: revision.Unreachable, says: "S3 has trouble"}
	case m.code == revision.WrongRegion && isHTTP && resp.Response.Header.Get("x-amz-bucket-region") != "":
		m.says = fmt.Sprintf("the bucket is in %.32q; set Region", resp.Response.Header.Get("x-amz-bucket-region"))
	}
	return m
}

// hidden keeps a cause for errors.Is without its text, which may hold addresses.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// action names what was tried, as policies do where permissions are missing.
func (o Object) action(code revision.Code) string {
	if code != revision.Denied {
		return "getting the object"
	}
	verb := "s3:GetObject"
	if o.Version != "" {
		verb = "s3:GetObjectVersion"
	}
	return fmt.Sprintf("%s on arn:aws:s3:::%s/%s", verb, o.Bucket, o.Key)
}

func (o Object) region() string {
	region := o.Region
	if c, ok := o.Client.(*awss3.Client); ok && region == "" {
		region = c.Options().Region
	}
	if region == "" {
		return ""
	}
	return " in " + region
}

// as says whose credentials S3 has answered to, as far as the client tells.
func (o Object) as(ctx context.Context) string {
	c, ok := o.Client.(*awss3.Client)
	if !ok || c.Options().Credentials == nil {
		return ""
	}
	creds, err := c.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return "" // those that were used are gone meanwhile: then their name is no help
	}
	return fmt.Sprintf(" with the credentials of %s that end in %s", creds.Source, creds.AccessKeyID[max(0, len(creds.AccessKeyID)-4):])
}

// network tells apart the ways in which a service cannot be reached.
func network(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name " + dns.Name + " cannot be looked up: " + dns.Err
	}
	if u, ok := errors.AsType[*url.Error](err); ok { // its address carries signatures
		if at, bad := url.Parse(u.URL); bad == nil {
			return "asking " + at.Host + ": " + u.Err.Error()
		}
	}
	return signed.ReplaceAllString(err.Error(), "?…")
}

// signed is what an address says after its path.
var signed = regexp.MustCompile(`\?[^\s"]+`)

func (o Object) refuse(code revision.Code, format string, args ...any) error {
	return &revision.Error{Code: code, Path: o.Location().String(), Err: fmt.Errorf(format, args...)}
}

// error says which object an error is about. When ctx was cancelled, that is the error.
func (o Object) error(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err = fetch.Unmarked(err)
	if e, ok := errors.AsType[*revision.Error](err); ok && e.Path == "" {
		e.Path = o.Location().String()
	}
	return err
}

func codeOf(err error) revision.Code {
	if e, ok := errors.AsType[*revision.Error](err); ok {
		return e.Code
	}
	return ""
}
