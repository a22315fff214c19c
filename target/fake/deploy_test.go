package fake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// surface is a fake target of any kind.
type surface interface {
	target.Target
	On(fake.Match, ...fake.Fault)
	SetHealth(string, bool)
	Randomize(uint64, fake.Rates)
	Done() []lifecycle.Step
	Calls() []fake.Call
}

// scene is a target with a deployment to it, ready to run a second time.
type scene struct {
	surface
	deploy  *cutover.Deployment
	weights func() map[string]lifecycle.Weight
	history func() []fake.Shift
	next    func(t *testing.T, id string) // makes the replacement of deployment id
	whole   bool                          // weights add up to 100
}

// release sets up the next deployment.
func (s *scene) release(t *testing.T, id, content string) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release.txt"), []byte(content), 0o644))
	s.next(t, id)
	s.deploy.ID, s.deploy.Revision = id, revision.Dir(dir)
}

func (s *scene) run(t *testing.T) *cutover.Result {
	t.Helper()
	res, err := s.deploy.Run(t.Context())
	require.NoError(t, err)
	return res
}

// kinds are the kinds of deployments that move traffic, each with one deployment
// behind it: d-1 has succeeded, d-2 is set up.
var kinds = map[string]func(*testing.T) *scene{
	"EC2": func(t *testing.T) *scene {
		b := &fake.Balancer{}
		f := fake.NewBlueGreen(2, b)
		return begin(t, &scene{surface: f, weights: b.Weights, history: b.History,
			next: func(t *testing.T, id string) {
				_, err := f.Provision(t.Context(), id, 2)
				require.NoError(t, err)
			}}, strategy.BlueGreen{Ready: strategy.Wait{For: time.Hour}, Termination: strategy.Wait{For: time.Hour}})
	},
	"EC2, pool": func(t *testing.T) *scene { // deployments make their replacements
		b := &fake.Balancer{}
		f := fake.NewBlueGreen(2, b)
		return begin(t, &scene{surface: f, weights: b.Weights, history: b.History, next: func(*testing.T, string) {}},
			strategy.BlueGreen{Ready: strategy.Wait{For: time.Hour}, Termination: strategy.Wait{For: time.Hour}})
	},
	"ECS": func(t *testing.T) *scene {
		f := fake.NewService("web")
		return begin(t, &scene{surface: f, weights: f.Weights, history: f.History, whole: true, next: func(*testing.T, string) {}},
			strategy.ECS{Shift: strategy.Canary(10, 5*time.Minute), Ready: strategy.Wait{For: time.Hour}, Termination: strategy.Wait{For: time.Hour}})
	},
	"Lambda": func(t *testing.T) *scene {
		f := fake.NewAlias("v0")
		return begin(t, &scene{surface: f, weights: f.Weights, history: f.History, whole: true,
			next: func(_ *testing.T, id string) { f.Publish("version of " + id) }},
			strategy.Lambda{Shift: strategy.Linear(30, time.Minute)})
	},
}

func begin(t *testing.T, s *scene, st strategy.Strategy) *scene {
	s.deploy = &cutover.Deployment{Group: "web", Target: s.surface, Strategy: st, Journal: &journal.Memory{},
		Rollback: rollback.Policy{OnFailure: true, OnStop: true}, WorkDir: t.TempDir()}
	s.release(t, "d-1", "one")
	require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
	s.release(t, "d-2", "two")
	s.deploy.Observe = func(lifecycle.Record) {
		if s.whole {
			require.Equal(t, lifecycle.Weight(100), sum(s.weights()), "invariant 3: %v", s.weights())
		}
		require.Positive(t, sum(s.weights()), "invariant 7: somebody serves")
	}
	return s
}

func sum(weights map[string]lifecycle.Weight) (all lifecycle.Weight) {
	for _, w := range weights {
		all += w
	}
	return all
}

// each runs a test on a scene of every kind in virtual time.
func each(t *testing.T, test func(t *testing.T, kind string)) {
	for name := range kinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, name) })
		})
	}
}

// serving lists who has traffic.
func (s *scene) serving() map[string]lifecycle.Weight {
	some := map[string]lifecycle.Weight{}
	for id, w := range s.weights() {
		if w > 0 {
			some[id] = w
		}
	}
	return some
}

func TestDeploy_TrafficMovesToTheReplacement(t *testing.T) {
	want := map[string]map[string]lifecycle.Weight{
		"EC2":       {"host-5": 100, "host-6": 100},
		"EC2, pool": {"host-5": 100, "host-6": 100},
		"ECS":       {"web-3": 100},
		"Lambda":    {"version of d-2": 100},
	}
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
		require.Equal(t, want[kind], s.serving())
	})
}

