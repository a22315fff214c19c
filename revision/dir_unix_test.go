//go:build linux || darwin

package revision

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirRefusesSpecialFiles(t *testing.T) {
	for name, make := range map[string]func(p string) error{
		"named pipe": func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"socket": func(p string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := os.MkdirTemp("", "r")
			require.NoError(t, err)
			t.Cleanup(func() { os.RemoveAll(src) })
			require.NoError(t, os.Mkdir(filepath.Join(src, "app"), 0o755))
			require.NoError(t, make(filepath.Join(src, "app/p")))
			_, err = Dir(src).Open(t.Context(), "")
			e := requireCode(t, MemberType, err)
			require.Equal(t, "app/p", e.Member)
			require.Contains(t, err.Error(), name)
		})
	}
}

func TestPipeInPlaceOfAFileDoesNotHang(t *testing.T) {
	for way, opener := range openers {
		t.Run(way, func(t *testing.T) {
			src := t.TempDir()
			write(t, src, map[string]string{"f": "1"})
			b := open(t, Dir(src))
			require.NoError(t, os.Remove(filepath.Join(src, "f")))
			require.NoError(t, syscall.Mkfifo(filepath.Join(src, "f"), 0o644))
			requireCode(t, DigestMismatch, b.copy(t.Context(), filepath.Join(t.TempDir(), "d"), CopyOptions{}, opener))
		})
	}
}

func TestDirKeepsSetIDBits(t *testing.T) {
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "d")
	write(t, src, map[string]string{"s": "1"})
	require.NoError(t, os.Chmod(filepath.Join(src, "s"), 0o755|fs.ModeSetuid))
	b := open(t, Dir(src))
	require.Equal(t, 0o755|fs.ModeSetuid, b.Manifest.Find("s").Mode)
	require.Len(t, b.Notes, 1)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED copying set-id bits: only root keeps them when writing")
	}
	require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
	require.Equal(t, 0o755|fs.ModeSetuid, open(t, Dir(dst)).Manifest.Find("s").Mode)
}

func TestZ11_ForeignOwners(t *testing.T) {
	f := file("f", "1")
	f.Uid, f.Gid, f.Uname = 1, 1, "daemon"
	b := open(t, Archive(makeTar(t, f)))
	require.Contains(t, strings.Join(b.Notes, "\n"), "owners that the archive names for 1 members")
	dst := filepath.Join(t.TempDir(), "d")
	require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
	for _, p := range []string{b.Dir, dst} {
		fi, err := os.Stat(filepath.Join(p, "f"))
		require.NoError(t, err)
		require.EqualValues(t, os.Getuid(), fi.Sys().(*syscall.Stat_t).Uid)
	}
}
