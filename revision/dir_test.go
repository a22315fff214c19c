package revision

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openers are the ways to reach folders; all must behave the same.
var openers = map[string]func(string) (folder, error){"native": openFolder, "root": openRootFolder}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(content), 0o644))
	}
}

func open(t *testing.T, s Source) *Bundle {
	t.Helper()
	b, err := s.Open(t.Context(), filepath.Join(t.TempDir(), "work"))
	require.NoError(t, err)
	return b
}

func requireCode(t *testing.T, want Code, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, "not an *Error: %v", err)
	require.Equal(t, want, e.Code, "%v", err)
	require.NotEmpty(t, e.Path)
	return e
}

func paths(m Manifest) (p []string) {
	for _, e := range m.Entries {
		p = append(p, e.Path)
	}
	return p
}

func TestDirIsListedInByteOrder(t *testing.T) {
	src := t.TempDir()
	write(t, src, map[string]string{"a/x": "1", "a-b": "2", "a.c/y": "3", "B": "4"})
	b := open(t, Dir(src))
	require.Equal(t, []string{"B", "a", "a-b", "a.c", "a.c/y", "a/x"}, paths(b.Manifest))
	require.Equal(t, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b", b.Manifest.Find("a/x").Digest)
	require.Nil(t, b.Manifest.Find("a/y"))
	require.EqualValues(t, 4, b.Manifest.Size())
}

func TestDigestChangesWithEverythingThatCounts(t *testing.T) {
	base := Entry{Path: "a", Mode: 0o644, Size: 1, Digest: "00"}
	digest := func(e ...Entry) string { return Manifest{Entries: e}.Digest() }
	seen := map[string]string{digest(): "empty", digest(base): "base"}
	for name, change := range map[string]func(*Entry){
		"path": func(e *Entry) { e.Path = "b" }, "mode": func(e *Entry) { e.Mode = 0o600 },
		"set-id": func(e *Entry) { e.Mode |= fs.ModeSetuid }, "type": func(e *Entry) { e.Mode |= fs.ModeDir },
		"size": func(e *Entry) { e.Size = 2 }, "content": func(e *Entry) { e.Digest = "01" },
		"link": func(e *Entry) { e.Link = "x" }, "shifted": func(e *Entry) { e.Digest, e.Link = "", "00" },
	} {
		e := base
		change(&e)
		d := digest(e)
		require.Empty(t, seen[d], "%s has the digest of another", name)
		seen[d] = name
	}
	e := base
	e.ModTime = time.Unix(1, 0)
	require.Equal(t, digest(base), digest(e), "times do not count")
	other := Entry{Path: "b"}
	require.Equal(t, digest(base, other), digest(other, base), "order does not count")
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, digest())
}

func TestManifestSurvivesJSON(t *testing.T) {
	m := Manifest{Entries: []Entry{
		{Path: "plain", Mode: 0o4755 | fs.ModeSetuid, Size: 3, Digest: "ab", ModTime: time.Unix(5, 0).UTC()},
		{Path: "line\nbreak \u2028 <&>", Mode: 0o644},
		{Path: "bad\xff\xfe", Mode: fs.ModeSymlink | 0o777, Link: "to\xff"},
		{Path: "\ufffd", Mode: fs.ModeDir | 0o755},
	}}
	text, err := json.Marshal(m)
	require.NoError(t, err)
	var back Manifest
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, m, back)
	require.Equal(t, m.Digest(), back.Digest())
}

func TestDirTakesOddNamesAndLinksAsTheyAre(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED names of any bytes: only Linux file systems take them")
	}
	src := t.TempDir()
	names := []string{"new\nline", "tail ", " head", "bad\xff", "back\\slash", "*?[a]", "-rf"}
	for _, n := range names {
		write(t, src, map[string]string{n: n})
	}
	for link, text := range map[string]string{"dangling": "nowhere", "abs": "/etc/hostname", "up": "../../x", "self": "."} {
		require.NoError(t, os.Symlink(text, filepath.Join(src, link)))
	}
	b := open(t, Dir(src))
	require.Len(t, b.Manifest.Entries, len(names)+4)
	require.Equal(t, "/etc/hostname", b.Manifest.Find("abs").Link)
	dst := filepath.Join(t.TempDir(), "dst")
	require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
	require.Equal(t, b.Manifest.Digest(), open(t, Dir(dst)).Manifest.Digest())
	require.NoError(t, b.Manifest.Verify(t.Context(), dst))
}

func TestCopyIsTheSameByEveryWay(t *testing.T) {
	src := t.TempDir()
	write(t, src, map[string]string{"a/b/c": "1", "big": strings.Repeat("0123456789", 100_000), "empty": "", "a/run.sh": "#!"})
	require.NoError(t, os.Chmod(filepath.Join(src, "a/run.sh"), 0o755))
	deep := strings.Repeat("d/", 100) + "leaf"
	write(t, src, map[string]string{deep: "deep"})
	b := open(t, Dir(src))
	for name, opener := range openers {
		t.Run(name, func(t *testing.T) {
			m, err := scan(t.Context(), src, opener)
			require.NoError(t, err)
			require.Equal(t, b.Manifest, m)
			dst := filepath.Join(t.TempDir(), "dst")
			require.NoError(t, b.copy(t.Context(), dst, CopyOptions{Sync: true}, opener))
			require.Equal(t, b.Manifest.Digest(), open(t, Dir(dst)).Manifest.Digest())
		})
	}
}

