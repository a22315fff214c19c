package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/internal/fetch"
)

// maxRedirects is how many are followed. GitHub needs one, two for a repository that
// was renamed.
const maxRedirects = 5

// ask implements fetch.Source. Archives have no name for exactly their bytes, so it
// always gets all.
func (c Commit) ask(ctx context.Context, _ int64, _ string) (fetch.Part, error) {
	base, err := url.Parse(c.base())
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return fetch.Part{}, fetch.Final(failed(revision.NotFound, "BaseURL is no address of the form https://HOST/PATH"))
	}
	token, err := c.token(ctx)
	if err != nil {
		return fetch.Part{}, fetch.Final(err)
	}
	resp, err := c.follow(ctx, base, token)
	if err != nil {
		return fetch.Part{}, hide(err, token)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return fetch.Part{}, hide(c.refused(resp, token != ""), token)
	}
	return fetch.Part{Body: resp.Body, Size: resp.ContentLength}, nil
}

func (c Commit) token(ctx context.Context) (string, error) {
	if c.Token == nil {
		return "", nil
	}
	token, err := c.Token(ctx)
	if err != nil {
		return "", failed(revision.Denied, "there is no token: %w", err)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", failed(revision.Denied, "the token has characters in it that none has, such as a line break at its end")
	}
	return token, nil
}

// follow asks for the archive and goes where it is sent. The token goes to the host of
// base and nowhere else.
func (c Commit) follow(ctx context.Context, base *url.URL, token string) (*http.Response, error) {
	at := base.JoinPath("repos", c.Owner, c.Repository, "tarball", strings.ToLower(c.Commit))
	for range maxRedirects + 1 {
		resp, err := c.send(ctx, at, token, at.Scheme == base.Scheme && at.Host == base.Host)
		if err != nil {
			return nil, failed(revision.Unreachable, "asking %s: %w", at.Host, reason(err))
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, nil
		}
		resp.Body.Close()
		next, err := at.Parse(resp.Header.Get("Location"))
		switch {
		case err != nil || resp.Header.Get("Location") == "":
			return nil, failed(revision.Unreachable, "%s sends on to nowhere", at.Host)
		case next.Scheme != "https" && next.Scheme != at.Scheme:
			return nil, fetch.Final(failed(revision.Denied, "%s sends on from %s to %s at %s, which is not followed", at.Host, at.Scheme, next.Scheme, next.Host))
		}
		at = next
	}
	return nil, fetch.Final(failed(revision.Unreachable, "%s sends on more than %d times", base.Host, maxRedirects))
}

func (c Commit) send(ctx context.Context, at *url.URL, token string, trusted bool) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Accept-Encoding", "identity") // the archive as it is
	req.Header.Set("User-Agent", "cutover")
	if token != "" && trusted {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.DefaultClient
	if c.HTTP != nil {
		client = c.HTTP
	}
	one := *client
	one.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return one.Do(req)
}

// reason is an error of the network without the address, which may carry a secret.
func reason(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("the name %s cannot be looked up: %s", dns.Name, dns.Err)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// refused says what an answer without an archive means.
func (c Commit) refused(resp *http.Response, token bool) error {
	says := message(resp)
	limited := resp.Header.Get("X-RateLimit-Remaining") == "0" || resp.StatusCode == http.StatusTooManyRequests
	switch code := resp.StatusCode; {
	case limited:
		return failed(revision.Unreachable, "too many requests%s; with a token more are allowed, later all are", says)
	case code == http.StatusUnauthorized:
		return fetch.Final(failed(revision.Denied, "GitHub does not take the token%s", says))
	case code == http.StatusForbidden:
		return fetch.Final(failed(revision.Denied, "reading the repository is not allowed%s", says))
	case code == http.StatusNotFound && !token:
		return fetch.Final(failed(revision.NotFound, "there is no such repository or commit, or only for who has a token%s", says))
	case code == http.StatusNotFound, code == http.StatusGone, code == http.StatusUnprocessableEntity:
		return fetch.Final(failed(revision.NotFound, "there is no such repository or commit, or the token is not for it%s", says))
	case code < http.StatusInternalServerError:
		return fetch.Final(failed(revision.Unreachable, "the answer is %s%s", resp.Status, says))
	}
	return failed(revision.Unreachable, "GitHub has trouble: %s%s", resp.Status, says)
}

// message is what the answer says in words.
func message(resp *http.Response) string {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	var m struct{ Message string }
	if err != nil || json.Unmarshal(text, &m) != nil || m.Message == "" {
		return ""
	}
	return fmt.Sprintf(" (%.200q)", m.Message)
}

// hide makes sure that an error does not repeat the token, whoever put it there.
func hide(err error, token string) error {
	e, ok := errors.AsType[*revision.Error](err)
	if !ok || token == "" || !strings.Contains(e.Err.Error(), token) {
		return err
	}
	e.Err = errors.New(strings.ReplaceAll(e.Err.Error(), token, "(token)"))
	return err
}
