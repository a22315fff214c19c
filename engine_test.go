package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// rev makes a revision: a directory with one file.
func rev(t *testing.T, content string) revision.Source {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release.txt"), []byte(content), 0o644))
	return revision.Dir(dir)
}

func deployment(t *testing.T, f target.Target, content string) *Deployment {
	return &Deployment{Group: "web", Target: f, Revision: rev(t, content), Strategy: strategy.HalfAtATime(),
		Rollback: rollback.Policy{OnFailure: true}, Journal: &journal.Memory{}, WorkDir: t.TempDir()}
}

func run(t *testing.T, d *Deployment) *Result {
	t.Helper()
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	return res
}

func TestRun_Succeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		var seen []lifecycle.Record
		d := deployment(t, f, "one")
		d.Observe = func(r lifecycle.Record) { seen = append(seen, r) }
		res := run(t, d)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.NoError(t, res.Err())
		require.Len(t, f.Done(), 4*len(lifecycle.InPlace.Events()))
		for i, r := range seen {
			require.Equal(t, int64(i+1), r.Seq, "observers see every record in order")
		}
		require.Equal(t, lifecycle.Planned, seen[0].Kind)
		require.Equal(t, lifecycle.Finished, seen[len(seen)-1].Kind)
	})
}

func TestRun_BalancedFleetsShiftTraffic(t *testing.T) {
	f := fake.NewFleet(2).Balance(&fake.Balancer{})
	res := run(t, deployment(t, f, "one"))
	require.Equal(t, strategy.DeploymentSucceeded, res.Status)
	require.Len(t, f.Done(), 2*len(lifecycle.InPlaceBalanced.Events()))
}

// H11: back to the last revision whose deployment succeeded, on the touched units
// only.
func TestRun_RollsBackToLastGood(t *testing.T) {
	f := fake.NewFleet(4)
	d := deployment(t, f, "one")
	good := run(t, d)
	f.On(fake.Match{Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
	d.Revision = rev(t, "two")
	d.ID = "d-bad"
	before := len(f.Done())
	// The fault hits every ValidateService, also the rollback's: lift it for those.
	d.Observe = func(r lifecycle.Record) {}
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.NotNil(t, res.Rollback)
	require.Equal(t, good.Revision, res.Rollback.Revision)
	require.Equal(t, strategy.DeploymentFailed, res.Rollback.Status, "the fault hits the rollback as well: H2")
	require.Nil(t, res.Rollback.Rollback, "H3: a rollback is never rolled back")
	touched := map[string]bool{}
	for _, s := range f.Done()[before:] {
		touched[s.Unit] = true
	}
	require.Len(t, touched, 2, "half of four were tried, the others left alone")
	require.Error(t, res.Err())
}

func TestRun_RollbackSucceeds(t *testing.T) {
	f := fake.NewFleet(4)
	d := deployment(t, f, "one")
	good := run(t, d)
	d.ID, d.Revision = "d-bad", rev(t, "two")
	failBad := lifecycle.Step{Deployment: "d-bad", Event: lifecycle.ValidateService}
	d.Target = failing{f, failBad}
	res := run(t, d)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
	for _, u := range (failing{f, failBad}).mustUnits(t) {
		require.Equal(t, good.Revision.Digest, f.Revision(u.ID))
	}
	require.Equal(t, lifecycle.HealthConstraints, res.Failure.Code)

	d.ID, d.Revision = "", rev(t, "three")
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status, "the group is not stuck")
}

// H1: the first deployment has nowhere to go back to, and says so.
func TestRun_FirstDeploymentFails(t *testing.T) {
	f := fake.NewFleet(2)
	f.On(fake.Match{Event: lifecycle.Install}, fake.Fail(lifecycle.InstallFailed))
	d := deployment(t, f, "one")
	var notes []string
	d.Observe = func(r lifecycle.Record) {
		if r.Kind == lifecycle.Noted {
			notes = append(notes, string(r.Data))
		}
	}
	res := run(t, d)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.Nil(t, res.Rollback)
	require.Contains(t, fmt.Sprint(notes), "no revision to roll back to")
}

func TestRun_DriverPanics(t *testing.T) {
	f := fake.NewFleet(1)
	f.On(fake.Match{Event: lifecycle.Install}, fake.Panic("boom"))
	d := deployment(t, f, "one")
	d.Strategy = strategy.AllAtOnce()
	res := run(t, d)
	require.Equal(t, lifecycle.Panicked, res.Units[0].Failure.Code)
	require.Contains(t, res.Units[0].Failure.Message, "boom")
}

func TestRun_ObserverPanics(t *testing.T) {
	d := deployment(t, fake.NewFleet(2), "one")
	d.Observe = func(lifecycle.Record) { panic("look away") }
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
}

// A15: cancelling abandons; Resume goes on, and nothing is done twice.
func TestCancelAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		f.On(fake.Match{Event: lifecycle.Install, Nth: 2}, fake.Hang())
		d := deployment(t, f, "one")
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("operator went home")
		time.AfterFunc(time.Minute, func() { cancel(why) })
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, why)
		_, err = d.Run(t.Context())
		require.ErrorIs(t, err, ErrUnfinished)

		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		require.Len(t, f.Done(), 4*len(lifecycle.InPlace.Events()), "every step had its effect once")
		_, err = d.Resume(t.Context(), "")
		require.ErrorIs(t, err, ErrNothingToResume)
		again, err := d.Resume(t.Context(), res.Deployment)
		require.NoError(t, err)
		require.Equal(t, res, again, "U6: a deployment that has ended is only shown")
	})
}

