package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// direct is a controller in this process.
type direct struct {
	s     *Sender
	sent  int
	wants []wire.Want
}

func (d *direct) Ask(ctx context.Context, w wire.Want) (io.Reader, error) {
	var b bytes.Buffer
	err := d.s.Answer(ctx, w, &b)
	d.sent += b.Len()
	d.wants = append(d.wants, w)
	return &b, err
}

// tree makes a revision of n files of 4 KiB; those whose number is a multiple of step
// differ by the mark.
func tree(tb testing.TB, n, step int, mark string) *revision.Bundle {
	tb.Helper()
	dir, err := os.MkdirTemp(shm(), "transfer-")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(tb, os.Mkdir(filepath.Join(dir, "files"), 0o755))
	for i := range n {
		text := fmt.Sprintf("%d", i)
		if i%step == 0 {
			text += mark
		}
		data := bytes.Repeat([]byte(text+" "), 4096/(len(text)+1))
		require.NoError(tb, os.WriteFile(filepath.Join(dir, "files", fmt.Sprintf("f%05d", i)), data, 0o644))
	}
	b, err := revision.Dir(dir).Open(tb.Context(), "")
	require.NoError(tb, err)
	return b
}

// shm is a place in memory, if the machine has one.
func shm() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func receive(tb testing.TB, dir string, b *revision.Bundle, list bool, retained ...Retained) *direct {
	tb.Helper()
	d := &direct{s: NewSender(b)}
	r := Receiver{Dir: filepath.Join(dir, "in"), Content: *d.s.Content(list), Retained: retained, Asker: d}
	got, done, err := r.Receive(tb.Context())
	require.NoError(tb, err)
	defer done()
	out := filepath.Join(dir, "out-"+b.Manifest.Digest()[7:17])
	require.NoError(tb, got.Copy(tb.Context(), out, revision.CopyOptions{}))
	require.NoError(tb, b.Manifest.Verify(tb.Context(), out))
	require.Equal(tb, b.Manifest.Digest(), got.Manifest.Digest())
	Prune(r.Dir, "")
	return d
}

func TestOnlyWhatChangedIsAskedFor(t *testing.T) {
	for _, list := range []bool{true, false} {
		one, two := tree(t, 300, 100, ""), tree(t, 300, 100, "new")
		dir := t.TempDir()
		first := receive(t, dir, one, list)
		second := receive(t, dir, two, list, Retained{one.Dir, one.Manifest})
		require.Less(t, second.sent, first.sent/5)
		last := second.wants[len(second.wants)-1]
		require.Equal(t, [][2]int{{1, 1}, {101, 1}, {201, 1}}, last.Files)
		third := receive(t, t.TempDir(), one, list, Retained{two.Dir, two.Manifest}, Retained{one.Dir, one.Manifest})
		require.LessOrEqual(t, len(third.wants), 1, "nothing but the list")
	}
}

// More directories than are held open, files at the top, and a link that scripts have
// put in a directory's place: it leads out of the folder and is not followed.
func TestRetainedFilesInManyDirectories(t *testing.T) {
	src := t.TempDir()
	write := func(name string) {
		path := filepath.Join(src, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(name), 0o644))
	}
	write("top")
	for i := range 2 * maxDirs {
		write(fmt.Sprintf("d%03d/deep/file", i))
		write(fmt.Sprintf("d%03d/file", i))
	}
	b, err := revision.Dir(src).Open(t.Context(), "")
	require.NoError(t, err)
	kept := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, b.Copy(t.Context(), kept, revision.CopyOptions{}))
	require.Empty(t, receive(t, t.TempDir(), b, true, Retained{kept, b.Manifest}).wants)

	require.NoError(t, os.RemoveAll(filepath.Join(kept, "d000")))
	require.NoError(t, os.Symlink(filepath.Join(src, "d000"), filepath.Join(kept, "d000")))
	wants := receive(t, t.TempDir(), b, true, Retained{kept, b.Manifest}).wants
	require.Len(t, wants, 1)
	require.Equal(t, [][2]int{{2, 2}}, wants[0].Files, "both files of the directory that was replaced")
}

func TestSpoolKeepsWhatHadComeWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	b := tree(t, 3, 1, "")
	s, err := openSpool(path)
	require.NoError(t, err)
	var files []revision.Entry
	for _, e := range b.Manifest.Entries {
		if e.Mode.IsRegular() {
			files = append(files, e)
		}
	}
	for _, e := range files {
		f, err := os.Open(filepath.Join(b.Dir, e.Path))
		require.NoError(t, err)
		require.NoError(t, s.add(f, e.Digest, e.Size, make([]byte, 100)))
		require.NoError(t, f.Close())
	}
	require.ErrorIs(t, s.add(bytes.NewReader(make([]byte, 9)), files[0].Digest, 9, make([]byte, 4)), ErrDigest)
	require.ErrorIs(t, s.add(bytes.NewReader(nil), files[0].Digest, 9, make([]byte, 4)), io.ErrUnexpectedEOF)
	require.NoError(t, s.w.Flush())
	require.NoError(t, s.f.Close())

	s, err = openSpool(path)
	require.NoError(t, err)
	require.Len(t, s.at, 3)
	require.NoError(t, s.f.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[recordHead+5] ^= 1 // damaged, and all that is behind it with it
	require.NoError(t, os.WriteFile(path, data, 0o600))
	s, err = openSpool(path)
	require.NoError(t, err)
	require.Empty(t, s.at)
	require.NoError(t, s.f.Close())
}

// written answers with the name of each file as its content.
type written struct {
	t       *testing.T
	entries []revision.Entry
	asked   int
}

func (w *written) Ask(_ context.Context, want wire.Want) (io.Reader, error) {
	w.asked++
	text, err := json.Marshal(want)
	require.NoError(w.t, err)
	require.LessOrEqual(w.t, len(text), wire.MaxFrame, "a question fits into a frame")
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	require.NoError(w.t, err)
	for _, r := range want.Files {
		for _, e := range w.entries[r[0]:][:r[1]] {
			_, _ = io.WriteString(z, e.Path)
		}
	}
	return &b, z.Close()
}

// A revision of very many files of which every second one is missing.
func TestQuestionsFitIntoFrames(t *testing.T) {
	w := &written{t: t}
	for i := range 4 * maxRanges {
		e := revision.Entry{Path: fmt.Sprintf("%06d", i), Mode: fs.ModeDir | 0o755}
		if i%2 == 0 {
			sum := sha256.Sum256([]byte(e.Path))
			e.Mode, e.Size, e.Digest = 0o644, int64(len(e.Path)), hex.EncodeToString(sum[:])
		}
		w.entries = append(w.entries, e)
	}
	m := revision.Manifest{Entries: w.entries}
	r := Receiver{Dir: filepath.Join(t.TempDir(), "in"), Asker: w, Content: wire.Content{Digest: m.Digest()}}
	require.NoError(t, makeDir(r.Dir))
	var err error
	r.stock = newStock(nil)
	r.spool, err = openSpool(filepath.Join(r.Dir, "x"))
	require.NoError(t, err)
	defer r.spool.f.Close()
	require.NoError(t, r.files(t.Context(), m))
	require.Equal(t, 2, w.asked)
	require.Len(t, r.spool.at, 2*maxRanges)
}

// A spool may hold anything after a crash; it is read without harm, and cut to what is
// whole.
func FuzzSpool(f *testing.F) {
	f.Add(make([]byte, recordHead))
	whole := sha256.Sum256([]byte("content"))
	record := append(binary.BigEndian.AppendUint64(whole[:], 7), "content"...)
	f.Add(record)
	f.Add(append(bytes.Repeat(record, 2), record[:20]...))
	f.Fuzz(func(t *testing.T, in []byte) {
		path := filepath.Join(t.TempDir(), "spool")
		require.NoError(t, os.WriteFile(path, in, 0o600))
		s, err := openSpool(path)
		require.NoError(t, err)
		require.LessOrEqual(t, s.n, int64(len(in)))
		for digest := range s.at {
			r, ok := s.open(digest)
			require.True(t, ok)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			sum := sha256.Sum256(data)
			require.Equal(t, digest, hex.EncodeToString(sum[:]), "what is kept is what it says")
		}
		require.NoError(t, s.f.Close())
	})
}

func BenchmarkReceiveOnePercent(b *testing.B) {
	one, two := tree(b, 1000, 100, ""), tree(b, 1000, 100, "new")
	for b.Loop() {
		dir, err := os.MkdirTemp(shm(), "bench-")
		require.NoError(b, err)
		receive(b, dir, two, true, Retained{one.Dir, one.Manifest})
		b.StopTimer()
		_ = os.RemoveAll(dir)
		b.StartTimer()
	}
}
