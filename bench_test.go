package cutover

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// idle is a target of n units that does nothing, at once.
type idle struct{ n int }

func (t idle) Units(context.Context) ([]lifecycle.Unit, error) {
	us := make([]lifecycle.Unit, t.n)
	for i := range us {
		us[i].ID = fmt.Sprintf("host-%07d", i)
	}
	return us, nil
}

func (idle) Perform(context.Context, target.Task) error { return nil }

// forgetful is a journal that keeps nothing: what is measured is the engine.
type forgetful struct{}

func (forgetful) Open(context.Context, string) (journal.Log, error) { return forgetful{}, nil }
func (forgetful) Deployments(context.Context) ([]string, error)     { return nil, nil }
func (forgetful) Append(context.Context, ...lifecycle.Record) error { return nil }
func (forgetful) Close() error                                      { return nil }
func (forgetful) Records(context.Context, string, int64) iter.Seq2[lifecycle.Record, error] {
	return func(func(lifecycle.Record, error) bool) {}
}

// BenchmarkEngine measures a whole deployment per event, beside the floor: a
// bounded pool of workers that calls a function that does nothing for every event.
func BenchmarkEngine(b *testing.B) {
	events := len(lifecycle.InPlace.Events())
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		dir := b.TempDir()
		b.Run(fmt.Sprintf("units=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := &Deployment{Group: "g", Target: idle{n}, Revision: revision.Dir(dir), Strategy: strategy.Count(n - 1000), Journal: forgetful{}}
				res, err := d.Run(context.Background())
				require.NoError(b, err)
				require.Equal(b, strategy.DeploymentSucceeded, res.Status)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*events), "ns/event")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/float64(n), "sysB/unit")
		})
	}
	b.Run("floor", func(b *testing.B) {
		const n = 1_000_000
		t := idle{}
		for b.Loop() {
			work := make(chan target.Task)
			var wg sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					for task := range work {
						_ = t.Perform(context.Background(), task)
					}
				})
			}
			for range n {
				work <- target.Task{}
			}
			close(work)
			wg.Wait()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
	})
}
