package github_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/github"
)

const (
	commit = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
	secret = "ghp_verysecret"
	pass   = "temporary-pass" // what the address of a redirect carries
)

// archive is what GitHub makes of a commit.
func archive(t testing.TB, folder string, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": commit}}))
	require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o775}))
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + f, Mode: 0o664, Size: int64(len(f))}))
		_, err := w.Write([]byte(f))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

// hub is GitHub in this process: an interface that redirects to another host.
type hub struct {
	api, files *httptest.Server

	mu      sync.Mutex
	asked   []string // host, path and what was sent as Authorization
	archive []byte
	answer  func(w http.ResponseWriter, r *http.Request) bool // of the interface, in place of the usual
	deliver func(w http.ResponseWriter, n int) bool           // of the files, n from 0
	n       int
}

func newHub(t *testing.T) *hub {
	h := &hub{archive: archive(t, "acme-shop-"+commit[:7], "appspec.yml", "page.txt")}
	h.files = httptest.NewServer(http.HandlerFunc(h.serveFiles))
	h.api = httptest.NewServer(http.HandlerFunc(h.serveAPI))
	t.Cleanup(h.files.Close)
	t.Cleanup(h.api.Close)
	return h
}

// answerBy puts an answer in place of the interface's; nil: none.
func (h *hub) answerBy(f func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// deliverBy puts something in place of the archive; nil: nothing.
func (h *hub) deliverBy(f func(w http.ResponseWriter, n int) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver = f
}

func (h *hub) note(who string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, strings.TrimSpace(who+" "+r.URL.Path+" "+r.Header.Get("Authorization")))
}

func (h *hub) serveAPI(w http.ResponseWriter, r *http.Request) {
	h.note("api", r)
	h.mu.Lock()
	answer := h.answer
	h.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/repos/acme/shop/tarball/"+commit) {
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		return
	}
	http.Redirect(w, r, h.files.URL+"/acme/shop/legacy.tar.gz/"+commit+"?token="+pass, http.StatusFound)
}

func (h *hub) serveFiles(w http.ResponseWriter, r *http.Request) {
	h.note("files", r)
	h.mu.Lock()
	n, deliver, content := h.n, h.deliver, h.archive
	h.n++
	h.mu.Unlock()
	if deliver != nil && deliver(w, n) {
		return
	}
	w.Write(content)
}

func (h *hub) commit() github.Commit {
	return github.Commit{
		Owner: "acme", Repository: "shop", Commit: commit, BaseURL: h.api.URL,
		Token:    func(context.Context) (string, error) { return secret, nil },
		Transfer: revision.Transfer{Tries: 2, Pause: time.Millisecond},
	}
}

func open(t *testing.T, src revision.Source) *revision.Bundle {
	t.Helper()
	b, err := src.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	return b
}

// refused opens what must be refused; the error keeps all secrets.
func refused(t *testing.T, code revision.Code, src revision.Source) string {
	t.Helper()
	b, err := src.Open(t.Context(), t.TempDir())
	require.Nil(t, b)
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	for err := error(e); err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
		require.NotContains(t, err.Error(), pass)
	}
	require.True(t, strings.HasPrefix(e.Error(), "github:"), e.Error())
	return e.Error()
}

func names(b *revision.Bundle) (all []string) {
	for _, e := range b.Manifest.Entries {
		all = append(all, e.Path)
	}
	return all
}

func TestACommitIsARevision(t *testing.T) {
	h := newHub(t)
	src := h.commit()
	b := open(t, src)
	require.Equal(t, []string{"appspec.yml", "page.txt"}, names(b))
	require.Equal(t, []string{`the leading folder "acme-shop-7fd1a60" is dropped`}, b.Notes)
	require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
	require.Equal(t, []string{
		"api /repos/acme/shop/tarball/" + commit + " Bearer " + secret,
		"files /acme/shop/legacy.tar.gz/" + commit,
	}, h.asked, "the token is for one host")
	items, err := os.ReadDir(filepath.Dir(filepath.Dir(b.Dir)))
	require.NoError(t, err)
	require.Len(t, items, 1, "the archive is gone")

	rev := b.Revision(src)
	require.Equal(t, "github:acme/shop@"+commit, rev.Location.String())
	text, err := json.Marshal(rev)
	require.NoError(t, err)
	require.NotContains(t, string(text)+fmt.Sprintf("%+v", src), secret)
	var again revision.Revision
	require.NoError(t, json.Unmarshal(text, &again))
	old, err := revision.FromLocation(again.Location, src)
	require.NoError(t, err)
	require.Equal(t, rev, open(t, old).Revision(old))
}

