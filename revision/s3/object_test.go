package s3_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/s3"
)

const spec = "version: 0.0\nos: linux\n"

// zipped is an archive of an AppSpec and a page.
func zipped(t *testing.T, page string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range [][2]string{{"appspec.yml", spec}, {"page.txt", page}} {
		m, err := w.CreateHeader(&zip.FileHeader{Name: f[0], Method: zip.Store, Modified: time.Unix(1e9, 0)})
		require.NoError(t, err)
		_, err = m.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func tarred(t *testing.T, page string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range [][2]string{{"appspec.yml", spec}, {"page.txt", page}} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f[0], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func open(t *testing.T, src revision.Source) *revision.Bundle {
	t.Helper()
	b, err := src.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	return b
}

func page(t *testing.T, b *revision.Bundle) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "page.txt"))
	require.NoError(t, err)
	return string(text)
}

// refused opens what must be refused, and makes sure that nothing is left of it.
func refused(t *testing.T, code revision.Code, src revision.Source) string {
	t.Helper()
	work := t.TempDir()
	b, err := src.Open(t.Context(), work)
	require.Nil(t, b)
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	require.NotContains(t, err.Error(), "verysecret")
	items, err := os.ReadDir(work)
	require.NoError(t, err)
	for _, i := range items {
		require.NotEqual(t, "archive", i.Name(), "the download is still there")
	}
	return e.Error()
}

// quick does not wait between two tries.
var quick = revision.Transfer{Tries: 2, Pause: time.Millisecond}

func TestKindsOfBundlesAreSeenFromTheContent(t *testing.T) {
	s := newStore(t)
	digests := map[string]bool{}
	for key, content := range map[string][]byte{
		"a.zip": zipped(t, "x"), "a.tar": tarred(t, "x"), "a.tgz": gzipped(t, tarred(t, "x")), "noname": zipped(t, "x"), "misnamed.tar": zipped(t, "x"),
	} {
		s.put("b/"+key, content)
		b := open(t, s3.Object{Client: s.client(), Bucket: "b", Key: key})
		require.Equal(t, "x", page(t, b), key)
		digests[b.Manifest.Digest()] = true
		if key == "misnamed.tar" {
			require.Equal(t, []string{"the file is named as tar and is zip"}, b.Notes)
		}
	}
	require.Len(t, digests, 1)

	for key, content := range map[string]string{
		"spec.yaml": "# ours\nversion: 0.0\nResources: []\n", "spec.json": `{"version": 0.0, "Resources": []}`, "spec": spec,
	} {
		s.put("b/"+key, []byte(content))
		b := open(t, s3.Object{Client: s.client(), Bucket: "b", Key: key})
		require.Len(t, b.Manifest.Entries, 1)
		require.Equal(t, "appspec.yaml", b.Manifest.Entries[0].Path)
		require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
		require.Equal(t, revision.Inline{Content: content}.Location().Params["sha256"], b.Location.Params["sha256"])
	}
	s.put("b/page.zip", []byte("<html>version: 1</html>"))
	require.Contains(t, refused(t, revision.NotAnArchive, s3.Object{Client: s.client(), Bucket: "b", Key: "page.zip"}), "s3://b/page.zip?versionId=v1: is named as zip and is a web page")
}

// The newest version is what a deployment takes, and exactly that is what its records
// say.
func TestF1_TheVersionIsPinnedWhenItIsOpened(t *testing.T) {
	s := newStore(t)
	one := zipped(t, "one")
	s.put("b/app.zip", one)
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip"}
	b := open(t, src)
	rev := b.Revision(src)
	require.Equal(t, map[string]string{
		"bucket": "b", "key": "app.zip", "version": "v1", "etag": s.objects["b/app.zip"][0].etag, "sha256": sum(one), "region": "eu-central-1",
	}, rev.Location.Params)
	require.Equal(t, "s3://b/app.zip?versionId=v1", rev.Location.String())

	s.put("b/app.zip", zipped(t, "two"))
	require.Equal(t, "two", page(t, open(t, src)))

	// Records are JSON; any object with a client opens what they say.
	text, err := json.Marshal(rev.Location)
	require.NoError(t, err)
	require.NotContains(t, string(text), "verysecret")
	var l revision.Location
	require.NoError(t, json.Unmarshal(text, &l))
	again, err := revision.FromLocation(l, s3.Object{Client: s.client()})
	require.NoError(t, err)
	require.Equal(t, l, again.Location())
	old := open(t, again)
	require.Equal(t, "one", page(t, old))
	require.Equal(t, rev, old.Revision(again))

	_, err = revision.FromLocation(l)
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok)
	require.Equal(t, revision.UnknownKind, e.Code)
	_, err = s3.Object{}.At(revision.Location{Kind: revision.KindDir})
	require.ErrorContains(t, err, `a location of kind "directory" is not opened here, only ["s3"]`)
}

