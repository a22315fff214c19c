package fake_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// lastly fails the last event of the replacement's walk in d-2.
func lastly(s *scene, f fake.Fault) {
	s.On(fake.Match{Deployment: "d-2", Event: lifecycle.AfterAllowTraffic}, f)
}

// A group's first deployment has no revision to go back to, and needs none where
// the way back is traffic.
func TestBack_FirstDeployment(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		before := s.serving()
		s.deploy.Journal = &journal.Memory{} // nothing is known of d-1
		lastly(s, fake.Fail(lifecycle.HookFailed))
		res := s.run(t)
		require.Equal(t, strategy.DeploymentFailed, res.Status)
		require.NotNil(t, res.Rollback)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, before, s.serving())

		s.release(t, "d-3", "three")
		s.On(fake.Match{Deployment: "d-3", Event: lifecycle.AfterAllowTraffic}, fake.Fail(lifecycle.HookFailed))
		res = s.run(t)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "the rollback has not made up a last good revision")
		require.Empty(t, res.Rollback.Revision.Digest)
		require.Equal(t, before, s.serving())
	})
}

// The same content again, in new replacements: going back is still going back.
func TestBack_SameRevision(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		before := s.serving()
		s.release(t, "d-2", "one")
		lastly(s, fake.Fail(lifecycle.HookFailed))
		res := s.run(t)
		require.NotNil(t, res.Rollback)
		require.Equal(t, before, s.serving())
	})
}

// The replacement is gone: traffic goes back to the original, which is there.
func TestBack_ReplacementVanishes(t *testing.T) {
	for _, kind := range []string{"ECS", "Lambda"} {
		synctest.Test(t, func(t *testing.T) {
			s := kinds[kind](t)
			before := s.serving()
			lastly(s, fake.Vanish())
			res := s.run(t)
			require.NotNil(t, res.Rollback)
			require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
			require.Equal(t, before, s.serving())
			s.release(t, "d-3", "three")
			require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
		})
	}
}

// H4, G27, invariant 7: the side to go back to is not healthy, so traffic stays where
// it is and the rollback waits: until the originals are healthy, or until somebody says
// that there is no point.
func TestH4_OriginalNotHealthy(t *testing.T) {
	ends := map[string]strategy.Verdict{"healthy": strategy.DeploymentSucceeded, "continue": strategy.DeploymentFailed, "stop": strategy.DeploymentStopped}
	for how, verdict := range ends {
		each(t, func(t *testing.T, kind string) {
			s := kinds[kind](t)
			event := lifecycle.AfterAllowTraffic
			if hosts(kind) { // where originals are still in traffic then
				event = lifecycle.AfterBlockTraffic
			}
			s.On(fake.Match{Deployment: "d-2", Event: event}, fake.Fail(lifecycle.HookFailed))
			before := s.serving()
			for id := range before {
				s.SetHealth(id, false)
			}
			timer := time.AfterFunc(10*time.Hour, func() {
				require.NotEqual(t, before, s.serving(), "it waits")
				switch how {
				case "healthy":
					for id := range before {
						s.SetHealth(id, true)
					}
				case "continue":
					require.NoError(t, s.deploy.Continue(t.Context(), "they are dead"))
				default:
					require.NoError(t, s.deploy.Stop(t.Context(), cutover.StopOptions{}))
				}
			})
			defer timer.Stop()
			res := s.run(t)
			require.Equal(t, verdict, res.Rollback.Status, "%s, %s", kind, how)
			if how == "healthy" {
				require.Equal(t, before, s.serving())
				return
			}
			for id, w := range s.serving() {
				require.Contains(t, []string{"host-5", "host-6", "web-3", "version of d-2"}, id, "has %d", w)
			}
		})
	}
}

// G16: one original is retired and another cannot be. The deployment has succeeded
// all the same, and lists what is left to clean up.
func TestG16_RetireFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kinds["EC2"](t)
		s.On(fake.Match{Deployment: "d-2", Event: lifecycle.Retire, Nth: 1}, fake.Fail(lifecycle.TargetFailed))
		res := s.run(t)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status)
		failed := 0
		for _, u := range res.Units {
			if u.Status == strategy.Failed {
				require.Equal(t, lifecycle.Retire, u.Event)
				failed++
			}
		}
		require.Equal(t, 1, failed)
		require.Equal(t, map[string]lifecycle.Weight{"host-5": 100, "host-6": 100}, s.serving())
		s.release(t, "d-3", "three")
		require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
	})
}

// Every original is retired, and then something of the whole deployment fails.
func TestBack_NotToWhatIsRetired(t *testing.T) {
	for _, kind := range []string{"EC2", "ECS"} {
		synctest.Test(t, func(t *testing.T) {
			s := kinds[kind](t)
			s.deploy.After = lifecycle.Func(func(context.Context, lifecycle.Env, io.Writer) error { return errors.New("no") })
			serving := map[string]map[string]lifecycle.Weight{"EC2": {"host-5": 100, "host-6": 100}, "ECS": {"web-3": 100}}
			res := s.run(t)
			require.Equal(t, strategy.DeploymentFailed, res.Status)
			require.Nil(t, res.Rollback)
			require.Equal(t, serving[kind], s.serving())
		})
	}
}

// A lost reply is asked for again, and a driver that was throttled and gave up has
// failed.
func TestDeploy_RepliesLostAndThrottled(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		s.On(fake.Match{Deployment: "d-2"}, fake.LoseReply(), fake.StaleRead(time.Minute))
		require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
		require.Len(t, s.Done(), len(unique(s.Done())), "nothing is done twice")

		s.release(t, "d-3", "three")
		before := s.serving()
		s.On(fake.Match{Deployment: "d-3", Event: lifecycle.AllowTraffic}, fake.Throttle(2))
		res := s.run(t)
		require.Equal(t, strategy.DeploymentFailed, res.Status)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, before, s.serving())
	})
}

