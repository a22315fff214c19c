package ecs_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	ecsfake "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
)

// scenario is a deployment with what happens meanwhile, and how it must end.
type scenario struct {
	shift strategy.Shift
	set   func(*world, *cutover.Deployment) // before it begins; nil: nothing
	// seen is called with every record, on a goroutine of its own; nil: it is not.
	seen func(*world, *cutover.Deployment, lifecycle.Record)

	status strategy.Verdict
	back   bool // rolled back
	left   int  // weight of the replacement where it was not; 0: none
}

// The ends that scenarios have.
var (
	served     = []string{"first PRIMARY web:1"}
	replaced   = []string{"d-2 PRIMARY web:2"}
	leftBehind = []string{"first PRIMARY web:1", "d-2 ACTIVE web:2"}
)

// alarm fires once it was told to.
type alarm struct{ on atomic.Bool }

func (a *alarm) Name() string { return "5xx" }
func (a *alarm) State(context.Context) (rollback.AlarmState, error) {
	if a.on.Load() {
		return rollback.AlarmFiring, nil
	}
	return rollback.AlarmOK, nil
}

// weighed reports whether a record says that the replacement has got a weight.
func weighed(rec lifecycle.Record, w lifecycle.Weight) bool {
	return rec.Kind == lifecycle.Ended && rec.Failure == nil && rec.Step.Event == lifecycle.AllowTraffic && rec.Step.Weight == w && rec.Step.Deployment == "d-2"
}

// stopAt stops the deployment when the replacement has got a weight.
func stopAt(at lifecycle.Weight, back bool) func(*world, *cutover.Deployment, lifecycle.Record) {
	return func(w *world, d *cutover.Deployment, rec lifecycle.Record) {
		if weighed(rec, at) {
			_ = d.Stop(context.Background(), cutover.StopOptions{Reason: "a person has seen enough", Rollback: back}) // it may have ended
		}
	}
}

// failing lets the function of an event fail.
func failing(e lifecycle.Event) scenario {
	return scenario{shift: strategy.Canary(10, time.Minute), status: strategy.DeploymentFailed, back: true, set: func(w *world, d *cutover.Deployment) {
		d.Revision, w.hooks.fail = revision.Dir(w.revision("web:2", allHooks)), e
	}}
}

var scenarios = map[string]scenario{
	"all at once":              {status: strategy.DeploymentSucceeded},
	"canary":                   {shift: strategy.Canary(10, 5*time.Minute), status: strategy.DeploymentSucceeded},
	"linear":                   {shift: strategy.Linear(10, time.Minute), status: strategy.DeploymentSucceeded},
	"hooks":                    {status: strategy.DeploymentSucceeded, set: func(w *world, d *cutover.Deployment) { d.Revision = revision.Dir(w.revision("web:2", allHooks)) }},
	"failing BeforeInstall":    failing(lifecycle.BeforeInstall),
	"failing AfterInstall":     failing(lifecycle.AfterInstall),
	"failing test traffic":     failing(lifecycle.AfterAllowTestTraffic),
	"failing before traffic":   failing(lifecycle.BeforeAllowTraffic),
	"failing after traffic":    failing(lifecycle.AfterAllowTraffic),
	"stopped":                  {shift: strategy.Canary(10, time.Hour), status: strategy.DeploymentStopped, left: 10, seen: stopAt(10, false)},
	"stopped and rolled back":  {shift: strategy.Canary(10, time.Hour), status: strategy.DeploymentStopped, back: true, seen: stopAt(10, true)},
	"rolled back from the end": {status: strategy.DeploymentStopped, back: true, seen: stopAt(100, true)},
	"crash loop": {status: strategy.DeploymentFailed, back: true, set: func(w *world, _ *cutover.Deployment) {
		w.fake.Behave("web:2", ecsfake.Behaviour{Crash: 5 * time.Second})
	}},
	"alarm": {shift: strategy.Linear(30, 10*time.Minute), status: strategy.DeploymentStopped, back: true, set: func(w *world, d *cutover.Deployment) {
		d.Watch.Alarms = []rollback.Alarm{&alarm{}}
	}, seen: func(_ *world, d *cutover.Deployment, rec lifecycle.Record) {
		if weighed(rec, 60) {
			d.Watch.Alarms[0].(*alarm).on.Store(true)
		}
	}},
}