func TestF1_AReplacedObjectIsRefused(t *testing.T) {
	s := newStore(t)
	s.unversioned("b")
	s.put("b/app.zip", zipped(t, "one"))
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip"}
	rev := open(t, src).Revision(src)
	require.Empty(t, rev.Location.Params["version"])

	s.put("b/app.zip", zipped(t, "two"))
	again, err := revision.FromLocation(rev.Location, src)
	require.NoError(t, err)
	require.Contains(t, refused(t, revision.DigestMismatch, again), "the object has the ETag")
	by := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", SHA256: rev.Location.Params["sha256"]}
	require.Contains(t, refused(t, revision.DigestMismatch, by), "the object has the SHA-256 "+sum(zipped(t, "two"))+", not "+sum(zipped(t, "one")))
}

// Where the ETag is the same and the content is not, the SHA-256 decides.
func TestF3_AnETagIsNoDigest(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, "one"))
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip"}
	rev := open(t, src).Revision(src)
	s.objects["b/app.zip"][0].content = zipped(t, "two")
	again, err := src.At(rev.Location)
	require.NoError(t, err)
	require.Contains(t, refused(t, revision.DigestMismatch, again), "SHA-256")

	// One that is given is compared, with quotes or without; it can never let content pass.
	etag := s.objects["b/app.zip"][0].etag
	for _, given := range []string{etag, `"` + etag + `"`} {
		open(t, s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", ETag: given})
	}
	require.Contains(t, refused(t, revision.DigestMismatch, s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", ETag: "other"}), `not "other"`)
}

// A download of a version goes on where it was; one without a version begins anew, and
// takes all of what is there then.
func TestF2_ADownloadThatBreaksOff(t *testing.T) {
	for name, c := range map[string]struct {
		plain bool
		want  []string
	}{
		"goes on":     {false, []string{"/b/app.zip", "/b/app.zip v1 bytes=1000-", "/b/app.zip v1 bytes=2000-"}},
		"begins anew": {true, []string{"/b/app.zip", "/b/app.zip", "/b/app.zip"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			if c.plain {
				s.unversioned("b")
			}
			s.put("b/app.zip", zipped(t, strings.Repeat("0123456789", 1000)))
			s.breakBy(func(n int, w http.ResponseWriter, r *http.Request, o object) bool {
				if n < 2 {
					send(w, r, o, 1000*(n+1))
				}
				return false
			})
			if !c.plain { // what is newest changes nothing for a version
				s.changed = func(n int) {
					if n == 0 {
						s.put("b/app.zip", zipped(t, "two"))
					}
				}
			}
			src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Transfer: revision.Transfer{Tries: 3, Pause: time.Millisecond}}
			b := open(t, src)
			require.Len(t, page(t, b), 10_000)
			require.Equal(t, c.want, s.requests())
		})
	}
}

func TestF2_ReplacedInTheMiddleOfADownload(t *testing.T) {
	s := newStore(t)
	s.unversioned("b")
	s.put("b/app.zip", zipped(t, strings.Repeat("one", 1000)))
	s.breakBy(func(n int, w http.ResponseWriter, r *http.Request, o object) bool {
		if n == 0 {
			s.put("b/app.zip", zipped(t, strings.Repeat("two", 1000)))
			send(w, r, o, 1000)
		}
		return false
	})
	b := open(t, s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Transfer: quick})
	require.Equal(t, strings.Repeat("two", 1000), page(t, b), "never a mixture")
	require.Equal(t, sum(zipped(t, strings.Repeat("two", 1000))), b.Location.Params["sha256"])
}

