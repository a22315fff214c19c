package cutover

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/fake"
)

// sharedLog is a journal whose lock has failed: whoever opens the group has it. The
// numbers of the records are all that is left. Its at-th append waits for wake.
type sharedLog struct {
	journal.Log
	at, n int
	wake  chan struct{}
}

func (l *sharedLog) Open(context.Context, string) (journal.Log, error) { return l, nil }

func (l *sharedLog) Close() error { return nil }

func (l *sharedLog) Append(ctx context.Context, rs ...lifecycle.Record) error {
	if l.n++; l.n == l.at {
		<-l.wake
	}
	return l.Log.Append(ctx, rs...)
}

// A14: a controller stands still before any of its records is written. Another one takes
// over and comes to the end. The first one wakes: the journal refuses its record, and
// it starts nothing more.
func TestA14_PausedControllerWakes(t *testing.T) {
	const appends = 100 // more than there are
	for at := 2; at < appends; at++ {
		var paused bool
		synctest.Test(t, func(t *testing.T) { paused = pausedAt(t, at) })
		if !paused {
			require.Greater(t, at, 10, "there was something to pause in")
			return
		}
	}
	t.Fatal("it writes more often than was thought")
}

// pausedAt reports whether there was an at-th append.
func pausedAt(t *testing.T, at int) bool {
	f := fake.NewFleet(2)
	f.On(fake.Match{}, fake.Delay(time.Second))
	log, err := (&journal.Memory{}).Open(t.Context(), "web")
	require.NoError(t, err)
	wake, ended := make(chan struct{}), make(chan error, 1)
	first, second := deployment(t, f, "one"), deployment(t, f, "one")
	first.Journal, second.Journal = &sharedLog{Log: log, at: at, wake: wake}, &sharedLog{Log: log}
	go func() { _, err := first.Run(t.Context()); ended <- err }()
	time.Sleep(time.Hour)
	if len(ended) > 0 {
		require.NoError(t, <-ended)
		return false
	}
	res, err := second.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, res.Status, "append %d", at)
	calls := len(f.Calls())
	close(wake)
	require.ErrorIs(t, <-ended, journal.ErrConflict, "append %d", at)
	require.Len(t, f.Calls(), calls, "append %d: it started something", at)
	require.Len(t, f.Done(), 2*len(lifecycle.InPlace.Events()), "append %d", at)
	return true
}