// Invariants 12, 13, 16: cut the run off after every record, with the records of a
// batch durable or not, and resume: the end is the same and no effect comes twice.
func TestCrashAtEveryRecord(t *testing.T) {
	world := func(t *testing.T) (*fake.Fleet, *Deployment) {
		f := fake.NewFleet(3)
		d := deployment(t, f, "one")
		d.Strategy = strategy.OneAtATime()
		run(t, d)
		d.ID, d.Revision = "d-bad", rev(t, "two")
		d.Target = failing{f, lifecycle.Step{Deployment: "d-bad", Unit: "host-2", Event: lifecycle.AfterInstall}}
		return f, d
	}
	f, d := world(t)
	want := run(t, d)
	require.Equal(t, strategy.DeploymentSucceeded, want.Rollback.Status)
	effects := len(f.Done())

	for n := 1; ; n++ {
		for _, durable := range []bool{false, true} {
			f, d := world(t)
			crash := &crashing{Journal: d.Journal, at: n, durable: durable}
			d.Journal = crash
			res, err := d.Run(t.Context())
			if err == nil {
				require.Greater(t, n, 20, "the crash was never reached")
				require.Equal(t, want.Status, res.Status)
				return
			}
			require.ErrorIs(t, err, errCrash)
			d.Journal = crash.Journal
			res, err = d.Resume(t.Context(), "")
			switch {
			case errors.Is(err, ErrNothingToResume) && n == 1: // crashed before it existed
				require.False(t, durable)
				res, err = d.Run(t.Context())
			case errors.Is(err, ErrNothingToResume): // crashed after all was written
				require.True(t, durable)
				res, err = d.Resume(t.Context(), "d-bad")
			}
			require.NoError(t, err)
			require.Equal(t, want.Status, res.Status, "crash %d", n)
			require.Equal(t, want.Rollback.Status, res.Rollback.Status, "crash %d", n)
			require.Equal(t, want.Units, res.Units, "crash %d", n)
			require.Len(t, f.Done(), effects, "crash %d, durable %v", n, durable)
		}
	}
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(4)
		d := deployment(t, f, "one")
		require.ErrorIs(t, d.Stop(t.Context(), StopOptions{}), ErrNotRunning)
		run(t, d)
		d.Revision = rev(t, "two")
		f.On(fake.Match{}, fake.Delay(time.Second))
		time.AfterFunc(2500*time.Millisecond, func() {
			require.NoError(t, d.Stop(t.Context(), StopOptions{Reason: "wrong day", Rollback: true}))
			require.NoError(t, d.Stop(t.Context(), StopOptions{Reason: "again"}))
		})
		res := run(t, d)
		require.Equal(t, strategy.DeploymentStopped, res.Status)
		require.Contains(t, res.Failure.Message, "wrong day")
		require.Equal(t, strategy.Skipped, res.Units[0].Status)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
	})
}

