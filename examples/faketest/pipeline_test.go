package faketest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/target/fake"
)

// world is all that the pipeline works with. Version 1 is released already.
type world struct {
	*Pipeline
	hosts   *fake.Fleet
	service *fake.Service
	alarm   *alarm
	log     strings.Builder // what moved traffic, waited or ended, and when
}

func newWorld(t *testing.T) *world {
	w := &world{hosts: fake.NewFleet(2), service: fake.NewService("web"), alarm: &alarm{}}
	w.Pipeline = &Pipeline{Staging: w.hosts, Production: w.service, Alarm: w.alarm, Journal: &journal.Memory{}}
	require.NoError(t, w.Release(t.Context(), "1", content(t, "1")))
	begin := time.Now()
	w.Observe = func(r lifecycle.Record) {
		line := ""
		switch {
		case r.Kind == lifecycle.Ended && r.Step.Event == lifecycle.AllowTraffic:
			line = fmt.Sprintf("%s has %d %% of the traffic", r.Step.Unit, r.Step.Weight)
		case r.Kind == lifecycle.Ended && r.Step.Event == lifecycle.Retire:
			line = r.Step.Unit + " is gone"
		case r.Kind == lifecycle.Held, r.Kind == lifecycle.Stopped:
			line = r.Step.Deployment + " " + string(r.Kind)
		case r.Kind == lifecycle.Finished && r.Failure == nil:
			line = r.Step.Deployment + " succeeded"
		case r.Kind == lifecycle.Finished:
			line = r.Step.Deployment + " ended: " + string(r.Failure.Code)
		default:
			return
		}
		fmt.Fprintf(&w.log, "%8s  %s\n", r.Time.Sub(begin), line)
	}
	return w
}

// content is a revision. A real one has an AppSpec; the fakes do not ask for it.
func content(t *testing.T, text string) revision.Source {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release.txt"), []byte(text), 0o644))
	return revision.Dir(dir)
}

// alarm is an alarm that the test rings.
type alarm struct{ on atomic.Bool }

func (a *alarm) Name() string { return "error rate" }

func (a *alarm) State(context.Context) (rollback.AlarmState, error) {
	if a.on.Load() {
		return rollback.AlarmFiring, nil
	}
	return rollback.AlarmOK, nil
}

func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.Release(t.Context(), "2", content(t, "2")))
		require.Equal(t, strings.TrimPrefix(`
      0s  staging-2 succeeded
      0s  web-3 has 10 % of the traffic
      0s  production-2 held
   15m0s  web-3 has 100 % of the traffic
   15m0s  production-2 held
 1h15m0s  web-2 is gone
 1h15m0s  production-2 succeeded
`, "\n"), w.log.String())
	})
}

func TestBadOnStaging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hosts.On(fake.Match{Deployment: "staging-2", Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
		before := len(w.service.Calls())
		require.ErrorContains(t, w.Release(t.Context(), "2", content(t, "2")), "release 2: staging-2")
		require.Len(t, w.service.Calls(), before, "production was not touched")
	})
}

func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.AfterFunc(9*time.Minute+50*time.Second, func() { w.alarm.on.Store(true) }) // it is read twice a minute
		require.Error(t, w.Release(t.Context(), "2", content(t, "2")))
		require.Equal(t, map[string]lifecycle.Weight{"web-2": 100}, w.service.Weights())
		require.Equal(t, []string{"web-2"}, w.service.TaskSets(), "the bad task set is gone")
		require.Contains(t, w.log.String(), "   10m0s  production-2 ended: AlarmActive\n")
	})
}

func TestControllerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		src := content(t, "2")
		killed := errors.New("killed")
		ctx, kill := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Minute, func() { kill(killed) })
		require.ErrorIs(t, w.Release(ctx, "2", src), killed)
		require.Equal(t, map[string]lifecycle.Weight{"web-2": 90, "web-3": 10}, w.service.Weights())

		time.Sleep(5 * time.Minute) // until somebody starts the program again
		require.NoError(t, w.Release(t.Context(), "2", src))
		require.Contains(t, w.log.String(), "   15m0s  web-3 has 100 % of the traffic\n", "the wait is neither shorter nor longer")
		require.Equal(t, 1, strings.Count(w.log.String(), "10 %"), "nothing is done twice")
	})
}

// Whatever goes wrong, the pipeline tells the truth: nil means that the new version
// has all the traffic; and nothing has traffic that does not exist.
func TestFaultsOfAllKinds(t *testing.T) {
	outcomes := map[bool]int{}
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.service.Randomize(seed, fake.Rates{Fail: 0.05, LoseReply: 0.3, Vanish: 0.02, MaxDelay: time.Minute})
			err := w.Release(t.Context(), "2", content(t, "2"))
			weights := w.service.Weights()
			if err == nil {
				require.Equal(t, lifecycle.Weight(100), weights["web-3"], "seed %d", seed)
			}
			for id, weight := range weights {
				require.True(t, weight == 0 || slices.Contains(w.service.TaskSets(), id), "seed %d: %s", seed, id)
			}
			outcomes[err == nil]++
		})
	}
	require.NotZero(t, outcomes[true])
	require.NotZero(t, outcomes[false])
}
