package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/internal/fetch"
)

// DefaultURL is where GitHub's own interface is.
const DefaultURL = "https://api.github.com"

// Commit is a commit of a repository as a revision. Set Owner, Repository and Commit.
// With a Token and a BaseURL alone it opens recorded locations; see [revision.Opener].
type Commit struct {
	Owner      string
	Repository string
	Commit     string // 40 or 64 hex digits

	// Token is asked for a token before each request to BaseURL. Nil: none is sent,
	// which is enough for public repositories.
	Token func(context.Context) (string, error)
	// BaseURL is the address of the interface, such as https://github.example.com/api/v3.
	// Empty: [DefaultURL].
	BaseURL string
	// HTTP sends the requests; its policy for redirects is not used. Nil: http.DefaultClient.
	HTTP *http.Client

	// Verifier has to agree before anything is unpacked. Nil: nobody is asked.
	Verifier revision.Verifier
	// Signature finds the detached signature of a commit's archive, for the Verifier;
	// nil bytes: there is none. Nil: there never is one.
	Signature func(context.Context, revision.Location) ([]byte, error)

	Limits   revision.Limits   // of what is unpacked; zero: the defaults
	Transfer revision.Transfer // of the download; zero: the defaults

	recorded bool
}

var (
	_ revision.Source = Commit{}
	_ revision.Opener = Commit{}
)

// Location implements revision.Source.
func (c Commit) Location() revision.Location {
	p := map[string]string{"owner": c.Owner, "repository": c.Repository, "commit": strings.ToLower(c.Commit)}
	if base := c.base(); base != DefaultURL {
		p["url"] = base
	}
	return revision.Location{Kind: revision.KindGitHub, Params: p}
}

func (c Commit) base() string { return strings.TrimSuffix(cmp.Or(c.BaseURL, DefaultURL), "/") }

// At implements revision.Opener: another commit, got with this one's token, verifier
// and limits. Locations of another BaseURL are not its own: the token is not for them.
func (c Commit) At(l revision.Location) (revision.Source, error) {
	if l.Kind != revision.KindGitHub {
		return nil, revision.OtherKind(l, revision.KindGitHub)
	}
	if url := cmp.Or(l.Params["url"], DefaultURL); url != c.base() {
		return nil, &revision.Error{Code: revision.UnknownKind, Path: l.String(),
			Err: fmt.Errorf("is at %s, and what is at hand is for %s", url, c.base())}
	}
	c.Owner, c.Repository, c.Commit, c.recorded = l.Params["owner"], l.Params["repository"], l.Params["commit"], true
	return c, nil
}

// Open implements revision.Source. Of work it uses a file while it downloads, and a
// directory for the content.
func (c Commit) Open(ctx context.Context, work string) (*revision.Bundle, error) {
	b, err := c.open(ctx, work)
	switch {
	case err == nil:
		return b, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	if e, ok := errors.AsType[*revision.Error](err); ok && e.Path == "" {
		e.Path = c.Location().String()
	}
	return nil, err
}

func (c Commit) open(ctx context.Context, work string) (*revision.Bundle, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	path, err := fetch.Place(work)
	if err != nil {
		return nil, err
	}
	defer fetch.Discard(path)
	got, err := fetch.ToFile(ctx, path, c.Transfer, c.ask)
	if err != nil {
		return nil, err
	}
	a := revision.Artifact{Location: c.Location(), Path: path, SHA256: got.SHA256, Size: got.Size, Recorded: c.recorded}
	if c.Verifier != nil && c.Signature != nil {
		if a.Signature, err = c.Signature(ctx, a.Location); err != nil {
			return nil, failed(revision.NotReadable, "its signature cannot be had: %w", err)
		}
	}
	b, err := a.Open(ctx, filepath.Join(work, "content"), revision.Unpacking{Verifier: c.Verifier, Limits: c.Limits, DropFolder: true})
	if err != nil {
		return nil, err
	}
	return b, c.compare(filepath.Base(b.Dir))
}

var (
	ownerText  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	nameText   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)
	commitText = regexp.MustCompile(`^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)
	folderText = regexp.MustCompile(`-([0-9a-f]{7,64})$`)
)

func (c Commit) valid() error {
	switch {
	case !ownerText.MatchString(c.Owner), !nameText.MatchString(c.Repository), c.Repository == ".", c.Repository == "..":
		return failed(revision.NotFound, "%q is no owner and repository; set Owner and Repository to what stands between the slashes of its address", c.Owner+"/"+c.Repository)
	case !commitText.MatchString(c.Commit):
		return failed(revision.NotFound, "%q is no commit; name it in full, with 40 or 64 hex digits, since a branch or tag may be another revision tomorrow", c.Commit)
	}
	return nil
}

// compare makes sure that the archive is of the commit. GitHub has it in the name of
// the leading folder; other servers may not.
func (c Commit) compare(folder string) error {
	m := folderText.FindStringSubmatch(folder)
	if m == nil || strings.HasPrefix(strings.ToLower(c.Commit), m[1]) {
		return nil
	}
	return failed(revision.DigestMismatch, "the archive that came is of the commit %s", m[1])
}

func failed(code revision.Code, format string, args ...any) error {
	return &revision.Error{Code: code, Err: fmt.Errorf(format, args...)}
}
