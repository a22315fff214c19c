package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
)

func serve(t *testing.T, data []byte) revision.Download {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
	t.Cleanup(s.Close)
	sum := sha256.Sum256(data)
	return revision.Download{URL: s.URL, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// A directory comes out as it was opened, with what an archive would not bring.
func TestPackedRevisionIsAsItWas(t *testing.T) {
	src := t.TempDir()
	for name, text := range map[string]string{"a": "same", "b": "same", "empty": "", "c": string(bytes.Repeat([]byte("long "), 200_000))} {
		require.NoError(t, os.WriteFile(filepath.Join(src, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(src, "tmp"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(src, "tmp"), 0o777|fs.ModeSticky))
	require.NoError(t, os.Chmod(filepath.Join(src, "b"), 0o777))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(src, "outside")))
	b, err := revision.Dir(src).Open(t.Context(), "")
	require.NoError(t, err)

	var one, two bytes.Buffer
	require.NoError(t, Pack(t.Context(), b, &one))
	require.NoError(t, Pack(t.Context(), b, &two))
	require.Equal(t, one.Bytes(), two.Bytes())

	dir := t.TempDir()
	got, done, err := Fetch(t.Context(), serve(t, one.Bytes()), dir, b.Manifest.Digest())
	require.NoError(t, err)
	require.Equal(t, b.Manifest.Digest(), got.Manifest.Digest())
	require.Equal(t, b.Kind, got.Kind)
	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, got.Copy(t.Context(), out, revision.CopyOptions{}))
	again, err := revision.Dir(out).Open(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, again.Manifest.Entries, len(b.Manifest.Entries))
	for i, e := range again.Manifest.Entries {
		require.Equal(t, b.Manifest.Entries[i].Digest, e.Digest, e.Path)
		require.Equal(t, b.Manifest.Entries[i].Link, e.Link, e.Path)
	}
	done()
	left, err := filepath.Glob(filepath.Join(dir, "*.open-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// What is cut off or changed is an error; nothing of it is a revision.
func TestPackedRevisionThatIsDamaged(t *testing.T) {
	b := tree(t, 30, 1, "")
	var whole bytes.Buffer
	require.NoError(t, Pack(t.Context(), b, &whole))
	for cut := len(packMagic) + 1; cut < whole.Len(); cut += whole.Len() / 20 {
		_, _, err := Fetch(t.Context(), serve(t, whole.Bytes()[:cut]), t.TempDir(), b.Manifest.Digest())
		require.Error(t, err, "cut at %d", cut)
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.Dir, "files/f00003"), nil, 0o644))
	require.ErrorContains(t, Pack(t.Context(), b, &whole), "files/f00003: has 0 bytes")
}
