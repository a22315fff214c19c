package ecs_test

import (
	"slices"
	"testing"
	"time"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	ecsfake "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	elbfake "github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// quickWorld is the world in real time, with tasks that start in milliseconds.
func quickWorld(t testing.TB) *world {
	t.Helper()
	api := &awsfake.API{}
	w := &world{TB: t, api: api, elbfake: elbfake.New(api), subnets: []string{"subnet-1"}, protocol: elbtypes.ProtocolEnumHttps}
	w.elbfake.Registering = time.Millisecond
	w.fake = ecsfake.New(api, w.elbfake)
	w.fake.Start, w.fake.Stop, w.fake.Again = time.Millisecond, time.Millisecond, time.Millisecond
	w.build(api.Config())
	require.Eventually(t, func() bool {
		health := w.elbfake.Targets(w.blue)
		return len(health) == 2 && !slices.Contains([]elbtypes.TargetHealthStateEnum{health["10.0.0.3"], health["10.0.0.4"]}, elbtypes.TargetHealthStateEnumInitial)
	}, 10*time.Second, time.Millisecond)
	return w
}

// quick looks often.
func quick(s *ecs.Service) *ecs.Service {
	s.Poll, s.ReadEvery = 5*time.Millisecond, time.Millisecond
	return s
}

// job is a job with the world's revision and a snapshot.
func (w *world) job(s *ecs.Service) *target.Job {
	w.Helper()
	bundle, err := revision.Dir(w.dir).Open(w.Context(), w.TempDir())
	require.NoError(w, err)
	job := &target.Job{Application: "targettest", Group: "targettest", Bundle: bundle}
	snap, err := s.Snapshot(w.Context(), job)
	require.NoError(w, err)
	job.Before = &snap
	return job
}

// walk is what the units go through, as far as the driver does it itself. The original keeps
// its traffic until the replacement has it.
func (w *world) walk(u lifecycle.Unit) []lifecycle.Event {
	switch {
	case u.ID == "web-blue" && w.weights(w.production)["web-green"] == 100:
		return []lifecycle.Event{lifecycle.Retire}
	case u.ID == "web-blue":
		return []lifecycle.Event{lifecycle.AllowTraffic}
	}
	return []lifecycle.Event{lifecycle.Install, lifecycle.AllowTestTraffic, lifecycle.AllowTraffic, lifecycle.AfterAllowTraffic}
}

// effects counts in the world what a step of the replacement has done.
func (w *world) effects(s lifecycle.Step) (n int) {
	led := func(to string) (n int) {
		for _, c := range w.elbfake.Changes() {
			if c.Arn == to && c.Weights[w.green] == 100 {
				n++
			}
		}
		return n
	}
	switch s.Event {
	case lifecycle.Install:
		return len(w.fake.Made()) - 1
	case lifecycle.AllowTestTraffic:
		return led(w.test)
	case lifecycle.AllowTraffic:
		if s.Unit == "web-blue" {
			return 1 // it has it already
		}
		return led(w.production)
	default:
		return w.api.Counts()["ECS.UpdateServicePrimaryTaskSet"] - 1
	}
}

// The suite looks closer at the first unit, but for health, where it looks at the last.
func TestConformance(t *testing.T) {
	t.Run("replacement first", func(t *testing.T) {
		targettest.Run(t, func(t *testing.T) *targettest.Harness {
			w := quickWorld(t)
			open := func() *ecs.Service {
				s := quick(w.service())
				s.TargetGroups = [2]string{w.green, w.blue}
				return s
			}
			s := open()
			return &targettest.Harness{Target: s, Job: w.job(s), Walk: w.walk, Effects: w.effects,
				Slow:   func(lifecycle.Step) { w.fake.Behave("web:2", ecsfake.Behaviour{Hang: true}) },
				Reopen: func() (target.Target, error) { return open(), nil }}
		})
	})
	t.Run("original first", func(t *testing.T) {
		targettest.Run(t, func(t *testing.T) *targettest.Harness {
			w := quickWorld(t)
			s := quick(w.service())
			return &targettest.Harness{Target: s, Job: w.job(s), Walk: func(u lifecycle.Unit) []lifecycle.Event {
				if u.Role == lifecycle.OriginalRole {
					return []lifecycle.Event{lifecycle.BeforeAllowTraffic} // what AllowTraffic puts back, Install changes beside it
				}
				return w.walk(u)
			}, Patience: 3 * time.Second,
				Sick: func(string) { w.elbfake.SetHealth(w.green, "", elbfake.Failing) }}
		})
	})
}
