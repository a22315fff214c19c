package ecs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecssdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbsdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	ecsfake "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	elbfake "github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
)

// in runs f in a world in a bubble.
func in(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

// lead sets the weights of a listener, as somebody else would.
func (w *world) lead(listener string, blue, green int32) {
	w.Helper()
	_, err := w.elb.ModifyListener(w.Context(), &elbsdk.ModifyListenerInput{ListenerArn: &listener, DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward,
		ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: &w.blue, Weight: &blue}, {TargetGroupArn: &w.green, Weight: &green}}}}}})
	require.NoError(w, err)
}

func (w *world) refused(d *cutover.Deployment, code lifecycle.Code, says ...string) {
	w.Helper()
	_, err := d.Run(w.Context())
	w.failed(err, code, says...)
	require.Equal(w, served, w.sets(), "nothing was touched")
}

func (w *world) failed(err error, code lifecycle.Code, says ...string) {
	w.Helper()
	require.Error(w, err)
	require.Equal(w, code, codeOf(err), "%v", err)
	for _, s := range says {
		require.ErrorContains(w, err, s)
	}
}

// when runs f once, when a record fits.
func when(d *cutover.Deployment, fits func(lifecycle.Record) bool, f func()) {
	done := false
	d.Observe = func(r lifecycle.Record) {
		if !done && fits(r) {
			done = true
			f()
		}
	}
}

var canary = strategy.ECS{Shift: strategy.Canary(10, 10*time.Minute)}

func noteOf(code lifecycle.Code) func(lifecycle.Record) bool {
	return func(r lifecycle.Record) bool {
		return r.Kind == lifecycle.Noted && strings.Contains(string(r.Data), string(code))
	}
}

// A write that takes effect late is waited for, and reads that flap do not count.
func TestG1_WeightNotYetEffective(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		stale := 0
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "DescribeListeners" && stale < 12 {
				if last := w.elbfake.Changes(); last[len(last)-1].Weights[w.green] == 10 {
					if stale++; stale%3 != 0 {
						return awsfake.StaleRead
					}
				}
			}
			return awsfake.NoFault
		})
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, 12, stale)
		w.whole()
	})
}

// Ten calls in a row are refused for too many requests: the deployment gets through, with the
// weights that it should have.
func TestG2_ThrottledWhileShifting(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		left := 10
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "ModifyListener" && left > 0 {
				left--
				return awsfake.Throttle
			}
			return awsfake.NoFault
		})
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Zero(t, left)
		w.whole()
	})
}

// Somebody moves traffic between two steps. The deployment holds and says who expected what;
// it goes on when that is put back, or does as it is told.
func TestG3_ForeignChange(t *testing.T) {
	for foreign, green := range map[target.Foreign]int32{target.HoldForeign: 100, target.StopForeign: 0, target.AdoptForeign: 100, target.OverwriteForeign: 100} {
		t.Run("policy "+string(foreign), func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				d := w.deployment("d-2", strategy.ECS{Shift: strategy.Linear(30, 10*time.Minute)})
				d.OnForeignChange = foreign
				var said []string
				moved, back := false, false
				d.Observe = func(r lifecycle.Record) {
					if noteOf(lifecycle.ExternalChange)(r) || r.Failure != nil {
						said = append(said, string(r.Data)+fmt.Sprint(r.Failure))
						if moved && !back && foreign == target.HoldForeign {
							back = true
							time.AfterFunc(5*time.Minute, func() { w.lead(w.production, 70, 30) })
						}
					}
					if weighed(r, 30) && !moved {
						moved = true
						time.AfterFunc(time.Minute, func() { w.lead(w.production, 20, 80) })
					}
				}
				began := time.Now()
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, said)
				require.Contains(t, said[0], "80 %")
				require.Contains(t, said[0], "30 %")
				if green == 0 {
					require.Equal(t, strategy.DeploymentFailed, res.Status)
					require.Equal(t, map[string]int32{"web-blue": 1}, w.weights(w.production))
					return
				}
				require.NoError(t, res.Err())
				require.Equal(t, green, w.weights(w.production)["web-green"])
				if foreign == target.HoldForeign {
					require.Greater(t, time.Since(began), 35*time.Minute, "it was held for five minutes")
				}
				if foreign == target.AdoptForeign {
					shares := []int32{}
					for _, c := range w.elbfake.Changes() {
						if c.Arn == w.production && c.Weights[w.green] > 0 {
							shares = append(shares, c.Weights[w.green])
						}
					}
					require.Equal(t, []int32{30, 80, 90, 100}, shares, "a share that is larger already stays")
				}
			})
		})
	}
}