// What came while the bucket had no versions is called null, and can be replaced.
func TestF2_AVersionThatIsNone(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, strings.Repeat("one", 1000)))
	s.objects["b/app.zip"][0].version = "null"
	s.breakBy(func(n int, w http.ResponseWriter, r *http.Request, o object) bool {
		if n == 0 {
			send(w, r, o, 1000)
		}
		return false
	})
	b := open(t, s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Transfer: quick})
	require.Equal(t, []string{"/b/app.zip", "/b/app.zip"}, s.requests())
	require.NotContains(t, b.Location.Params, "version")
}

func TestF2_ADownloadThatAlwaysBreaksOff(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, "one"))
	s.breakBy(func(_ int, w http.ResponseWriter, r *http.Request, o object) bool { send(w, r, o, 50); return true })
	require.Contains(t, refused(t, revision.Unreachable, s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Transfer: quick}), "broke off after 50 bytes")
	require.Len(t, s.requests(), 2, "some of it came, then nothing")
}

func TestF4_EndlessAndSlow(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, strings.Repeat("x", 5000)))
	o := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Transfer: quick}
	small := o
	small.Transfer.Bytes = 1000
	require.Contains(t, refused(t, revision.TooLarge, small), "bytes; at most 1000 are allowed")

	s.breakBy(func(_ int, w http.ResponseWriter, _ *http.Request, _ object) bool { endless(w); return true })
	small.Transfer.Bytes = 10 << 20
	require.Contains(t, refused(t, revision.TooLarge, small), "bytes; at most 10485760 are allowed")

	o.Transfer.Window = 200 * time.Millisecond
	for name, f := range map[string]func(http.ResponseWriter, *http.Request, object){
		"no answer": func(_ http.ResponseWriter, r *http.Request, _ object) { <-r.Context().Done() },
		"stands still": func(w http.ResponseWriter, r *http.Request, o object) {
			w.Header().Set("ETag", `"`+o.etag+`"`)
			w.Write(o.content[:100])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		s.breakBy(func(_ int, w http.ResponseWriter, r *http.Request, o object) bool { f(w, r, o); return true })
		require.Contains(t, refused(t, revision.Stalled, o), "bytes in 200ms; at least 1024 bytes per second are expected", name)
	}
}

func TestF5_AVerifierDecidesBeforeAnythingIsUnpacked(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	s := newStore(t)
	archive := zipped(t, "one")
	s.put("b/app.zip", archive)
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip", Verifier: revision.Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}}}
	require.Contains(t, refused(t, revision.NotSigned, src), "s3://b/app.zip?versionId=v1: has no signature, and one is required")

	sig, err := revision.Sign(revision.Statement{SHA256: sum(archive), Signed: time.Now()}, "k", key)
	require.NoError(t, err)
	s.put("b/app.zip.sig", sig)
	src2 := src
	b := open(t, src2)
	require.Equal(t, "one", page(t, b))

	// One that is damaged, and one elsewhere.
	s.put("b/app.zip", []byte("\x1f\x8b hostile"))
	refused(t, revision.DigestMismatch, src)
	s.put("b/signatures/1", []byte("{}"))
	src.Signature = "signatures/1"
	refused(t, revision.SignatureInvalid, src)
	again, err := src.At(b.Location)
	require.NoError(t, err)
	require.Equal(t, "one", page(t, open(t, again)), "the signature of a recorded location is beside it")

	s.breakBy(func(_ int, w http.ResponseWriter, r *http.Request, _ object) bool {
		if strings.HasSuffix(r.URL.Path, ".sig") {
			refuse(w, 403, "AccessDenied")
			return true
		}
		return false
	})
	src.Signature = ""
	require.Contains(t, refused(t, revision.Denied, src), "s3:GetObject on arn:aws:s3:::b/app.zip.sig")
	s.breakBy(nil)
	s.put("b/app.zip.sig", bytes.Repeat([]byte("x"), 1<<20))
	src.Signature = ""
	refused(t, revision.TooLarge, src)
}

