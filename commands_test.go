package cutover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/fake"
)

// U7: a hold waits for Continue, which does nothing anywhere else.
func TestContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(2)
		f.On(fake.Match{}, fake.Delay(time.Second))
		d := deployment(t, f, "one")
		d.Strategy = strategy.InPlace{Waves: [][]string{{"host-1"}}, WaveHold: strategy.Wait{StopOnExpiry: true}}
		require.ErrorIs(t, d.Continue(t.Context(), ""), ErrNotRunning)
		done := make(chan *Result)
		go func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			done <- res
		}()
		time.Sleep(2500 * time.Millisecond)
		require.ErrorIs(t, d.Continue(t.Context(), "too early"), ErrNoHold)
		time.Sleep(240 * time.Hour)
		require.Len(t, f.Done(), 8, "the second wave waits for as long as it takes")
		require.NoError(t, d.Continue(t.Context(), "looks good"))
		require.ErrorIs(t, d.Continue(t.Context(), "again"), ErrNoHold)
		require.Equal(t, strategy.DeploymentSucceeded, (<-done).Status)
	})
}

// A hold survives a restart, and its time counts from its record.
func TestHoldAcrossResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(t, fake.NewFleet(2), "one")
		d.Strategy = strategy.InPlace{Waves: [][]string{{"host-1"}}, WaveHold: strategy.Wait{For: time.Hour}}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
		defer cancel()
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.Equal(t, time.Hour, time.Since(begun))
	})
}

// siren is an alarm that tests switch.
type siren struct{ on atomic.Bool }

func (s *siren) Name() string { return "siren" }
func (s *siren) State(context.Context) (rollback.AlarmState, error) {
	if s.on.Load() {
		return rollback.AlarmFiring, nil
	}
	return rollback.AlarmOK, nil
}

// An alarm stops the deployment and rolls it back; it does not stop the rollback.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		d := deployment(t, f, "one")
		good := run(t, d)
		f.On(fake.Match{}, fake.Delay(20*time.Second))
		s := &siren{}
		d.Revision, d.Watch, d.Rollback = rev(t, "two"), rollback.Watch{Alarms: []rollback.Alarm{s}}, rollback.Policy{OnAlarm: true}
		time.AfterFunc(50*time.Second, func() { s.on.Store(true) })
		res := run(t, d)
		require.Equal(t, strategy.DeploymentStopped, res.Status)
		require.Equal(t, lifecycle.AlarmActive, res.Failure.Code)
		require.Contains(t, res.Failure.Message, "alarm siren fires")
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, good.Revision, res.Rollback.Revision)

		d.AllowQuarantined = true
		_, err := d.Run(t.Context())
		require.ErrorContains(t, err, "fires already", "I2")
		d.Watch.StartAnyway = true
		require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	})
}

// B8: a new deployment supersedes one that nobody finished, when told to, and goes
// back to the last good revision, not to the one at 40 %.
func TestSupersede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		d := deployment(t, f, "one")
		good := run(t, d)
		f.On(fake.Match{Deployment: "d-40", Event: lifecycle.Install, Nth: 2}, fake.Hang())
		d.ID, d.Revision = "d-40", rev(t, "two")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		d.ID, d.Revision = "d-41", rev(t, "three")
		_, err = d.Run(t.Context())
		require.ErrorIs(t, err, ErrUnfinished)
		d.Supersede = true
		p, err := d.Plan(t.Context())
		require.NoError(t, err)
		require.Contains(t, p.Overrides, "Supersede")
		f.On(fake.Match{Deployment: "d-41", Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
		res := run(t, d)
		require.Equal(t, strategy.DeploymentFailed, res.Status)
		require.Equal(t, good.Revision, res.Rollback.Revision)
		old, err := d.Resume(t.Context(), "d-40")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentStopped, old.Status)
		require.Contains(t, old.Failure.Message, "superseded")
	})
}

