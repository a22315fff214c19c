package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// theFile is the path of the only deployment of group g.
func theFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "g", "*.jsonl"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func TestFilesAreNamedInOrder(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	write(t, j, "d-B", 1, 1)
	write(t, j, "d-A", 1, 1)
	names, err := os.ReadDir(filepath.Join(dir, "g"))
	require.NoError(t, err)
	var got []string
	for _, n := range names {
		got = append(got, n.Name())
	}
	require.Equal(t, []string{"000001-d-B.jsonl", "000002-d-A.jsonl", "lock"}, got)
}

func TestU3_SecondControllerIsToldWhoHoldsTheLock(t *testing.T) {
	j := &journal.File{Dir: t.TempDir()}
	log := open(t, j)
	_, err := j.Open(t.Context(), "g")
	require.ErrorIs(t, err, journal.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process \"%d\"", os.Getpid()))
	require.NoError(t, log.Close())
	open(t, j)
}

// The file is cut at every byte of its last append: reading gives what was
// complete before, and the next append goes on from there.
func TestA4_TornTailAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	write(t, j, "d-1", 1, 3)
	path := theFile(t, dir)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	log := open(t, j)
	require.NoError(t, log.Append(t.Context(), record("d-1", 4), record("d-1", 5)))
	require.NoError(t, log.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	var notes []string
	j.Note = func(n lifecycle.Note) { notes = append(notes, n.Text) }
	for cut := len(before); cut < len(whole); cut++ {
		for _, tail := range [][]byte{nil, make([]byte, 50)} { // zeros: the size got to the disk, the data did not
			notes = nil
			require.NoError(t, os.WriteFile(path, append(bytes.Clone(whole[:cut]), tail...), 0o600))
			log := open(t, j)
			seqs, err := read(t, log, "d-1")
			require.NoError(t, err, "cut at %d", cut)
			require.Equal(t, []int64{1, 2, 3}, seqs)
			if dropped := cut - len(before) + len(tail); dropped > 0 {
				require.Len(t, notes, 1)
				require.Contains(t, notes[0], fmt.Sprintf("the last %d bytes, from byte %d", dropped, len(before)))
			}
			require.NoError(t, log.Append(t.Context(), record("d-1", 4)))
			require.NoError(t, log.Close())
			seqs, err = read(t, j.Reader("g"), "d-1")
			require.NoError(t, err)
			require.Equal(t, []int64{1, 2, 3, 4}, seqs)
		}
	}
}

// A crash before the first append was complete leaves no deployment.
func TestA1_CrashBeforeTheFirstRecord(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "g"), 0o700))
	left := filepath.Join(dir, "g", "000001-d-1.jsonl.partial")
	require.NoError(t, os.WriteFile(left, []byte("0000"), 0o600))
	log := open(t, j)
	ids, err := log.Deployments(t.Context())
	require.NoError(t, err)
	require.Empty(t, ids)
	require.NoFileExists(t, left)
	require.NoError(t, log.Append(t.Context(), record("d-1", 1)))
}

// Every bit flip, in every byte of a journal, is refused with file, line and
// offset, and nothing is written.
func TestA5_EveryFlippedByteIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	write(t, j, "d-1", 1, 3)
	path := theFile(t, dir)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := range len(whole) - 1 { // without its last line feed the file is torn
		for _, flip := range []byte{1, 0x80} {
			broken := bytes.Clone(whole)
			broken[at] ^= flip
			require.NoError(t, os.WriteFile(path, broken, 0o600))
			_, err = read(t, j.Reader("g"), "d-1")
			require.ErrorIs(t, err, journal.ErrCorrupt, "byte %d", at)
			damage, ok := errors.AsType[*journal.CorruptError](err)
			require.True(t, ok)
			require.Equal(t, path, damage.File)
			require.LessOrEqual(t, damage.Offset, int64(at))
			require.Equal(t, 1+bytes.Count(broken[:damage.Offset], []byte("\n")), damage.Line)

			log := open(t, j)
			require.ErrorIs(t, log.Append(t.Context(), record("d-1", 4)), journal.ErrCorrupt)
			require.NoError(t, log.Close())
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, broken, after, "nothing may be repaired behind the user's back")
		}
	}
}

