package fake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// harness offers everything that a surface can do.
func harness(f surface) *targettest.Harness {
	on := func(s lifecycle.Step, faults ...fake.Fault) {
		f.On(fake.Match{Deployment: s.Deployment, Unit: s.Unit, Event: s.Event}, faults...)
	}
	return &targettest.Harness{
		Target:  f,
		Slow:    func(s lifecycle.Step) { on(s, fake.Delay(time.Hour)) },
		Fail:    func(s lifecycle.Step) { on(s, fake.Fail(lifecycle.ScriptFailed)) },
		Sick:    func(unit string) { f.SetHealth(unit, false) },
		Effects: func(s lifecycle.Step) int { return count(f.Done(), s) },
		Reopen:  func() (target.Target, error) { return f, nil },
	}
}

func TestConformance(t *testing.T) {
	targettest.Run(t, func(*testing.T) *targettest.Harness {
		b := &fake.Balancer{}
		f := fake.NewFleet(3).Balance(b)
		h := harness(f)
		h.Events, h.Traffic, h.Pool = lifecycle.InPlaceBalanced.Events(), b, f
		return h
	})
}

// byRole gives an original and a replacement the events that they have.
func byRole(original, replacement lifecycle.Walk) func(lifecycle.Unit) []lifecycle.Event {
	return func(u lifecycle.Unit) []lifecycle.Event {
		if u.Role == lifecycle.OriginalRole {
			return original.Events()
		}
		return replacement.Events()
	}
}

func TestConformance_BlueGreen(t *testing.T) {
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		b := &fake.Balancer{}
		f := fake.NewBlueGreen(2, b)
		_, err := f.Provision(t.Context(), "d-0", 2)
		require.NoError(t, err)
		h := harness(f)
		h.Walk, h.Traffic, h.Pool, h.Compares = byRole(lifecycle.Original, lifecycle.Replacement), b, f, true
		return h
	})
}

func TestConformance_Service(t *testing.T) {
	targettest.Run(t, func(*testing.T) *targettest.Harness {
		h := harness(fake.NewService("web"))
		h.Walk, h.Compares = byRole(lifecycle.RollbackOriginal, lifecycle.ECSReplacement), true
		return h
	})
}

func TestConformance_Alias(t *testing.T) {
	targettest.Run(t, func(*testing.T) *targettest.Harness {
		a := fake.NewAlias("1")
		a.Publish("2")
		h := harness(a)
		h.Walk, h.Compares = byRole(lifecycle.RollbackOriginal, lifecycle.LambdaReplacement), true
		return h
	})
}

func count(steps []lifecycle.Step, s lifecycle.Step) (n int) {
	for _, one := range steps {
		if one == s {
			n++
		}
	}
	return n
}

func task(unit string, e lifecycle.Event) target.Task {
	return target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: unit, Event: e}, Job: &target.Job{}}
}

func code(err error) lifecycle.Code {
	e, ok := errors.AsType[*lifecycle.Error](err)
	if !ok {
		return ""
	}
	return e.Code
}

func TestNthStepFails(t *testing.T) {
	f := fake.NewFleet(4)
	f.On(fake.Match{Event: lifecycle.Install, Nth: 3}, fake.Fail(lifecycle.InstallFailed))
	var codes []lifecycle.Code
	for i := range 4 {
		unit := fmt.Sprintf("host-%d", i+1)
		require.NoError(t, f.Perform(t.Context(), task(unit, lifecycle.BeforeInstall)))
		codes = append(codes, code(f.Perform(t.Context(), task(unit, lifecycle.Install))))
		_ = f.Perform(t.Context(), task(unit, lifecycle.Install)) // a repetition, which does not count
	}
	require.Equal(t, []lifecycle.Code{"", "", lifecycle.InstallFailed, ""}, codes)
}

func TestFaults(t *testing.T) {
	cases := []struct {
		name  string
		fault fake.Fault
		first lifecycle.Code
		again lifecycle.Code
		did   int
	}{
		{"a failure is kept", fake.Fail(lifecycle.ScriptFailed), lifecycle.ScriptFailed, lifecycle.ScriptFailed, 0},
		{"a lost reply was done", fake.LoseReply(), lifecycle.Unknown, "", 1},
		{"a vanished host stays away", fake.Vanish(), lifecycle.UnitLost, lifecycle.UnitLost, 0},
		{"an interrupted step stays so", fake.Interrupt(), lifecycle.Interrupted, lifecycle.Interrupted, 0},
		{"a delay changes nothing", fake.Delay(time.Hour), "", "", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fake.NewFleet(1)
				f.On(fake.Match{}, c.fault)
				install := task("host-1", lifecycle.Install)
				require.Equal(t, c.first, code(f.Perform(t.Context(), install)))
				require.Equal(t, c.again, code(f.Perform(t.Context(), install)))
				require.Len(t, f.Done(), c.did)
				require.Len(t, f.Calls(), 2)
			})
		})
	}
}

func TestInterruptedStepIsDoneAgainWhenTheJobSaysSo(t *testing.T) {
	f := fake.NewFleet(1)
	f.On(fake.Match{}, fake.Interrupt())
	install := task("host-1", lifecycle.Install)
	install.Job.RerunInterrupted = true
	require.NoError(t, f.Perform(t.Context(), install))
	require.Len(t, f.Done(), 1)
}

