package journal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// long writes a journal of n records in appends of 1000.
func long(tb testing.TB, j journal.Journal, n int64) {
	tb.Helper()
	log, err := j.Open(tb.Context(), "g")
	require.NoError(tb, err)
	for first := int64(1); first <= n; first += 1000 {
		var records []lifecycle.Record
		for seq := first; seq < first+1000; seq++ {
			records = append(records, record("d-1", seq))
		}
		require.NoError(tb, log.Append(tb.Context(), records...))
	}
	require.NoError(tb, log.Close())
}

func count(tb testing.TB, r journal.Reader) (n int) {
	tb.Helper()
	for _, err := range r.Records(tb.Context(), "d-1", 1) {
		require.NoError(tb, err)
		n++
	}
	return n
}

// How long it takes is a benchmark's matter, below.
func TestA20_LongJournal(t *testing.T) {
	j := &journal.File{Dir: t.TempDir()}
	long(t, j, 100_000)
	require.Equal(t, 100_000, count(t, j.Reader("g")))
	seqs, err := readFrom(t, j.Reader("g"), 99_999)
	require.NoError(t, err)
	require.Equal(t, []int64{99_999, 100_000}, seqs)
}

func readFrom(t *testing.T, r journal.Reader, from int64) (seqs []int64, err error) {
	t.Helper()
	for rec, err := range r.Records(t.Context(), "d-1", from) {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, rec.Seq)
	}
	return seqs, nil
}

func BenchmarkRead100000(b *testing.B) {
	j := &journal.File{Dir: b.TempDir()}
	long(b, j, 100_000)
	for b.Loop() {
		require.Equal(b, 100_000, count(b, j.Reader("g")))
	}
}

func benchmarkAppend(b *testing.B, j journal.Journal) {
	log, err := j.Open(b.Context(), "g")
	require.NoError(b, err)
	n := int64(0)
	for b.Loop() {
		n++
		if err := log.Append(b.Context(), record("d-1", n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	require.NoError(b, log.Close())
}

func BenchmarkAppendFile(b *testing.B)   { benchmarkAppend(b, &journal.File{Dir: b.TempDir()}) }
func BenchmarkAppendMemory(b *testing.B) { benchmarkAppend(b, &journal.Memory{}) }

func BenchmarkAppendFile100AtOnce(b *testing.B) {
	j := &journal.File{Dir: b.TempDir()}
	log, err := j.Open(b.Context(), "g")
	require.NoError(b, err)
	n := int64(0)
	for b.Loop() {
		var records []lifecycle.Record
		for range 100 {
			n++
			records = append(records, record("d-1", n))
		}
		if err := log.Append(b.Context(), records...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	require.NoError(b, log.Close())
}
