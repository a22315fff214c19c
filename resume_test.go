package cutover

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/fake"
)

// reading is a journal that counts what is read from it.
type reading struct {
	journal.Journal
	records int
}

func (j *reading) Open(ctx context.Context, group string) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, group)
	return readingLog{l, j}, err
}

type readingLog struct {
	journal.Log
	j *reading
}

func (l readingLog) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	return func(yield func(lifecycle.Record, error) bool) {
		for r, err := range l.Log.Records(ctx, id, from) {
			l.j.records++
			if !yield(r, err) {
				return
			}
		}
	}
}

// almost writes a journal of a deployment that a controller left just before its end,
// of at least n records, and returns the deployment and how many there are.
func almost(tb testing.TB, n int) (*Deployment, int) {
	tb.Helper()
	events := len(lifecycle.InPlace.Events())
	f := fake.NewFleet(n/(2*events) + 1)
	d := &Deployment{Group: "web", ID: "d-long", Target: f, Strategy: strategy.AllAtOnce(), WorkDir: tb.TempDir()}
	units, err := f.Units(tb.Context())
	require.NoError(tb, err)
	in := strategy.Input{Deployment: d.ID, Group: d.Group, Units: units}
	plan, err := strategy.AllAtOnce().Plan(in)
	require.NoError(tb, err)
	data, err := json.Marshal(plan)
	require.NoError(tb, err)

	file := &journal.File{Dir: tb.TempDir()}
	log, err := file.Open(tb.Context(), d.Group)
	require.NoError(tb, err)
	seq := int64(0)
	record := func(kind lifecycle.Kind, s lifecycle.Step, data json.RawMessage) lifecycle.Record {
		seq++
		s.Deployment = d.ID
		return lifecycle.Record{Seq: seq, Time: time.Now().UTC(), Kind: kind, Step: s, Data: data}
	}
	none := lifecycle.Step{}
	require.NoError(tb, log.Append(tb.Context(), record(lifecycle.Planned, none, data), record(lifecycle.StageOpen, none, nil)))
	var batch []lifecycle.Record
	for i, u := range units {
		for _, e := range lifecycle.InPlace.Events() {
			s := lifecycle.Step{Unit: u.ID, Event: e}
			batch = append(batch, record(lifecycle.Started, s, nil), record(lifecycle.Ended, s, nil))
		}
		if i%100 == 99 || i == len(units)-1 {
			require.NoError(tb, log.Append(tb.Context(), batch...))
			batch = nil
		}
	}
	require.NoError(tb, log.Close())
	d.Journal = file
	return d, int(seq)
}

// A20: a deployment of 100,000 records is resumed by reading each of them once. That
// is what makes it quick; how quick is in the benchmark.
func TestA20_ResumeReadsEveryRecordOnce(t *testing.T) {
	d, n := almost(t, 100_000)
	j := &reading{Journal: d.Journal}
	d.Journal = j
	res, err := d.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, res.Status)
	require.Equal(t, n, j.records)
	require.Empty(t, d.Target.(*fake.Fleet).Calls(), "all steps had ended")
}

func BenchmarkResume100000(b *testing.B) {
	d, n := almost(b, 100_000)
	for b.Loop() {
		r := &runner{d: d, read: d.Journal.(*journal.File).Reader(d.Group)}
		st, err := r.unfinished(b.Context(), "")
		require.NoError(b, err)
		require.Equal(b, int64(n), st.Seq())
		dec := strategy.Next(st, time.Now())
		require.Equal(b, fmt.Sprint(lifecycle.Released), fmt.Sprint(dec.Note[0].Kind))
	}
	b.ReportMetric(float64(n), "records")
}
