package revision

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// again makes the source of a recorded location, by way of JSON as records are kept.
func again(t *testing.T, l Location, with Opener) Source {
	t.Helper()
	text, err := json.Marshal(l)
	require.NoError(t, err)
	var read Location
	require.NoError(t, json.Unmarshal(text, &read))
	src, err := FromLocation(read, with)
	require.NoError(t, err)
	return src
}

func TestF5_ADirectoryIsVerified(t *testing.T) {
	pub, key := newKey(t)
	v := Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}, Since: time.Now().Add(-time.Hour)}
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte("a"), 0o644))
	src, err := Verified(dir, v)
	require.NoError(t, err)
	require.Contains(t, refusedWith(t, NotSigned, src).Error(), dir+": has no signature, and one is required")

	digest := strings.TrimPrefix(open(t, Dir(dir)).Manifest.Digest(), "sha256:")
	sig := sign(t, Statement{SHA256: digest, Signed: time.Now()}, "k", key)
	require.NoError(t, os.WriteFile(dir+".sig", sig, 0o644))
	b := open(t, src)
	require.Equal(t, "sha256:"+digest, b.Manifest.Digest())
	open(t, again(t, b.Revision(src).Location, Directory{Verifier: v}))

	old := sign(t, Statement{SHA256: digest, Signed: time.Now().Add(-2 * time.Hour)}, "k", key)
	require.NoError(t, os.WriteFile(dir+".sig", old, 0o644))
	refusedWith(t, OlderThanDeployed, src)
	open(t, again(t, src.Location(), Directory{Verifier: v})) // going back is a decision that somebody made

	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte("b"), 0o644))
	refusedWith(t, DigestMismatch, src)
	refusedWith(t, NotSigned, Directory{Path: dir, Verifier: v, Signature: filepath.Join(dir, "none")})
}

func TestF5_AnInlineAppSpecIsVerified(t *testing.T) {
	pub, key := newKey(t)
	v := Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}}
	src := Inline{Content: lambdaYAML, Verifier: v}
	refusedWith(t, NotSigned, src)

	sum := sha256.Sum256([]byte(lambdaYAML))
	src.Signature = sign(t, Statement{SHA256: hex.EncodeToString(sum[:]), Signed: time.Now()}, "k", key)
	b := open(t, src)
	require.Equal(t, []string{"appspec.yaml"}, paths(b.Manifest))
	require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
	require.Equal(t, open(t, Inline{Content: lambdaYAML}).Manifest.Digest(), b.Manifest.Digest())

	// The record holds the signature, so that it can be verified again.
	open(t, again(t, src.Location(), Inline{Verifier: v}))
	l := src.Location()
	delete(l.Params, "signature")
	refusedWith(t, NotSigned, again(t, l, Inline{Verifier: v}))
	l.Params["signature"] = "%"
	_, err := FromLocation(l)
	requireCode(t, SignatureInvalid, err)
	src.Content += " "
	refusedWith(t, DigestMismatch, src)
}

// seeing reads what it is asked about.
type seeing struct{ t *testing.T }

func (s seeing) Verify(_ context.Context, a Artifact) error {
	data, err := os.ReadFile(a.Path)
	require.NoError(s.t, err)
	sum := sha256.Sum256(data)
	require.Equal(s.t, a.SHA256, hex.EncodeToString(sum[:]))
	require.EqualValues(s.t, len(data), a.Size)
	return nil
}

func TestAVerifierMaySeeTheFile(t *testing.T) {
	path := save(t, "a.tar", tarBytes(t, file("appspec.yml", "a")))
	for _, src := range []Source{
		Inline{Content: lambdaYAML, Verifier: seeing{t}}, ArchiveFile{Path: path, Verifier: seeing{t}},
	} {
		open(t, src)
	}
}
