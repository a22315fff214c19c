package cutover

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// A9, H8: every controller that takes over dies at its first or second write, some
// before it was durable, some after. The end is the same, and nothing is done twice.
func TestA9_CrashesAgainAndAgain(t *testing.T) {
	f := fake.NewFleet(3)
	d := deployment(t, f, "one")
	run(t, d)
	before := len(f.Done())
	d.ID, d.Revision = "d-bad", rev(t, "two")
	d.Target = failing{f, lifecycle.Step{Deployment: "d-bad", Unit: "host-2", Event: lifecycle.AfterInstall}}
	real := d.Journal
	d.Journal = &crashing{Journal: real, at: 1, durable: true}
	res, err := d.Run(t.Context())
	for n := 0; err != nil; n++ {
		require.ErrorIs(t, err, errCrash)
		require.Less(t, n, 500, "it gets on")
		d.Journal = &crashing{Journal: real, at: 1 + n%2, durable: n%3 > 0}
		res, err = d.Resume(t.Context(), "d-bad")
	}
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
	seen := map[string]bool{}
	for _, s := range f.Done()[before:] {
		require.False(t, seen[s.Key()], "%s was done twice", s)
		seen[s.Key()] = true
	}
}

// plug is everything that can be plugged in, and panics.
type plug struct{ *fake.Fleet }

func (plug) Units(context.Context) ([]lifecycle.Unit, error)                { panic("units") }
func (plug) Plan(strategy.Input) (strategy.Plan, error)                     { panic("plan") }
func (plug) Ask(context.Context, Question) (Answer, error)                  { panic("ask") }
func (plug) Name() string                                                   { return "bell" }
func (plug) State(context.Context) (rollback.AlarmState, error)             { panic("alarm") }
func (plug) Snapshot(context.Context, *target.Job) (target.Snapshot, error) { panic("snapshot") }

// A16, invariant 20: a panic in what was plugged in does not leave the library. Unknown
// is never success: a gate is closed, an alarm cannot be read.
func TestA16_PlugInsPanic(t *testing.T) {
	refused := map[string]func(*Deployment){
		"units": func(d *Deployment) { d.Target = plug{} },
		"plan":  func(d *Deployment) { d.Strategy = plug{} },
		"snapshot": func(d *Deployment) {
			d.Target = struct {
				target.Target
				target.Snapshotter
			}{fake.NewFleet(1), plug{}}
		},
		"alarm": func(d *Deployment) { d.Watch.Alarms = []rollback.Alarm{plug{}} },
	}
	for name, with := range refused {
		d := deployment(t, fake.NewFleet(1), "one")
		d.Strategy = strategy.AllAtOnce()
		with(d)
		_, err := d.Run(t.Context())
		require.ErrorContains(t, err, "panicked: "+name)
	}
	synctest.Test(t, func(t *testing.T) {
		d := deployment(t, fake.NewFleet(1), "one")
		d.Strategy, d.Gates, d.Timeout = strategy.AllAtOnce(), []Gate{plug{}}, time.Hour
		require.Equal(t, lifecycle.TimedOut, run(t, d).Failure.Code, "the gate never opens")
	})
}

// B5, H9, invariant 9: a stop, or an alarm, comes in the very moment in which the last
// host succeeds. One of the two was first, and all agree on which.
func TestB5_StopAndSuccessAtOnce(t *testing.T) {
	ends := map[strategy.Verdict]int{}
	for early := range 40 {
		synctest.Test(t, func(t *testing.T) {
			f := fake.NewFleet(1)
			f.On(fake.Match{}, fake.Delay(time.Second))
			d := deployment(t, f, "one")
			d.Strategy, d.Rollback = strategy.AllAtOnce(), rollback.Policy{}
			stopped := false
			d.Observe = func(r lifecycle.Record) { stopped = stopped || r.Kind == lifecycle.Stopped }
			asked := make(chan error, 1)
			time.AfterFunc(8*time.Second+time.Duration(early-20)*time.Millisecond/10, func() { asked <- d.Stop(t.Context(), StopOptions{}) })
			res := run(t, d)
			err := <-asked
			require.Equal(t, stopped, res.Status == strategy.DeploymentStopped)
			require.Equal(t, stopped, err == nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, ErrNotRunning)
			}
			ends[res.Status]++
		})
	}
	require.Len(t, ends, 2, "%v", ends)
}

func TestH9_AlarmAndSuccessAtOnce(t *testing.T) {
	for early := range 20 {
		synctest.Test(t, func(t *testing.T) {
			f := fake.NewFleet(1)
			f.On(fake.Match{}, fake.Delay(time.Second))
			siren := &switchable{}
			siren.set("off")
			d := deployment(t, f, "one")
			d.Strategy, d.Rollback = strategy.AllAtOnce(), rollback.Policy{}
			d.Watch = rollback.Watch{Alarms: []rollback.Alarm{siren}, Every: 100 * time.Millisecond}
			stopped := false
			d.Observe = func(r lifecycle.Record) { stopped = stopped || r.Kind == lifecycle.Stopped }
			time.AfterFunc(8*time.Second+time.Duration(early-10)*20*time.Millisecond, func() { siren.set("on") })
			require.Equal(t, stopped, run(t, d).Status == strategy.DeploymentStopped)
		})
	}
}

