package revision

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzTar(f *testing.F) {
	for _, items := range [][]tarItem{
		{file("appspec.yml", "a"), folderAt("d"), link("d/l", "../appspec.yml"), hardlink("h", "appspec.yml")},
		{link("l", "/etc"), file("l/x", "1")}, {file("../x", "1")}, {file("/x", "1")},
		{folderAt("x"), link("x/d", ".."), link("e", "x/d/x/d/../y")},
	} {
		b := tarBytes(f, items...)
		f.Add(b)
		f.Add(gz(f, b))
	}
	f.Add(rawTar("../../evil"))
	f.Fuzz(func(t *testing.T, b []byte) { unpackHostile(t, b) })
}

func FuzzZip(f *testing.F) {
	f.Add(zipBytes(f, zipItem{name: "appspec.yml", content: "a"}, zipItem{name: "d/l", content: "../appspec.yml", mode: os.ModeSymlink | 0o777}))
	f.Add(zipBytes(f, zipItem{name: "../x", content: "1"}, zipItem{name: "/x", content: "1"}))
	f.Add(zipBytes(f, zipItem{name: "l", content: "/etc", mode: os.ModeSymlink | 0o777}, zipItem{name: "l/x", content: "1"}))
	f.Fuzz(func(t *testing.T, b []byte) { unpackHostile(t, b) })
}

// unpackHostile opens whatever b is. Nothing may appear outside the work
// directory; what opens must be consistent and within its limits.
func unpackHostile(t *testing.T, b []byte) {
	parent := t.TempDir()
	archive, work := filepath.Join(parent, "archive"), filepath.Join(parent, "work")
	require.NoError(t, os.WriteFile(archive, b, 0o600))
	lim := Limits{Bytes: 1 << 20, Members: 100}
	bundle, err := ArchiveFile{Path: archive, Limits: lim}.Open(t.Context(), work)
	found, _ := os.ReadDir(parent)
	for _, e := range found {
		require.Contains(t, []string{"archive", "work"}, e.Name())
	}
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok, "%v", err)
		require.NotEmpty(t, e.Code)
		require.Equal(t, archive, e.Path)
		return
	}
	m := bundle.Manifest
	require.LessOrEqual(t, m.Size(), lim.Bytes)
	require.LessOrEqual(t, len(m.Entries), lim.Members)
	require.NoError(t, m.Verify(t.Context(), bundle.Dir))
	real, err := filepath.EvalSymlinks(bundle.Dir)
	require.NoError(t, err)
	for _, e := range m.Entries {
		if e.Link == "" {
			continue
		}
		if to, err := filepath.EvalSymlinks(filepath.Join(bundle.Dir, e.Path)); err == nil {
			require.True(t, to == real || strings.HasPrefix(to, real+string(filepath.Separator)), "%s leads to %s", e.Path, to)
		}
	}
	require.NoError(t, bundle.Copy(t.Context(), filepath.Join(t.TempDir(), "copy"), CopyOptions{}))
}