// Traffic that is not with the primary task set, and a target group where nobody is healthy,
// are found before anything is touched.
func TestG4_WeightsWrongAtStart(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.lead(w.production, 90, 10)
		w.refused(w.deployment("d-2", canary), lifecycle.StrategyInvalid, "web-blue has 90 %")
	})
	in(t, func(t *testing.T, w *world) {
		w.elbfake.SetHealth(w.blue, "", elbfake.Failing)
		time.Sleep(time.Minute)
		w.refused(w.deployment("d-2", canary), lifecycle.TrafficUnhealthy, "web-blue", "Target.ResponseCodeMismatch", "503")
	})
}

// The new side loses its health before its weight rises: the step waits, and then gives up.
func TestG5_NoHealthyTargets(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() { w.elbfake.SetHealth(w.green, "", elbfake.Failing) })
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, lifecycle.TrafficUnhealthy, res.Units[1].Failure.Code)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, map[string]int32{"web-blue": 1}, w.weights(w.production))
		w.whole()
	})
	in(t, func(t *testing.T, w *world) { // and one that recovers goes on
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			w.elbfake.SetHealth(w.green, "", elbfake.Failing)
			time.AfterFunc(12*time.Minute, func() { w.elbfake.SetHealth(w.green, "", elbfake.Check{}) })
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
	})
}

// Health checks that never pass end with the target group and the reason, not with silence.
func TestG9_NeverHealthy(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.elbfake.SetHealth(w.green, "", elbfake.Failing)
		d := w.deployment("d-2", canary)
		began := time.Now()
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, lifecycle.TimedOut, res.Units[1].Failure.Code)
		require.Contains(t, res.Units[1].Failure.Message, "web-green: 0 healthy, 2 unhealthy (Target.ResponseCodeMismatch: Health checks failed with these codes: [503])")
		require.Greater(t, time.Since(began), time.Hour)
		require.Equal(t, served, w.sets())
	})
}

// The reply to CreateTaskSet is lost again and again: there is one task set.
func TestG10_TaskSetMadeOnce(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		lost := 0
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "CreateTaskSet" && lost < 5 {
				lost++
				return awsfake.LostReply
			}
			return awsfake.NoFault
		})
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, 5, lost)
		require.Equal(t, []string{"first", "d-2"}, w.fake.Made())
	})
}

// Tasks that do not stay up are found by their stop reasons, long before the deadline.
func TestG12_CrashLoop(t *testing.T) {
	for says, b := range map[string]ecsfake.Behaviour{
		"EssentialContainerExited":          {Crash: 5 * time.Second},
		"CannotPullContainerError: no such": {FailToStart: "CannotPullContainerError: no such image"},
		"failed container health checks":    {Crash: 10 * time.Second, Reason: "Task failed container health checks"},
	} {
		t.Run(says, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.fake.Behave("web:2", b)
				began := time.Now()
				res, err := w.deployment("d-2", canary).Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, strategy.DeploymentFailed, res.Status)
				require.Contains(t, res.Units[1].Failure.Message, says)
				require.Contains(t, res.Units[1].Failure.Message, "do not stay up")
				require.Less(t, time.Since(began), 15*time.Minute)
				require.Equal(t, served, w.sets())
			})
		})
	}
}

// probed are hooks that can say beforehand which function could not be called.
type probed struct {
	*hooks
	missing string
	asked   []string
}

func (p *probed) Check(_ context.Context, functions ...string) error {
	p.asked = append(p.asked, functions...)
	if slices.Contains(functions, p.missing) {
		return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.AppSpecInvalid, Message: "there is no function " + p.missing}}
	}
	return nil
}

// Functions that could not be called are found before anything is touched.
func TestG13_FunctionsThatAreMissing(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		p := &probed{hooks: w.hooks, missing: "check"}
		s := w.service()
		s.Hooks = p
		d := w.deployment("d-2", canary)
		d.Target, d.Revision = s, w.source("web:2", allHooks)
		w.refused(d, lifecycle.AppSpecInvalid, "no function check")
		require.Empty(t, p.runs)
		p.missing, p.asked = "", nil
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, []string{"check"}, p.asked, "each once")
	})
}