func unique(steps []lifecycle.Step) map[string]bool {
	keys := map[string]bool{}
	for _, s := range steps {
		keys[s.Key()] = true
	}
	return keys
}

// Stop in the middle of the shift, and again in the wait before originals go.
func TestDeploy_Stop(t *testing.T) {
	after := map[string][]time.Duration{
		"EC2":    {30 * time.Minute, 90 * time.Minute},
		"ECS":    {30 * time.Minute, 62 * time.Minute, 90 * time.Minute},
		"Lambda": {30 * time.Second, 90 * time.Second},
	}
	each(t, func(t *testing.T, kind string) {
		for _, wait := range after[kind] {
			s := kinds[kind](t)
			before := s.serving()
			ctx := t.Context()
			time.AfterFunc(wait, func() {
				require.NoError(t, s.deploy.Stop(ctx, cutover.StopOptions{Reason: "wrong day"}))
			})
			begun := time.Now()
			res := s.run(t)
			require.Equal(t, wait, time.Since(begun))
			require.Equal(t, strategy.DeploymentStopped, res.Status)
			require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
			require.Equal(t, before, s.serving(), wait)
		}
	})
}

// U7, G23: READY_WAIT is ended by hand, after the controller was started again in
// the middle of it; the other waits take their time.
func TestDeploy_ContinueAcrossResume(t *testing.T) {
	took := map[string]time.Duration{"EC2": 50*time.Minute + time.Hour, "ECS": 50*time.Minute + 5*time.Minute + time.Hour}
	for kind, want := range took {
		synctest.Test(t, func(t *testing.T) {
			s := kinds[kind](t)
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
			defer cancel()
			_, err := s.deploy.Run(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			here := t.Context()
			time.AfterFunc(10*time.Minute, func() { require.NoError(t, s.deploy.Continue(here, "looks good")) })
			require.Equal(t, strategy.DeploymentSucceeded, s.resume(t, false).Status)
			require.Equal(t, want, time.Since(begun))
		})
	}
}

// An alarm in the middle of a shift.
func TestDeploy_Alarm(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s := kinds[kind](t)
		before := s.serving()
		ring := &bell{}
		s.deploy.Watch, s.deploy.Rollback = rollback.Watch{Alarms: []rollback.Alarm{ring}, Every: time.Second}, rollback.Policy{OnAlarm: true}
		time.AfterFunc(100*time.Second, func() { ring.on.Store(true) })
		res := s.run(t)
		require.Equal(t, lifecycle.AlarmActive, res.Failure.Code)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, before, s.serving())
	})
}

type bell struct{ on atomic.Bool }

func (b *bell) Name() string { return "bell" }

func (b *bell) State(context.Context) (rollback.AlarmState, error) {
	if b.on.Load() {
		return rollback.AlarmFiring, nil
	}
	return rollback.AlarmOK, nil
}

// What was left of a deployment whose rollback failed is not deployed over.
func TestService_Promote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kinds["ECS"](t)
		service := s.surface.(*fake.Service)
		lastly(s, fake.Fail(lifecycle.HookFailed))
		s.On(fake.Match{Unit: "web-2"}, fake.Fail(lifecycle.TargetFailed))
		require.Equal(t, strategy.DeploymentFailed, s.run(t).Rollback.Status)
		require.Equal(t, []string{"web-2", "web-3"}, service.TaskSets())

		s.release(t, "d-3", "three")
		_, err := s.deploy.Run(t.Context())
		require.ErrorContains(t, err, "the original web-2 has 0 % of the traffic, not all of it (found: web-3 100 %)")
		service.Promote()
		require.Equal(t, []string{"web-3"}, service.TaskSets())
		s.release(t, "d-4", "four")
		require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Status)
		require.Equal(t, []string{"web-4"}, service.TaskSets())
		require.Equal(t, "web-4", service.TestTraffic())
		require.NotEmpty(t, service.Revision("web-4"))
	})
}

// Targets say by themselves whether there is a test listener, and whether scripts
// run for a blue/green deployment.
func TestDeploy_TestRouteAndBlueGreen(t *testing.T) {
	for _, routed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			service := fake.NewService("web")
			if !routed {
				service.WithoutTestRoute()
			}
			seen := &jobs{Service: service}
			s := begin(t, &scene{surface: seen, weights: service.Weights, history: service.History, whole: true, next: func(*testing.T, string) {}}, strategy.ECS{})
			lastly(s, fake.Fail(lifecycle.HookFailed))
			require.Equal(t, strategy.DeploymentSucceeded, s.run(t).Rollback.Status)
			tested := 0
			for _, step := range service.Done() {
				if step.Event == lifecycle.AllowTestTraffic {
					tested++
				}
			}
			require.Equal(t, routed, tested == 2)
			require.True(t, seen.blueGreen.Load(), "jobs are told that this is blue/green")
			require.True(t, seen.back.Load())
		})
	}
}

// jobs looks at the jobs of a service.
type jobs struct {
	*fake.Service
	blueGreen, back atomic.Bool
}

func (j *jobs) Perform(ctx context.Context, t target.Task) error {
	j.blueGreen.Store(t.Job.BlueGreen)
	j.back.Store(t.Job.Rollback)
	return j.Service.Perform(ctx, t)
}