func TestA19_LinesRemovedMovedOrRepeated(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	write(t, j, "d-1", 1, 4)
	path := theFile(t, dir)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(whole), "\n"), "\n")
	lines[4] += "\n"
	for name, order := range map[string][]int{
		"removed":        {0, 1, 3, 4},
		"header removed": {1, 2, 3, 4},
		"moved":          {0, 1, 3, 2, 4},
		"repeated":       {0, 1, 2, 2, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var text string
			for _, i := range order {
				text += lines[i]
			}
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := read(t, j.Reader("g"), "d-1")
			require.ErrorIs(t, err, journal.ErrCorrupt)
		})
	}
}

func TestFileOfAnotherDeploymentOrGroup(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	write(t, j, "d-1", 1, 1)
	path := theFile(t, dir)
	require.NoError(t, os.Rename(path, strings.Replace(path, "d-1", "d-2", 1)))
	_, err := read(t, j.Reader("g"), "d-2")
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, `belongs to deployment "d-1"`)

	require.NoError(t, os.Rename(filepath.Join(dir, "g"), filepath.Join(dir, "h")))
	_, err = read(t, j.Reader("h"), "d-2")
	require.ErrorIs(t, err, journal.ErrCorrupt)
}

func TestA6_FailedSyncIsNeverTrusted(t *testing.T) {
	eio := errors.New("input/output error")
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	log := open(t, j)
	require.NoError(t, log.Append(t.Context(), record("d-1", 1)))
	syncs := 0
	j.SetSync(func(*os.File) error { syncs++; return eio })
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", 2)), eio)
	require.Equal(t, 1, syncs)

	j.SetSync(nil) // the disk is well again, and the log must not believe it
	for _, r := range []lifecycle.Record{record("d-1", 2), record("d-1", 3), record("d-2", 1)} {
		err := log.Append(t.Context(), r)
		require.ErrorIs(t, err, journal.ErrFailed)
		require.ErrorIs(t, err, eio)
	}
	seqs, err := read(t, log, "d-1")
	require.NoError(t, err)
	require.Equal(t, []int64{1}, seqs, "a record that may not be durable is not shown")

	require.NoError(t, log.Close())
	require.NoError(t, open(t, j).Append(t.Context(), record("d-1", 2)))
}

func TestA6_FailedSyncOfANewDeployment(t *testing.T) {
	eio := errors.New("input/output error")
	j := &journal.File{Dir: t.TempDir()}
	log := open(t, j)
	j.SetSync(func(*os.File) error { return eio })
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", 1)), eio)
	j.SetSync(nil)
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", 1)), journal.ErrFailed)
	ids, err := j.Reader("g").Deployments(t.Context())
	require.NoError(t, err)
	require.Empty(t, ids)
}

func TestA10_NewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	journal.WriteHeader(t, filepath.Join(dir, "g", "000001-d-1.jsonl"), 2, "g", "d-1")
	_, err := read(t, j.Reader("g"), "d-1")
	require.ErrorIs(t, err, journal.ErrTooNew)
	require.ErrorContains(t, err, "format 2")
	log := open(t, j)
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", 1)), journal.ErrTooNew)
}

// What format 1 looks like is fixed: a journal that was written by an older
// version of this library is read by every later one.
func TestA10_Format1(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	log := open(t, j)
	require.NoError(t, log.Append(t.Context(), record("d-1", 1), record("d-1", 2)))
	require.NoError(t, log.Append(t.Context(), record("d-1", 3)))
	got, err := os.ReadFile(theFile(t, dir))
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/format1.jsonl")
	require.NoError(t, err)
	require.Equal(t, string(golden), string(got))
}

func TestSomebodyWritesWithoutTheLock(t *testing.T) {
	dir := t.TempDir()
	j := &journal.File{Dir: dir}
	log := open(t, j)
	require.NoError(t, log.Append(t.Context(), record("d-1", 1)))
	require.NoError(t, log.Append(t.Context(), record("d-1", 2)))
	f, err := os.OpenFile(theFile(t, dir), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("me too\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", 3)), journal.ErrConflict)
}
