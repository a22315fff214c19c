package revision

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var packTime = time.Unix(1_700_000_000, 0).UTC()

// tarItem is a header with its content.
type tarItem struct {
	tar.Header
	content string
}

func file(name, content string) tarItem {
	return tarItem{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

func folderAt(name string) tarItem {
	return tarItem{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

func link(name, text string) tarItem {
	return tarItem{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: text, Mode: 0o777}}
}

func hardlink(name, target string) tarItem {
	return tarItem{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}}
}

func tarBytes(t testing.TB, items ...tarItem) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, it := range items {
		h := it.Header
		if it.content != "" {
			h.Size = int64(len(it.content))
		}
		if h.ModTime.IsZero() && h.Typeflag != tar.TypeXGlobalHeader {
			h.ModTime = packTime
		}
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(it.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

type zipItem struct {
	name, content string
	mode          fs.FileMode
	change        func(*zip.FileHeader)
}

func zipBytes(t testing.TB, items ...zipItem) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: zip.Deflate, Modified: packTime}
		if it.mode == 0 {
			it.mode = 0o644
		}
		h.SetMode(it.mode)
		if it.change != nil {
			it.change(h)
		}
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write([]byte(it.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func save(t testing.TB, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(p, b, 0o644))
	return p
}

func makeTar(t testing.TB, items ...tarItem) string {
	t.Helper()
	return save(t, "a.tar", tarBytes(t, items...))
}

func makeZip(t testing.TB, items ...zipItem) string {
	t.Helper()
	return save(t, "a.zip", zipBytes(t, items...))
}

// refused opens an archive that must be refused with the code, and makes sure
// that nothing appeared beside its work directory.
func refused(t *testing.T, want Code, archive string) *Error {
	t.Helper()
	return refusedWith(t, want, ArchiveFile{Path: archive})
}

func refusedWith(t *testing.T, want Code, a Source) *Error {
	t.Helper()
	parent := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(parent, "in"), 0o755))
	_, err := a.Open(t.Context(), filepath.Join(parent, "in", "work"))
	e := requireCode(t, want, err)
	for _, dir := range []string{parent, filepath.Join(parent, "in")} {
		found, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.LessOrEqual(t, len(found), 1, "something was written outside: %v", found)
	}
	return e
}
