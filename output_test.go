package cutover

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// printing is a fleet whose steps print, if somebody looks.
type printing struct{ *fake.Fleet }

func (p printing) Perform(ctx context.Context, t target.Task) error {
	if t.Output != nil {
		fmt.Fprintf(t.Output, "%s on %s\n", t.Step.Event, t.Step.Unit)
	}
	return p.Fleet.Perform(ctx, t)
}

// What steps print is seen by who asked for it, per step, that of the hooks that run once
// too. Who panics sees nothing, and harms nobody.
func TestDeployment_Output(t *testing.T) {
	d := deployment(t, printing{fake.NewFleet(2)}, "one")
	d.Before = lifecycle.Func(func(_ context.Context, _ lifecycle.Env, out io.Writer) error {
		fmt.Fprintln(out, "smoke test")
		return nil
	})
	var mu sync.Mutex
	seen := map[string]*bytes.Buffer{}
	d.Output = func(s lifecycle.Step) io.Writer {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case s.Event == lifecycle.BeforeInstall:
			panic("a defect")
		case s.Event == lifecycle.Install && s.Unit == "host-1", s.Unit == "":
			seen[s.Unit] = &bytes.Buffer{}
			return seen[s.Unit]
		default:
			return nil
		}
	}
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	require.Equal(t, "Install on host-1\n", seen["host-1"].String())
	require.Contains(t, seen[""].String(), "smoke test\n")
}

// stuck is a writer that takes nothing, such as a pipe into a pager that was stopped.
type stuck struct{ until chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.until
	return len(p), nil
}

func TestAStuckWatcherHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(t, printing{fake.NewFleet(2)}, "one")
		d.Before = lifecycle.Func(func(_ context.Context, _ lifecycle.Env, out io.Writer) error {
			_, err := out.Write(bytes.Repeat([]byte("noise\n"), 1<<20))
			return err
		})
		out := stuck{make(chan struct{})}
		d.Output = func(lifecycle.Step) io.Writer { return out }
		began := time.Now()
		require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
		require.Less(t, time.Since(began), time.Minute)
		close(out.until)
	})
}