// Retry only what failed.
func TestOutdatedOnly(t *testing.T) {
	f := fake.NewFleet(3)
	f.On(fake.Match{Unit: "host-2", Event: lifecycle.AfterInstall, Nth: 1}, fake.Fail(lifecycle.ScriptFailed))
	d := deployment(t, f, "one")
	d.Strategy = strategy.AllAtOnce()
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status, "all at once needs one success")
	d.OutdatedOnly = true
	before := len(f.Done())
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	for _, s := range f.Done()[before:] {
		require.Equal(t, "host-2", s.Unit)
	}
	_, err := d.Run(t.Context())
	require.ErrorContains(t, err, "every unit has the revision already")
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(2)
		f.On(fake.Match{Unit: "host-1", Event: lifecycle.Install}, fake.Hang())
		d := deployment(t, f, "one")
		d.Strategy = strategy.AllAtOnce()
		d.EventTimeouts = map[lifecycle.Event]time.Duration{lifecycle.Install: time.Minute}
		res := run(t, d)
		require.Equal(t, lifecycle.TimedOut, res.Units[0].Failure.Code)
		require.Contains(t, res.Units[0].Failure.Message, "within 1m0s")
		require.Equal(t, strategy.Succeeded, res.Units[1].Status)

		d = deployment(t, fake.NewFleet(2), "one")
		d.Target.(*fake.Fleet).On(fake.Match{}, fake.Delay(time.Minute))
		d.Strategy, d.Timeout = strategy.OneAtATime(), 10*time.Minute
		res = run(t, d)
		require.Equal(t, strategy.DeploymentFailed, res.Status)
		require.Equal(t, lifecycle.TimedOut, res.Failure.Code)
	})
}

// Freeze windows and approvals hold a stage back; they are asked once per stage,
// also across a restart, and a closed gate does not stop a Stop.
func TestGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		f := fake.NewFleet(2)
		d := deployment(t, f, "one")
		d.Strategy = strategy.InPlace{Waves: [][]string{{"host-1"}}}
		var asked []int
		var approve atomic.Bool
		d.Gates = []Gate{Freeze{{now.Add(-time.Hour), now.Add(time.Hour)}}, gateFunc(func(q Question) (Answer, error) {
			asked = append(asked, q.Stage)
			switch {
			case q.Stage == 0 || approve.Load():
				return Answer{Open: true}, nil
			case len(asked) == 2:
				return Answer{}, errors.New("ticket system is down")
			default:
				return Answer{Reason: "not approved", Again: time.Minute}, nil
			}
		})}
		var notes []string
		d.Observe = func(r lifecycle.Record) {
			if r.Kind == lifecycle.Noted {
				notes = append(notes, string(r.Data))
			}
		}
		time.AfterFunc(2*time.Hour, func() { approve.Store(true) })
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, f.Done(), 8)
		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.Equal(t, 0, asked[0])
		require.NotContains(t, asked[1:], 0, "an entered stage is not asked for again")
		require.Contains(t, notes[0], "frozen until")
		require.Contains(t, notes[1], "ticket system is down")
		require.Contains(t, notes[2], "gate 2 is closed before stage 1 (the rest): not approved")
		require.Len(t, notes, 4, "a reason is written down once per run")
		require.GreaterOrEqual(t, time.Since(now), 2*time.Hour)

		approve.Store(false)
		d.Revision = rev(t, "two")
		time.AfterFunc(time.Hour, func() { require.NoError(t, d.Stop(t.Context(), StopOptions{Reason: "never mind"})) })
		require.Equal(t, strategy.DeploymentStopped, run(t, d).Status)
	})
}

type gateFunc func(Question) (Answer, error)

func (g gateFunc) Ask(_ context.Context, q Question) (Answer, error) { return g(q) }

// Hooks of the whole deployment run once, in their places.
func TestOnceHooks(t *testing.T) {
	f := fake.NewFleet(2)
	d := deployment(t, f, "one")
	var ran []string
	hook := func(name string) lifecycle.Hook {
		return lifecycle.Func(func(context.Context, lifecycle.Env, io.Writer) error {
			ran = append(ran, fmt.Sprintf("%s after %d steps", name, len(f.Done())))
			return nil
		})
	}
	d.Before, d.After, d.OnRollback = hook("before"), hook("after"), hook("rollback")
	run(t, d)
	require.Equal(t, []string{"before after 0 steps", "after after 16 steps"}, ran)

	ran = nil
	d.Revision = rev(t, "two")
	d.After = lifecycle.Func(func(context.Context, lifecycle.Env, io.Writer) error { return errors.New("smoke test failed") })
	res := run(t, d)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.Contains(t, res.Failure.Message, "AfterDeployment")
	require.Contains(t, res.Failure.Message, "smoke test failed")
	require.Equal(t, []string{"before after 16 steps", "rollback after 32 steps"}, ran)
	require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)

	d.Revision, d.Before = rev(t, "three"), d.After
	before := len(f.Done())
	require.Equal(t, strategy.DeploymentFailed, run(t, d).Status)
	require.Len(t, f.Done(), before, "nothing is touched when the first hook fails")
}