func TestTheLeadingFolderGoesWhateverIsInIt(t *testing.T) {
	h := newHub(t)
	h.archive = archive(t, "shop", "deploy/spec.yml", "README")
	require.Equal(t, []string{"README", "deploy", "deploy/spec.yml"}, names(open(t, h.commit())))
	h.archive = archive(t, "shop-1.0", "README")
	open(t, h.commit())
	h.archive = archive(t, "acme-shop-0000000", "README")
	require.Contains(t, refused(t, revision.DigestMismatch, h.commit()), "the archive that came is of the commit 0000000")
	h.archive = archive(t, "../shop", "README")
	refused(t, revision.MemberPath, h.commit())
	h.archive = []byte("version: 0.0\n")
	refused(t, revision.NotAnArchive, h.commit())
}

func TestLocationsOfAnotherServerAreNotForThisToken(t *testing.T) {
	h := newHub(t)
	l := h.commit().Location()
	l.Params["url"] = "https://evil.example"
	_, err := h.commit().At(l)
	require.ErrorContains(t, err, "is at https://evil.example, and what is at hand is for "+h.api.URL)
	_, err = revision.FromLocation(l, h.commit())
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok)
	require.Equal(t, revision.UnknownKind, e.Code)
	_, err = github.Commit{}.At(revision.Location{Kind: revision.KindS3})
	require.ErrorContains(t, err, `not opened here, only ["github"]`)
	require.NotContains(t, github.Commit{Owner: "a", Repository: "b", Commit: commit}.Location().Params, "url")
}

func TestI13_RedirectsThatAreNotFollowed(t *testing.T) {
	h := newHub(t)
	to := func(where string) {
		h.answerBy(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", where)
			w.WriteHeader(http.StatusFound)
			return true
		})
	}
	to(h.api.URL + "/again?token=" + pass)
	require.Contains(t, refused(t, revision.Unreachable, h.commit()), "sends on more than 5 times")
	to("")
	require.Contains(t, refused(t, revision.Unreachable, h.commit()), "sends on to nowhere")
	to("file:///etc/passwd?" + pass)
	require.Contains(t, refused(t, revision.Denied, h.commit()), "sends on from http to file")
	to("http://127.0.0.1:1/?token=" + pass)
	require.Contains(t, refused(t, revision.Unreachable, h.commit()), "asking 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused")

	tls := httptest.NewTLSServer(http.HandlerFunc(h.serveAPI))
	t.Cleanup(tls.Close)
	h.answerBy(nil)
	src := h.commit()
	src.BaseURL, src.HTTP = tls.URL, tls.Client()
	h.n = 0
	require.Contains(t, refused(t, revision.Denied, src), "sends on from https to http at ")
	require.Zero(t, h.n, "nobody was asked")
	src.HTTP = nil
	require.Contains(t, refused(t, revision.Unreachable, src), "certificate")
}

// A repository that was renamed is sent on by the same host, which gets the token again;
// the same name at another port is another host.
func TestTheTokenGoesToTheHostOfBaseURLOnly(t *testing.T) {
	h := newHub(t)
	h.answerBy(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/repositories/7/tarball/"+commit {
			http.Redirect(w, r, "/repositories/7/tarball/"+commit, http.StatusMovedPermanently)
			return true
		}
		http.Redirect(w, r, h.files.URL+"/x", http.StatusFound)
		return true
	})
	open(t, h.commit())
	require.Equal(t, []string{
		"api /repos/acme/shop/tarball/" + commit + " Bearer " + secret,
		"api /repositories/7/tarball/" + commit + " Bearer " + secret,
		"files /x",
	}, h.asked)
}