func TestPlan_TouchesNothing(t *testing.T) {
	f := fake.NewFleet(4)
	d := deployment(t, f, "one")
	dir := filepath.Join(t.TempDir(), "journal")
	d.Journal = &journal.File{Dir: dir}
	p, err := d.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, p.Stages[0].Units, 4)
	require.Empty(t, f.Calls())
	require.NoDirExists(t, dir)
	require.Contains(t, p.String(), "50 % of 4, rounded up: at least 2 stay healthy")
}

// B1: one deployment of a group at a time.
func TestRun_OneControllerPerGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewFleet(1)
		f.On(fake.Match{}, fake.Delay(time.Second))
		d := deployment(t, f, "one")
		d.Strategy = nil
		other := deployment(t, f, "two")
		other.Journal = d.Journal
		var wg sync.WaitGroup
		wg.Go(func() { _, err := d.Run(t.Context()); require.NoError(t, err) })
		time.Sleep(time.Second / 2)
		_, err := other.Run(t.Context())
		require.ErrorIs(t, err, journal.ErrLocked)
		_, err = d.Run(t.Context())
		require.ErrorContains(t, err, "already running")
		wg.Wait()
	})
}

func TestRun_RefusesBeforeAnythingIsTouched(t *testing.T) {
	for name, change := range map[string]func(*Deployment){
		"no group":         func(d *Deployment) { d.Group = "" },
		"no target":        func(d *Deployment) { d.Target = nil },
		"no revision":      func(d *Deployment) { d.Revision = nil },
		"missing revision": func(d *Deployment) { d.Revision = revision.Dir(filepath.Join(t.TempDir(), "gone")) },
		"impossible":       func(d *Deployment) { d.Strategy = strategy.Count(4) },
		"V9: a host twice": func(d *Deployment) { d.Target = fake.FleetOf(lifecycle.Unit{ID: "a"}, lifecycle.Unit{ID: "a"}) },
		"C18: no host":     func(d *Deployment) { d.Target = fake.NewFleet(0) },
	} {
		t.Run(name, func(t *testing.T) {
			f := fake.NewFleet(4)
			d := deployment(t, f, "one")
			change(d)
			_, err := d.Run(t.Context())
			require.Error(t, err)
			require.Empty(t, f.Calls())
			left, err := os.ReadDir(d.WorkDir)
			require.NoError(t, err)
			require.Empty(t, left, "nothing is left behind")
		})
	}
}

// failing fails one step of a fleet; an empty unit means any.
type failing struct {
	*fake.Fleet
	at lifecycle.Step
}

func (f failing) Perform(ctx context.Context, t target.Task) error {
	s := t.Step
	if s.Deployment == f.at.Deployment && s.Event == f.at.Event && (f.at.Unit == "" || f.at.Unit == s.Unit) {
		return &lifecycle.Error{Step: s, Failure: lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "exit status 3"}}
	}
	return f.Fleet.Perform(ctx, t)
}

func (f failing) mustUnits(t *testing.T) []lifecycle.Unit {
	us, err := f.Units(t.Context())
	require.NoError(t, err)
	return us
}

var errCrash = errors.New("crash")

// crashing is a journal whose at-th append is the last: its records are durable or
// not, and its caller does not live to know.
type crashing struct {
	journal.Journal
	at      int
	durable bool
	n       int
}

func (c *crashing) Open(ctx context.Context, group string) (journal.Log, error) {
	l, err := c.Journal.Open(ctx, group)
	return crashingLog{l, c}, err
}

type crashingLog struct {
	journal.Log
	c *crashing
}

func (l crashingLog) Append(ctx context.Context, rs ...lifecycle.Record) error {
	if l.c.n++; l.c.n < l.c.at {
		return l.Log.Append(ctx, rs...)
	}
	if l.c.n == l.c.at && l.c.durable {
		if err := l.Log.Append(ctx, rs...); err != nil {
			return err
		}
	}
	return errCrash
}