// B6: stopping twice is the same as once, also while the first is being carried out.
func TestB6_StopTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(2)
		f.On(fake.Match{}, fake.Delay(time.Minute))
		d := deployment(t, f, "one")
		stops := 0
		d.Observe = func(r lifecycle.Record) {
			if r.Kind == lifecycle.Finished {
				stops++
			}
		}
		for i := range 3 {
			time.AfterFunc(90*time.Second+time.Duration(i)*time.Second, func() { require.NoError(t, d.Stop(t.Context(), StopOptions{Reason: fmt.Sprint(i)})) })
		}
		res := run(t, d)
		require.Contains(t, res.Failure.Message, ": 0")
		require.Equal(t, 1, stops)
	})
}

// B11: who resumes with other settings goes on with the plan that was recorded.
func TestB11_ResumedWithOtherSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		f.On(fake.Match{}, fake.Delay(time.Minute))
		d := deployment(t, f, "one")
		d.Strategy = strategy.OneAtATime()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(90*time.Second, cancel)
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.Canceled)
		other := deployment(t, f, "another")
		other.Strategy, other.Journal = strategy.AllAtOnce(), d.Journal
		most, now := 0, 0
		other.Observe = func(r lifecycle.Record) {
			switch r.Kind {
			case lifecycle.Started:
				now++
			case lifecycle.Ended:
				now--
			}
			most = max(most, now)
		}
		res, err := other.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.Equal(t, 1, most)
	})
}

// B12, invariant 17: an id is good for one deployment.
func TestB12_IDIsUsedTwice(t *testing.T) {
	f := fake.NewFleet(1)
	d := deployment(t, f, "one")
	d.ID, d.Strategy = "d-1", strategy.AllAtOnce()
	run(t, d)
	calls := len(f.Calls())
	for _, content := range []string{"one", "two"} {
		d.Revision = rev(t, content)
		_, err := d.Run(t.Context())
		require.ErrorIs(t, err, ErrExists)
	}
	require.Len(t, f.Calls(), calls)
	res, err := d.Resume(t.Context(), "d-1")
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, res.Status)
}

// silent never says what became of one event of one host.
type silent struct {
	*fake.Fleet
	unit  string
	event lifecycle.Event
}

func (s silent) Perform(ctx context.Context, t target.Task) error {
	if t.Step.Unit == s.unit && t.Step.Event == s.event {
		return &lifecycle.Error{Step: t.Step, Failure: lifecycle.Failure{Code: lifecycle.Unknown, Message: "no answer"}}
	}
	return s.Fleet.Perform(ctx, t)
}

// C4: nobody ever says what became of a step. It is asked for some time, and then the
// host has failed, for that reason, and stays out of traffic.
func TestC4_NobodyEverKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fake.Balancer{}
		f := fake.NewFleet(2).Balance(b)
		d := deployment(t, silent{f, "host-2", lifecycle.Install}, "one")
		d.Strategy = strategy.AllAtOnce()
		begun := time.Now()
		res := run(t, d)
		require.Equal(t, strategy.Failed, res.Units[1].Status)
		require.Equal(t, lifecycle.Unknown, res.Units[1].Failure.Code)
		require.Equal(t, lifecycle.Install, res.Units[1].Event)
		require.Empty(t, res.Units[1].Revision)
		require.Equal(t, map[string]lifecycle.Weight{"host-1": 100, "host-2": 0}, b.Weights())
		require.Equal(t, 31*time.Second, time.Since(begun))
	})
}

// H7: the last good revision cannot be had any more. The rollback says so, and has the
// hosts deploy what they have kept.
func TestH7_LastGoodCannotBeHad(t *testing.T) {
	f := fake.NewFleet(2)
	d := deployment(t, f, "one")
	dir := t.TempDir()
	d.Revision = revision.Dir(dir)
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	good := f.Revision("host-1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "edited.txt"), nil, 0o644))
	d.ID, d.Revision = "d-bad", rev(t, "two")
	d.Target = failing{f, lifecycle.Step{Deployment: "d-bad", Event: lifecycle.AfterInstall}}
	var notes []lifecycle.Code
	d.Observe = func(r lifecycle.Record) {
		var n lifecycle.Note
		if r.Kind == lifecycle.Noted && json.Unmarshal(r.Data, &n) == nil {
			notes = append(notes, n.Code)
		}
	}
	res := run(t, d)
	require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
	require.Contains(t, notes, lifecycle.RevisionUnavailable)
	require.Equal(t, good, f.Revision("host-1"))
}
