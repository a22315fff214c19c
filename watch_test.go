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

// mute is an alarm that is OK until it hangs: its server takes calls and answers
// none. A deaf one does not even hear that its call was cancelled.
type mute struct {
	hung atomic.Bool
	deaf chan struct{} // closed when the test ends; nil: it is not deaf
}

func (*mute) Name() string { return "latency" }

func (s *mute) State(ctx context.Context) (rollback.AlarmState, error) {
	switch {
	case !s.hung.Load():
		return rollback.AlarmOK, nil
	case s.deaf != nil:
		<-s.deaf
	default:
		<-ctx.Done()
	}
	return rollback.AlarmUnknown, context.Cause(ctx)
}

// watched deploys for twelve minutes, watched by a mute alarm and by a siren.
func watched(t *testing.T, deaf bool) (d *Deployment, quiet *mute, loud *siren) {
	f := fake.NewFleet(4)
	f.On(fake.Match{}, fake.Delay(time.Minute))
	d, quiet, loud = deployment(t, f, "one"), &mute{}, &siren{}
	d.Rollback = rollback.Policy{}
	d.Watch = rollback.Watch{Alarms: []rollback.Alarm{quiet, loud}}
	if deaf {
		quiet.deaf = make(chan struct{})
		t.Cleanup(func() { close(quiet.deaf) })
	}
	return d, quiet, loud
}

// silences runs a test with an alarm that hangs in either way.
func silences(t *testing.T, test func(t *testing.T, deaf bool)) {
	for name, deaf := range map[string]bool{"it hears that it is cancelled": false, "it hears nothing": true} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, deaf) }) })
	}
}

// I3: an alarm that hangs cannot be read, and that counts.
func TestI3_HungAlarmFailsClosed(t *testing.T) {
	silences(t, func(t *testing.T, deaf bool) {
		d, quiet, _ := watched(t, deaf)
		time.AfterFunc(time.Minute+time.Second, func() { quiet.hung.Store(true) })
		res := run(t, d)
		require.Equal(t, strategy.DeploymentStopped, res.Status)
		require.Equal(t, lifecycle.AlarmActive, res.Failure.Code)
		require.Contains(t, res.Failure.Message, "alarm latency could not be read 3 times in a row: it ")
		require.Contains(t, res.Failure.Message, map[bool]string{false: "did not answer within 15s", true: "has not answered since"}[deaf])
	})
}

// An alarm that hangs does not keep the others from being heard.
func TestHungAlarmSilencesNoOther(t *testing.T) {
	silences(t, func(t *testing.T, deaf bool) {
		d, quiet, loud := watched(t, deaf)
		d.Watch.IgnoreUnreadable = true
		quiet.hung.Store(true)
		time.AfterFunc(4*time.Minute, func() { loud.on.Store(true) })
		res := run(t, d)
		require.Equal(t, strategy.DeploymentStopped, res.Status)
		require.Contains(t, res.Failure.Message, "alarm siren fires")
	})
}

// The first reading ends too, and refuses the deployment.
func TestHungAlarmRefusesTheStart(t *testing.T) {
	silences(t, func(t *testing.T, deaf bool) {
		d, quiet, _ := watched(t, deaf)
		quiet.hung.Store(true)
		_, err := d.Run(t.Context())
		require.ErrorContains(t, err, "alarm latency cannot be read: it did not answer within 15s")
	})
}

// A deployment that goes on after a crash is watched as well.
func TestHungAlarmAfterResume(t *testing.T) {
	silences(t, func(t *testing.T, deaf bool) {
		d, quiet, _ := watched(t, deaf)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		quiet.hung.Store(true)
		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentStopped, res.Status)
		require.Contains(t, res.Failure.Message, "alarm latency could not be read 3 times in a row")
	})
}