func TestF10_ErrorsSayWhatIsWhere(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, "one"))
	s.drop("b/gone.zip")
	at := func(bucket, key, version string) s3.Object {
		return s3.Object{Client: s.client(), Bucket: bucket, Key: key, Version: version, Transfer: quick}
	}
	for want, src := range map[string]s3.Object{
		"s3://b/no.zip: getting the object in eu-central-1 with the credentials of test that end in 1234: there is no such key in the bucket (NoSuchKey: says the fake)": at("b", "no.zip", ""),
		"there is no such bucket (NoSuchBucket":                  at("nob", "app.zip", ""),
		"there is no such version of the key (NoSuchVersion":     at("b", "app.zip", "v9"),
		"the version is a delete marker: the object was deleted": at("b", "gone.zip", "gone"),
		"set Bucket and Key":                                     {Client: s.client()},
	} {
		require.Contains(t, refused(t, revision.NotFound, src), want)
	}
	asked := len(s.requests())
	require.Contains(t, refused(t, revision.Denied, s3.Object{Bucket: "b", Key: "k"}), "there is no Client")

	for code, want := range map[string]struct {
		status int
		code   revision.Code
		text   string
	}{
		"AccessDenied":                 {403, revision.Denied, "s3:GetObjectVersion on arn:aws:s3:::b/app.zip in eu-central-1 with the credentials of test that end in 1234: is not allowed"},
		"ExpiredToken":                 {400, revision.Denied, "the credentials have expired; get new ones and resume"},
		"PermanentRedirect":            {301, revision.WrongRegion, "in eu-central-1 with the credentials of test that end in 1234: the bucket is in another region; set Region"},
		"AuthorizationHeaderMalformed": {400, revision.WrongRegion, `the bucket is in "us-west-2"; set Region`},
		"Nonsense":                     {403, revision.Denied, "is not allowed (Nonsense"},
		"InvalidObjectState":           {403, revision.NotReadable, "restore it first"},
		"SlowDown":                     {503, revision.Unreachable, "S3 has trouble (SlowDown"},
	} {
		s.breakBy(func(_ int, w http.ResponseWriter, _ *http.Request, _ object) bool {
			if code == "AuthorizationHeaderMalformed" {
				w.Header().Set("x-amz-bucket-region", "us-west-2")
			}
			refuse(w, want.status, code)
			return true
		})
		require.Contains(t, refused(t, want.code, at("b", "app.zip", "v1")), want.text)
	}
	require.Len(t, s.requests(), asked+6+2, "only trouble is tried again")
}

func TestI13_NobodyIsThere(t *testing.T) {
	s := newStore(t)
	url := "http://no-such-host.invalid"
	s.url = url
	require.Contains(t, refused(t, revision.Unreachable, s3.Object{Client: s.client(), Bucket: "b", Key: "k", Transfer: quick}), "the name no-such-host.invalid cannot be looked up")
	s.url = "http://127.0.0.1:1"
	require.Contains(t, refused(t, revision.Unreachable, s3.Object{Client: s.client(), Bucket: "b", Key: "k", Transfer: quick}), "connection refused")
}

// A host without credentials gets exactly what was opened, by an address.
func TestHandOver(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, "one"))
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip"}
	require.Nil(t, open(t, src).Presign, "only when asked for")
	src.HandOver, src.Limits = time.Hour, revision.Limits{Members: 10}
	b := open(t, src)
	s.put("b/app.zip", zipped(t, "two"))
	d, err := b.Presign(t.Context())
	require.NoError(t, err)
	require.Contains(t, d.URL, "X-Amz-Expires=3600")
	require.NotContains(t, d.URL, "verysecret")
	resp, err := http.Get(d.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, zipped(t, "one"), got)
	require.Equal(t, revision.Download{URL: d.URL, SHA256: sum(got), Size: int64(len(got)), Limits: src.Limits}, d)

	src.Client = struct{ s3.Client }{s.client()}
	require.Contains(t, refused(t, revision.Denied, src), "HandOver needs an *s3.Client")
}

func TestCancelledAndWorkNotEmpty(t *testing.T) {
	s := newStore(t)
	s.put("b/app.zip", zipped(t, "one"))
	src := s3.Object{Client: s.client(), Bucket: "b", Key: "app.zip"}
	work := t.TempDir()
	open := func() error { _, err := src.Open(t.Context(), work); return err }
	require.NoError(t, open())
	require.ErrorContains(t, open(), "directory is not empty")

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	s.breakBy(func(_ int, _ http.ResponseWriter, r *http.Request, _ object) bool {
		cancel(why)
		<-r.Context().Done()
		return true
	})
	_, err := src.Open(ctx, t.TempDir())
	require.Equal(t, why, err)
}