func TestF10_ErrorsSayWhatIsWrong(t *testing.T) {
	h := newHub(t)
	anonymous := h.commit()
	anonymous.Token, anonymous.Repository = nil, "other"
	require.Contains(t, refused(t, revision.NotFound, anonymous), `github:acme/other@7fd1a60b01f91b314f59955a4e4d4e80d8edf11d: there is no such repository or commit, or only for who has a token ("Not Found")`)
	for name, x := range map[string]struct {
		status int
		limit  string
		code   revision.Code
		want   string
		asked  int
	}{
		"unauthorized": {401, "", revision.Denied, "GitHub does not take the token", 1},
		"forbidden":    {403, "1", revision.Denied, "reading the repository is not allowed", 1},
		"rate":         {403, "0", revision.Unreachable, "too many requests", 2},
		"not found":    {404, "", revision.NotFound, "or the token is not for it", 1},
		"no commit":    {422, "", revision.NotFound, "there is no such repository or commit", 1},
		"odd":          {418, "", revision.Unreachable, "the answer is 418", 1},
		"trouble":      {502, "", revision.Unreachable, "GitHub has trouble: 502 Bad Gateway", 2},
	} {
		h.asked = nil
		h.answerBy(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-RateLimit-Remaining", x.limit)
			http.Error(w, `{"message":"you said `+r.Header.Get("Authorization")+`"}`, x.status)
			return true
		})
		text := refused(t, x.code, h.commit())
		require.Contains(t, text, x.want, name)
		require.Contains(t, text, `("you said Bearer (token)")`, name)
		require.Len(t, h.asked, x.asked, name)
	}
	for want, change := range map[string]func(*github.Commit){
		"is no commit; name it in full": func(c *github.Commit) { c.Commit = "main" },
		`"acme/.." is no owner`:         func(c *github.Commit) { c.Repository = ".." },
		`"a/b/shop" is no owner`:        func(c *github.Commit) { c.Owner = "a/b" },
		"BaseURL is no address":         func(c *github.Commit) { c.BaseURL = "ftp://x" },
	} {
		src := h.commit()
		change(&src)
		require.Contains(t, refused(t, revision.NotFound, src), want)
	}
	src := h.commit()
	src.Token = func(context.Context) (string, error) { return secret + "\n", nil }
	require.Contains(t, refused(t, revision.Denied, src), "a line break at its end")
	src.Token = func(context.Context) (string, error) { return "", errors.New("vault is sealed") }
	require.Contains(t, refused(t, revision.Denied, src), "there is no token: vault is sealed")
}

func TestF2_F4_BrokenOffEndlessAndSlow(t *testing.T) {
	h := newHub(t)
	h.deliverBy(func(w http.ResponseWriter, n int) bool {
		if n > 0 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(h.archive)))
		w.Write(h.archive[:50])
		return true
	})
	require.Len(t, names(open(t, h.commit())), 2)
	require.Equal(t, 2, h.n)

	src := h.commit()
	src.Transfer.Bytes = 1 << 20
	h.deliverBy(func(w http.ResponseWriter, _ int) bool {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return true
			}
		}
	})
	require.Contains(t, refused(t, revision.TooLarge, src), "at most 1048576 are allowed")
	src.Transfer.Window = 200 * time.Millisecond
	block := make(chan struct{})
	defer close(block)
	h.deliverBy(func(w http.ResponseWriter, _ int) bool {
		w.Write(h.archive[:20])
		w.(http.Flusher).Flush()
		<-block
		return true
	})
	require.Contains(t, refused(t, revision.Stalled, src), "bytes in 200ms; at least 1024 bytes per second are expected")
}

func TestF5_AVerifierDecides(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	h := newHub(t)
	src := h.commit()
	src.Verifier = revision.Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}}
	refused(t, revision.NotSigned, src)
	digest := sha256.Sum256(h.archive)
	src.Signature = func(_ context.Context, l revision.Location) ([]byte, error) {
		require.Equal(t, commit, l.Params["commit"])
		return revision.Sign(revision.Statement{SHA256: hex.EncodeToString(digest[:]), Signed: time.Now()}, "k", key)
	}
	open(t, src)
	h.archive = archive(t, "evil", "appspec.yml")
	refused(t, revision.DigestMismatch, src)
	src.Signature = func(context.Context, revision.Location) ([]byte, error) { return nil, errors.New("no disk") }
	require.Contains(t, refused(t, revision.NotReadable, src), "its signature cannot be had: no disk")
}

func TestCancelled(t *testing.T) {
	h := newHub(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	h.answerBy(func(http.ResponseWriter, *http.Request) bool { cancel(why); return false })
	_, err := h.commit().Open(ctx, t.TempDir())
	require.Equal(t, why, err)
}