// A failure behind every event of the deployment, one at a time: what was there
// before serves again, and nobody else does.
func TestDeploy_FailuresGoBackByTraffic(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		steps := len(s.Done())
		require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
		for _, step := range s.Done()[steps:] {
			if step.Event == lifecycle.Retire {
				continue // there is no way back from here
			}
			again := kinds[kind](t)
			before := again.serving()
			hit := fake.Match{Deployment: "d-2", Event: step.Event}
			if !hosts(kind) { // where the event comes once on every host, and fails on all
				hit.Nth = nth(s.Done()[steps:], step)
			}
			again.On(hit, fake.Fail(lifecycle.ScriptFailed))
			res := again.run(t)
			require.Equal(t, strategy.DeploymentFailed, res.Status, "%s", step)
			if step.Event != lifecycle.Start { // which touches nothing
				require.NotNil(t, res.Rollback, "%s", step)
				require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%s: %v", step, res.Rollback.Failure)
			}
			require.Equal(t, before, again.serving(), "%s", step)

			again.release(t, "d-3", "three")
			require.Equal(t, strategy.DeploymentSucceeded, again.run(t).Status, "the group is not stuck")
		}
	})
}

// nth counts which of the steps with its unit and event the step is.
func nth(steps []lifecycle.Step, s lifecycle.Step) (n int) {
	for _, one := range steps {
		if one.Unit == s.Unit && one.Event == s.Event {
			n++
		}
		if one == s {
			return n
		}
	}
	panic("no such step")
}

var errCrash = errors.New("the controller was killed")

// crashing is a journal whose nth append is the last, durable or not.
type crashing struct {
	journal.Journal
	left    int
	durable bool
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
	if l.c.left--; l.c.left > 0 {
		return l.Log.Append(ctx, rs...)
	}
	if l.c.left == 0 && l.c.durable {
		if err := l.Log.Append(ctx, rs...); err != nil {
			return err
		}
	}
	return errCrash
}

// Rows A2, A3, G22, G23, H8: the controller is killed at every append, before and
// after it is durable. Another one goes on: the same end, every effect once, and
// the same changes of traffic in the same order.
func TestDeploy_KilledAtEveryRecord(t *testing.T) {
	scripts := map[string]func(*scene){
		"success": func(*scene) {},
		"rollback": func(s *scene) {
			s.On(fake.Match{Deployment: "d-2", Event: lifecycle.AfterAllowTraffic}, fake.Fail(lifecycle.HookFailed))
		},
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			for kind, make := range kinds {
				t.Run(kind, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killEverywhere(t, make, script) })
				})
			}
		})
	}
}

func killEverywhere(t *testing.T, make func(*testing.T) *scene, script func(*scene)) {
	uncut := make(t)
	script(uncut)
	want := uncut.run(t)
	for n := 1; ; n++ {
		for _, durable := range []bool{false, true} {
			where := fmt.Sprintf("append %d, durable: %v", n, durable)
			s := make(t)
			script(s)
			crash := &crashing{Journal: s.deploy.Journal, left: n, durable: durable}
			s.deploy.Journal = crash
			res, err := s.deploy.Run(t.Context())
			if err == nil {
				require.Greater(t, n, 10, "the crash was never reached")
				require.Equal(t, want.Units, res.Units)
				return
			}
			require.ErrorIs(t, err, errCrash)
			s.deploy.Journal = crash.Journal
			res = s.resume(t, n == 1 && !durable)
			require.Equal(t, want.Status, res.Status, where)
			require.Equal(t, want.Units, res.Units, where)
			require.Equal(t, want.Rollback == nil, res.Rollback == nil, where)
			if want.Rollback != nil {
				require.Equal(t, want.Rollback.Status, res.Rollback.Status, where)
				require.Equal(t, want.Rollback.Units, res.Rollback.Units, where)
			}
			require.Equal(t, uncut.weights(), s.weights(), where)
			if s.whole {
				require.Equal(t, uncut.history(), s.history(), where)
			}
			require.ElementsMatch(t, uncut.history(), s.history(), where)
			require.Len(t, s.Done(), len(uncut.Done()), where)
		}
	}
}

// resume goes on as a new controller does: it makes sure of the deployment.
func (s *scene) resume(t *testing.T, fresh bool) *cutover.Result {
	t.Helper()
	if fresh {
		return s.run(t)
	}
	res, err := s.deploy.Resume(t.Context(), "d-2")
	require.NoError(t, err)
	return res
}

// hosts reports whether a kind is one of hosts, each with a weight of its own.
func hosts(kind string) bool { return strings.HasPrefix(kind, "EC2") }
