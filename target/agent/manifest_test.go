package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/stretchr/testify/require"
)

func TestManifestSurvivesTheFile(t *testing.T) {
	m := revision.Manifest{Entries: []revision.Entry{
		{Path: "a b\n\"c\xff", Mode: 0o644, Size: 3, Digest: "00ff", ModTime: time.Unix(1700000000, 5).UTC()},
		{Path: "d", Mode: fs.ModeDir | 0o755},
		{Path: "l", Mode: fs.ModeSymlink | 0o777, Link: "../x y\xfe"},
		{Path: "s", Mode: fs.ModeSetuid | 0o755, Digest: "11"},
	}}
	path := filepath.Join(t.TempDir(), "m")
	require.NoError(t, writeManifest(path, m))
	got, err := readManifest(path)
	require.NoError(t, err)
	require.Equal(t, m, got)
	require.Equal(t, m.Digest(), got.Digest())

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, cut := range []int{1, len(data) / 2, len(data) - 1} {
		require.NoError(t, os.WriteFile(path, data[:cut], 0o600))
		_, err = readManifest(path)
		require.ErrorContains(t, err, "damaged", "cut at %d", cut)
	}
}