func TestCopyWithholdsTheUmask(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED permission bits: Windows has none")
	}
	src := t.TempDir()
	write(t, src, map[string]string{"d/f": "1"})
	require.NoError(t, os.Chmod(filepath.Join(src, "d/f"), 0o755))
	dst := filepath.Join(t.TempDir(), "dst")
	require.NoError(t, open(t, Dir(src)).Copy(t.Context(), dst, CopyOptions{Umask: 0o077}))
	m := open(t, Dir(dst)).Manifest
	require.Equal(t, fs.FileMode(0o700), m.Find("d/f").Mode)
	require.Equal(t, fs.ModeDir|0o700, m.Find("d").Mode)
}

// A file that changes between opening and copying must not arrive.
func TestF1_ContentChangedAfterOpen(t *testing.T) {
	big := strings.Repeat("x", 3*bufferSize)
	for name, change := range map[string]func(p string) error{
		"small content": func(p string) error { return os.WriteFile(filepath.Join(p, "small"), []byte("b"), 0o644) },
		"small longer":  func(p string) error { return os.WriteFile(filepath.Join(p, "small"), nil, 0o644) },
		"big content":   func(p string) error { return os.WriteFile(filepath.Join(p, "big"), []byte(big[1:]+"y"), 0o644) },
		"big longer":    func(p string) error { return os.WriteFile(filepath.Join(p, "big"), []byte(big+"y"), 0o644) },
		"gone":          func(p string) error { return os.Remove(filepath.Join(p, "big")) },
		"now a link": func(p string) error {
			return errors.Join(os.Rename(filepath.Join(p, "small"), filepath.Join(p, "other")), os.Symlink("other", filepath.Join(p, "small")))
		},
	} {
		for way, opener := range openers {
			t.Run(name+" "+way, func(t *testing.T) {
				src, dst := t.TempDir(), filepath.Join(t.TempDir(), "dst")
				write(t, src, map[string]string{"small": "a", "big": big})
				b := open(t, Dir(src))
				require.NoError(t, change(src))
				require.Error(t, b.Manifest.Verify(t.Context(), src))
				err := b.copy(t.Context(), dst, CopyOptions{}, opener)
				e := requireCode(t, DigestMismatch, err)
				require.Equal(t, src, e.Path)
				_, err = os.Lstat(filepath.Join(dst, e.Member))
				require.ErrorIs(t, err, fs.ErrNotExist, "the changed file did not arrive")
			})
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	src := t.TempDir()
	write(t, src, map[string]string{"f": "1"})
	b := open(t, Dir(src))
	e := requireCode(t, WriteFailed, b.Copy(t.Context(), src, CopyOptions{}))
	require.Contains(t, e.Error(), "not empty")
	for _, p := range []string{"../f", "/f", "a//b", ".", "", "a/../../b", "x\x00"} {
		b := &Bundle{Dir: src, Manifest: Manifest{Entries: []Entry{{Path: p}}}}
		requireCode(t, MemberPath, b.Copy(t.Context(), filepath.Join(t.TempDir(), "d"), CopyOptions{}))
	}
}

func TestLocalPicksByWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	s, err := Local(dir)
	require.NoError(t, err)
	require.Equal(t, Location{Kind: KindDir, Path: dir}, s.Location())
	write(t, dir, map[string]string{"x": "not looked at yet"})
	s, err = Local(filepath.Join(dir, "x"))
	require.NoError(t, err)
	require.Equal(t, KindArchive, s.Location().Kind)
	again, err := FromLocation(s.Location())
	require.NoError(t, err)
	require.Equal(t, s.Location(), again.Location())
	_, err = Local(filepath.Join(dir, "none"))
	requireCode(t, NotFound, err)
	_, err = Dir(filepath.Join(dir, "none")).Open(t.Context(), "")
	requireCode(t, NotFound, err)
	_, err = FromLocation(Location{Kind: "tape", Path: "x"})
	requireCode(t, UnknownKind, err)
}

func TestCancelIsTheError(t *testing.T) {
	src := t.TempDir()
	write(t, src, map[string]string{"f": "1"})
	b := open(t, Dir(src))
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := Dir(src).Open(ctx, "")
	require.ErrorIs(t, err, why)
	require.ErrorIs(t, b.Copy(ctx, filepath.Join(t.TempDir(), "d"), CopyOptions{}), why)
	require.ErrorIs(t, b.Manifest.Verify(ctx, src), why)
	zip := makeZip(t, zipItem{name: "f", content: "1"})
	_, err = Archive(zip).Open(ctx, filepath.Join(t.TempDir(), "w"))
	require.ErrorIs(t, err, why)
}