// prepare makes the deployment of a scenario. What goes on beside it ends with ctx.
func (sc scenario) prepare(ctx context.Context, w *world, j journal.Journal) *cutover.Deployment {
	d := w.deployment("d-2", strategy.ECS{Shift: sc.shift, Termination: strategy.Wait{For: 30 * time.Minute}})
	d.Journal = j
	if sc.set != nil {
		sc.set(w, d)
	}
	if sc.seen != nil {
		records := make(chan lifecycle.Record, 1000)
		d.Observe = func(r lifecycle.Record) { records <- r }
		go func() {
			for {
				select {
				case r := <-records:
					sc.seen(w, d, r)
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return d
}

// ends checks that all is as the scenario has it.
func (sc scenario) ends(w *world, res *cutover.Result) {
	w.Helper()
	require.Equal(w, sc.status, res.Status, "%v", res.Err())
	require.Equal(w, sc.back, res.Rollback != nil)
	sets, weights := w.sets(), w.weights(w.production)
	switch {
	case sc.back:
		require.Equal(w, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
		require.Equal(w, served, sets)
		require.Equal(w, map[string]int32{"web-blue": 1}, weights, "as it was found")
		require.Equal(w, map[string]int32{"web-blue": 1}, w.weights(w.test))
	case sc.status == strategy.DeploymentSucceeded:
		require.Equal(w, replaced, sets)
		require.Equal(w, map[string]int32{"web-blue": 0, "web-green": 100}, weights)
		require.Equal(w, map[string]int32{"web-blue": 0, "web-green": 100}, w.weights(w.test))
	default:
		require.Equal(w, leftBehind, sets)
		require.Equal(w, map[string]int32{"web-blue": int32(100 - sc.left), "web-green": int32(sc.left)}, weights)
	}
	require.False(w, w.suspendedNow(), "however it ended")
	w.whole()
}

// whole checks every change of production traffic that ever was: weights are whole, the
// replacement's share rises and then only falls, and nothing is led to where nobody is
// healthy.
func (w *world) whole() {
	w.Helper()
	if w.elbfake == nil {
		return // an emulator keeps no history
	}
	before, falling := int32(0), false
	for _, c := range w.elbfake.Changes() {
		if c.Arn != w.production {
			continue
		}
		sum, green := int32(0), c.Weights[w.green]
		for group, weight := range c.Weights {
			sum += weight
			require.Contains(w, []string{w.blue, w.green}, group)
			if weight > 0 && len(c.Weights) > 1 {
				require.Positive(w, c.Healthy[group], "%s is led to %s, where nobody is healthy", c.At, w.name(group))
			}
		}
		require.True(w, sum == 100 || len(c.Weights) == 1, "%v", c.Weights)
		falling = falling || green < before
		require.False(w, falling && green > before, "%v: the share of the replacement fell, and rises again", c.Weights)
		before = green
	}
}

// EndToEnd on the fakes, each with the resulting weights and task sets read back through the
// plain SDK.
func TestScenarios(t *testing.T) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				before := w.api.Counts()
				d := sc.prepare(ctx, w, &w.log)
				res, err := d.Run(ctx)
				require.NoError(t, err)
				t.Log(calls(before, w.api.Counts()))
				sc.ends(w, res)
			})
		})
	}
}

func calls(before, after map[string]int) (total int, by map[string]int) {
	by = map[string]int{}
	for name, n := range after {
		if n -= before[name]; n > 0 {
			by[name] = n
			total += n
		}
	}
	return total, by
}