func TestVanishedHostIsListedAndComesBack(t *testing.T) {
	f := fake.NewFleet(2)
	f.On(fake.Match{Unit: "host-2", Nth: 1}, fake.Vanish())
	require.Equal(t, lifecycle.UnitLost, code(f.Perform(t.Context(), task("host-2", lifecycle.Start))))
	units, err := f.Units(t.Context())
	require.NoError(t, err)
	require.Empty(t, units[0].Lost)
	require.NotEmpty(t, units[1].Lost)
	f.Revive("host-2")
	require.NoError(t, f.Perform(t.Context(), task("host-2", lifecycle.Start)))
}

func TestHangEndsWithTheCauseAndIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(1)
		f.On(fake.Match{Nth: 1}, fake.Hang())
		gone := errors.New("controller went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Hour, func() { cancel(gone) })
		start := time.Now()
		require.ErrorIs(t, f.Perform(ctx, task("host-1", lifecycle.Install)), gone)
		require.Equal(t, time.Hour, time.Since(start))
		require.Equal(t, time.Hour, f.Calls()[0].Took)
		require.Empty(t, f.Done())
		require.NoError(t, f.Perform(t.Context(), task("host-1", lifecycle.Install)))
	})
}

// A controller that comes back while the step runs waits for it.
func TestSecondCallerWaitsForARunningStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(1)
		f.On(fake.Match{}, fake.Delay(time.Minute), fake.Fail(lifecycle.ScriptFailed))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				require.Equal(t, lifecycle.ScriptFailed, code(f.Perform(t.Context(), task("host-1", lifecycle.Install))))
			})
		}
		start := time.Now()
		wg.Wait()
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestStuckStepPaysNoAttentionToItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(1)
		release := make(chan struct{})
		f.On(fake.Match{}, fake.Stick(release))
		ctx, cancel := context.WithCancel(t.Context())
		done := false
		go func() { _ = f.Perform(ctx, task("host-1", lifecycle.Install)); done = true }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.False(t, done)
		require.True(t, f.Calls()[0].Open)
		close(release)
		synctest.Wait()
		require.True(t, done)
	})
}

func TestPanicAndWarn(t *testing.T) {
	f := fake.NewFleet(1)
	f.On(fake.Match{}, fake.Warn("disk is nearly full"), fake.Panic("driver bug"))
	var notes []string
	one := task("host-1", lifecycle.Install)
	one.Note = func(n lifecycle.Note) { notes = append(notes, n.Text) }
	require.PanicsWithValue(t, "driver bug", func() { _ = f.Perform(t.Context(), one) })
	require.Equal(t, []string{"disk is nearly full"}, notes)
	require.False(t, f.Calls()[0].Open)
	require.ErrorContains(t, f.Calls()[0].Err, "panicked")
	require.Empty(t, f.Done())
}

func TestTrafficAndRevision(t *testing.T) {
	b := &fake.Balancer{}
	f := fake.NewFleet(2)
	require.False(t, f.Balanced())
	require.Equal(t, lifecycle.Unsupported, code(f.Perform(t.Context(), task("host-1", lifecycle.BlockTraffic))))
	f.Balance(b)
	require.True(t, f.Balanced())

	allow := task("host-1", lifecycle.AllowTraffic)
	require.NoError(t, f.Perform(t.Context(), allow))
	allow.Step.Unit, allow.Step.Weight = "host-2", 10
	require.NoError(t, f.Perform(t.Context(), allow))
	require.Equal(t, map[string]lifecycle.Weight{"host-1": 100, "host-2": 10}, b.Weights())
	require.Equal(t, []fake.Shift{{"host-1", 0, 100}, {"host-2", 0, 10}}, b.History())
	require.Error(t, b.SetWeight(t.Context(), "host-1", 101))

	install := task("host-1", lifecycle.Install)
	install.Job.Revision = revision.Revision{Digest: "sha256:abc"}
	require.NoError(t, f.Perform(t.Context(), install))
	require.Equal(t, "sha256:abc", f.Revision("host-1"))
	require.Empty(t, f.Revision("host-2"))
}

func TestSeedSaysTheSameEachTime(t *testing.T) {
	outcomes := func(seed uint64, backwards bool) map[string]lifecycle.Code {
		f := fake.NewFleet(200)
		f.Randomize(seed, fake.Rates{Fail: 0.2, LoseReply: 0.2})
		out := map[string]lifecycle.Code{}
		for i := range 200 {
			if backwards {
				i = 199 - i
			}
			unit := fmt.Sprintf("host-%d", i+1)
			out[unit] = code(f.Perform(t.Context(), task(unit, lifecycle.Install)))
		}
		return out
	}
	first := outcomes(7, false)
	require.Equal(t, first, outcomes(7, true))
	require.NotEqual(t, first, outcomes(8, false))
	failed := 0
	for _, c := range first {
		if c == lifecycle.ScriptFailed {
			failed++
		}
	}
	require.InDelta(t, 40, failed, 20)
}

func TestHostsJoinAndLeave(t *testing.T) {
	f := fake.NewFleet(1)
	f.SetUnits(lifecycle.Unit{ID: "new", Zone: "a"})
	require.Equal(t, lifecycle.UnitLost, code(f.Perform(t.Context(), task("host-1", lifecycle.Install))))
	require.NoError(t, f.Perform(t.Context(), task("new", lifecycle.Install)))
}
