package cutover

import (
	"context"
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
