package journal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

func TestConformanceMemory(t *testing.T) {
	journaltest.Run(t, func(*testing.T) *journaltest.Harness {
		return &journaltest.Harness{Journal: &journal.Memory{}}
	})
}

func TestConformanceFile(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) *journaltest.Harness {
		dir := t.TempDir()
		return &journaltest.Harness{
			Journal: &journal.File{Dir: dir},
			Reopen:  func() (journal.Journal, error) { return &journal.File{Dir: dir}, nil },
		}
	})
}

var (
	_ journal.Readable = (*journal.Memory)(nil)
	_ journal.Readable = (*journal.File)(nil)
)

// record is the nth record of deployment id.
func record(id string, n int64) lifecycle.Record {
	return lifecycle.Record{Seq: n, Time: time.Date(2026, 1, 1, 0, 0, 0, int(n), time.UTC), Kind: lifecycle.Started,
		Step: lifecycle.Step{Deployment: id, Unit: "web-1", Event: lifecycle.Install}}
}

func open(t *testing.T, j journal.Journal) journal.Log {
	t.Helper()
	log, err := j.Open(t.Context(), "g")
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// write appends records one by one and closes the log.
func write(t *testing.T, j journal.Journal, id string, from, to int64) {
	t.Helper()
	log := open(t, j)
	for n := from; n <= to; n++ {
		require.NoError(t, log.Append(t.Context(), record(id, n)))
	}
	require.NoError(t, log.Close())
}

// read returns the numbers of the records, and the error that ended them.
func read(t *testing.T, r journal.Reader, id string) (seqs []int64, err error) {
	t.Helper()
	for rec, err := range r.Records(t.Context(), id, 1) {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, rec.Seq)
	}
	return seqs, nil
}

func TestReaderNeedsNoLock(t *testing.T) {
	for name, j := range map[string]interface {
		journal.Journal
		journal.Readable
	}{"memory": &journal.Memory{}, "file": &journal.File{Dir: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			r := j.Reader("g")
			ids, err := r.Deployments(t.Context())
			require.NoError(t, err)
			require.Empty(t, ids)
			log := open(t, j)
			require.NoError(t, log.Append(t.Context(), record("d-1", 1), record("d-1", 2)))
			seqs, err := read(t, r, "d-1")
			require.NoError(t, err)
			require.Equal(t, []int64{1, 2}, seqs)
			_, err = read(t, r, "d-2")
			require.ErrorIs(t, err, journal.ErrNotFound)
		})
	}
}

func TestV13_DirectoryMissingInTheValue(t *testing.T) {
	_, err := (&journal.File{}).Open(t.Context(), "g")
	require.ErrorContains(t, err, "File.Dir is empty")
}