// A hook that a crash cut off is not run again unasked.
func TestOnceHookInterrupted(t *testing.T) {
	for _, rerun := range []bool{false, true} {
		d := deployment(t, fake.NewFleet(1), "one")
		d.Strategy, d.RerunInterrupted = nil, rerun
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		d.Before = lifecycle.Func(func(ctx context.Context, _ lifecycle.Env, _ io.Writer) error {
			if n++; n == 1 {
				cancel()
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		})
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.Canceled)
		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		if rerun {
			require.Equal(t, strategy.DeploymentSucceeded, res.Status)
			continue
		}
		require.Equal(t, strategy.DeploymentFailed, res.Status)
		require.Equal(t, lifecycle.Interrupted, res.Failure.Code)
		require.Equal(t, 1, n)
	}
}

// A revision that was rolled back is refused until somebody says a word.
func TestQuarantine(t *testing.T) {
	f := fake.NewFleet(2)
	d := deployment(t, f, "one")
	run(t, d)
	bad, good := rev(t, "two"), d.Revision
	d.ID, d.Revision = "d-bad", bad
	f.On(fake.Match{Deployment: "d-bad", Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
	require.NotNil(t, run(t, d).Rollback)

	d.ID = ""
	refused := func() {
		d.Revision = bad
		_, err := d.Run(t.Context())
		e, ok := errors.AsType[*lifecycle.Error](err)
		require.True(t, ok)
		require.Equal(t, lifecycle.Quarantined, e.Code)
	}
	refused()
	d.Revision = good
	run(t, d)
	refused()
	d.AllowQuarantined = true
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	d.AllowQuarantined = false
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status, "it has proven itself")
}

// Units that cannot be reached have a budget of their own.
func TestLostBudget(t *testing.T) {
	for budget, want := range map[int]strategy.Verdict{0: strategy.DeploymentFailed, 1: strategy.DeploymentSucceeded} {
		f := fake.NewFleet(4)
		d := deployment(t, f, "one")
		run(t, d)
		f.On(fake.Match{Unit: "host-1", Event: lifecycle.ApplicationStop}, fake.Vanish())
		d.Revision, d.Strategy, d.LostBudget, d.Rollback = rev(t, "two"), strategy.OneAtATime(), budget, rollback.Policy{}
		res := run(t, d)
		require.Equal(t, want, res.Status)
		require.Equal(t, lifecycle.UnitLost, res.Units[0].Failure.Code)
	}
}

// C9: when nobody can say whether a step was done, its doer is asked again.
func TestC9_LostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(2)
		f.On(fake.Match{Event: lifecycle.Install, Nth: 1}, fake.LoseReply())
		require.Equal(t, strategy.DeploymentSucceeded, run(t, deployment(t, f, "one")).Status)
		require.Len(t, f.Done(), 16, "nothing was done twice")
	})
}

// C16, C17: a unit that comes while the deployment runs gets the revision too; one
// that goes is lost, and counts against the budget for that.
func TestC16_UnitsJoinAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(3)
		f.On(fake.Match{}, fake.Delay(time.Second))
		d := deployment(t, f, "one")
		d.LostBudget = 1
		time.AfterFunc(3*time.Second, func() {
			f.SetUnits(lifecycle.Unit{ID: "host-1"}, lifecycle.Unit{ID: "host-2"}, lifecycle.Unit{ID: "host-4"})
		})
		res := run(t, d)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.Len(t, res.Units, 4)
		require.Equal(t, "host-4", res.Units[3].Unit)
		require.Equal(t, strategy.Succeeded, res.Units[3].Status)
		require.Equal(t, res.Revision.Digest, f.Revision("host-4"))
		require.Equal(t, lifecycle.UnitLost, res.Units[2].Failure.Code)
	})
}

// A unit that joins a deployment that fails gets nothing.
func TestC16_NobodyJoinsAFailure(t *testing.T) {
	f := fake.NewFleet(2)
	f.On(fake.Match{Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
	d := deployment(t, f, "one")
	d.Observe = func(r lifecycle.Record) {
		if r.Kind == lifecycle.Started {
			f.SetUnits(lifecycle.Unit{ID: "host-1"}, lifecycle.Unit{ID: "host-2"}, lifecycle.Unit{ID: "host-3"})
		}
	}
	res := run(t, d)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	for _, s := range f.Done() {
		require.NotEqual(t, "host-3", s.Unit)
	}
}