// A service that cannot be deployed to is refused with what was found, and what to do.
func TestG13_Preconditions(t *testing.T) {
	name := aws.String("web")
	for says, tc := range map[string]struct {
		code lifecycle.Code
		do   func(*world, *ecs.Service)
	}{
		"has no service web2":               {lifecycle.UnitLost, func(_ *world, s *ecs.Service) { s.Name = "web2" }},
		"Service.TargetGroups has":          {lifecycle.TargetFailed, func(w *world, s *ecs.Service) { s.TargetGroups[0] = w.group("other") }},
		"cannot stand in for one":           {lifecycle.TargetFailed, func(w *world, s *ecs.Service) { s.TargetGroups[1] = w.hosts() }},
		"has been deleted":                  {lifecycle.UnitLost, func(_ *world, s *ecs.Service) { s.Production = ecs.Route{s.Production[0] + "9"} }},
		"takes ARNs of listeners":           {lifecycle.TargetFailed, func(_ *world, s *ecs.Service) { s.Test = ecs.Route{"web"} }},
		"and nowhere else":                  {lifecycle.TargetFailed, func(w *world, s *ecs.Service) { s.Production = ecs.Route{w.listener(444, w.group("third"))} }},
		"default rule of its listene":       {lifecycle.TargetFailed, func(w *world, s *ecs.Service) { s.Production = ecs.Route{w.defaultRule()} }},
		"desired count 0":                   {lifecycle.TargetFailed, func(w *world, _ *ecs.Service) { require.NoError(w, w.fake.Desired("main", "web", 0)) }},
		"which another deployment has left": {lifecycle.UnitBusy, func(w *world, _ *ecs.Service) { w.stale("d-1") }},
		"belong to no task set": {lifecycle.UnitBusy, func(w *world, _ *ecs.Service) {
			require.NoError(w, w.elbfake.Register(w.green, elbtypes.TargetDescription{Id: aws.String("10.9.9.9")}))
		}},
		"no primary task set": {lifecycle.TargetFailed, func(w *world, _ *ecs.Service) {
			_, err := w.ecs.DeleteTaskSet(w.Context(), &ecssdk.DeleteTaskSetInput{Cluster: aws.String("main"), Service: name, TaskSet: &w.first, Force: aws.Bool(true)})
			require.NoError(w, err)
		}},
		"use Native":    {lifecycle.Unsupported, func(w *world, s *ecs.Service) { s.Name = w.another(ecstypes.DeploymentControllerTypeEcs) }},
		"TryCodeDeploy": {lifecycle.Unsupported, func(w *world, s *ecs.Service) { s.Name = w.another(ecstypes.DeploymentControllerTypeCodeDeploy) }},
	} {
		t.Run(says, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				s := w.service()
				tc.do(w, s)
				bundle := w.bundle("web:2", 8080)
				_, err := s.Snapshot(t.Context(), &target.Job{Bundle: bundle})
				w.failed(err, tc.code, says)
			})
		})
	}
	for says, bundle := range map[string]struct {
		definition string
		port       int
	}{"does not exist": {"web:9", 8080}, "has no port 80,": {"web:2", 80}} {
		in(t, func(t *testing.T, w *world) {
			_, err := w.service().Snapshot(t.Context(), &target.Job{Bundle: w.bundle(bundle.definition, bundle.port)})
			w.failed(err, lifecycle.RevisionInvalid, says)
		})
	}
}

// Auto scaling changes the desired count in the middle: the new task set follows, and nothing
// goes back to an old number.
func TestG14_DesiredCountChanges(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			changed, err := w.fake.Scale("main", "web", 5)
			require.NoError(t, err)
			require.False(t, changed, "it is suspended")
			require.NoError(t, w.fake.Desired("main", "web", 5)) // a person raises it
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		out, err := w.ecs.DescribeServices(t.Context(), &ecssdk.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}})
		require.NoError(t, err)
		require.Equal(t, int32(5), out.Services[0].DesiredCount)
		require.Equal(t, int32(5), out.Services[0].TaskSets[0].RunningCount)
		changed, err := w.fake.Scale("main", "web", 6)
		require.NoError(t, err)
		require.True(t, changed, "auto scaling goes on")
	})
}

// ECS calls a task set steady whose tasks are not registered: we do not.
func TestG15_SteadyButNotRegistered(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.fake.Behave("web:2", ecsfake.Behaviour{Unregistered: true})
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, lifecycle.TimedOut, res.Units[1].Failure.Code)
		require.Contains(t, res.Units[1].Failure.Message, "STEADY_STATE; target group web-green: 0 healthy")
	})
}

// The old task set cannot be deleted: the deployment has succeeded, and says what is left.
func TestG16_DeletionFails(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.api.Inject(awsfake.On("DeleteTaskSet", awsfake.AccessDenied))
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, lifecycle.Denied, res.Units[0].Failure.Code)
		require.Contains(t, res.Units[0].Failure.Message, "ecs:DeleteTaskSet")
		require.Equal(t, []string{"first ACTIVE web:1", "d-2 PRIMARY web:2"}, w.sets())
	})
}
