//go:build unix

package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CUTOVER_TEST_APPEND_TO"); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

// appendForEver says on stdout what is durable.
func appendForEver(dir string) {
	log, err := (&journal.File{Dir: dir}).Open(context.Background(), "g")
	for n := int64(1); err == nil; n++ {
		err = log.Append(context.Background(), record("d-1", n))
		fmt.Println(n)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A process is killed in the middle of its appends: its lock is free at once, and
// every record that it said was durable is there.
func TestA4_KilledWriter(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CUTOVER_TEST_APPEND_TO="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		var last int64
		for last < 20 && lines.Scan() {
			_, err = fmt.Sscan(lines.Text(), &last)
			require.NoError(t, err)
		}
		j := &journal.File{Dir: dir}
		_, err = j.Open(t.Context(), "g")
		require.ErrorIs(t, err, journal.ErrLocked)
		require.ErrorContains(t, err, fmt.Sprint(cmd.Process.Pid))

		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			_, err = fmt.Sscan(lines.Text(), &last)
			require.NoError(t, err)
		}
		require.Error(t, cmd.Wait())

		log := open(t, j)
		seqs, err := read(t, log, "d-1")
		require.NoError(t, err)
		require.GreaterOrEqual(t, int64(len(seqs)), last)
		require.NoError(t, log.Append(t.Context(), record("d-1", int64(len(seqs))+1)))
	}
}

// smallDisk mounts a file system of 64 KiB.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED a full disk: cannot mount a tmpfs (needs root on Linux): %v %s", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", "-l", dir).CombinedOutput()
		require.NoError(t, err, string(out))
	})
	return dir
}

func TestA7_FullDisk(t *testing.T) {
	dir := smallDisk(t, "size=64k")
	j := &journal.File{Dir: dir}
	log := open(t, j)
	next := int64(1)
	var err error
	for err == nil {
		if err = log.Append(t.Context(), record("d-1", next), record("d-1", next+1)); err == nil {
			next += 2
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Greater(t, next, int64(1))
	// Still full, still refused, nothing half.
	require.ErrorIs(t, log.Append(t.Context(), record("d-1", next), record("d-1", next+1)), syscall.ENOSPC)
	require.ErrorIs(t, log.Append(t.Context(), record("d-2", 1), record("d-2", 2)), syscall.ENOSPC)
	seqs, err := read(t, j.Reader("g"), "d-1")
	require.NoError(t, err)
	require.Len(t, seqs, int(next-1))

	// Room again: the same append works, on the same log.
	out, err := exec.Command("mount", "-o", "remount,size=256k", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, log.Append(t.Context(), record("d-1", next), record("d-1", next+1)))
	require.NoError(t, log.Append(t.Context(), record("d-2", 1)))
	seqs, err = read(t, j.Reader("g"), "d-1")
	require.NoError(t, err)
	require.Len(t, seqs, int(next+1))
	require.NoError(t, log.Close())
}

func TestA8_NoInodesLeft(t *testing.T) {
	dir := smallDisk(t, "nr_inodes=5")
	j := &journal.File{Dir: dir}
	log := open(t, j)
	require.NoError(t, log.Append(t.Context(), record("d-1", 1)))
	filler := filepath.Join(dir, "filler")
	require.NoError(t, os.WriteFile(filler, nil, 0o600))
	require.ErrorIs(t, log.Append(t.Context(), record("d-2", 1)), syscall.ENOSPC)
	require.NoError(t, log.Append(t.Context(), record("d-1", 2)), "a deployment that has its file goes on")
	require.NoError(t, os.Remove(filler))
	require.NoError(t, log.Append(t.Context(), record("d-2", 1)))
	require.NoError(t, log.Close())
}

func TestA8_ReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "size=64k")
	j := &journal.File{Dir: dir}
	write(t, j, "d-1", 1, 2)
	out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	_, err = j.Open(t.Context(), "g")
	require.ErrorIs(t, err, syscall.EROFS)
	seqs, err := read(t, j.Reader("g"), "d-1")
	require.NoError(t, err, "status can still be read")
	require.Equal(t, []int64{1, 2}, seqs)
	_, err = j.Open(t.Context(), "new group")
	require.ErrorIs(t, err, syscall.EROFS)
}
