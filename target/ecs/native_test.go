package ecs_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	ecsfake "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	elbfake "github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// nativeWorld is a service of two tasks of the ECS controller, behind a production and a test
// rule.
func nativeWorld(t testing.TB) *world {
	t.Helper()
	api := &awsfake.API{}
	w := &world{TB: t, api: api, elbfake: elbfake.New(api), subnets: []string{"subnet-1"}, protocol: elbtypes.ProtocolEnumHttp}
	w.fake = ecsfake.New(api, w.elbfake)
	ctx, cfg := t.Context(), api.Config()
	w.ecs, w.elb = ecssdk.NewFromConfig(cfg), elbsdk.NewFromConfig(cfg)
	w.dir = w.revision("web:2", "")
	lb, err := w.elb.CreateLoadBalancer(ctx, &elbsdk.CreateLoadBalancerInput{Name: aws.String("web")})
	require.NoError(t, err)
	w.lb = *lb.LoadBalancers[0].LoadBalancerArn
	w.blue, w.green = w.group("web-blue"), w.group("web-green")
	w.production, w.test = w.rule(80), w.rule(8080)
	_, err = w.ecs.CreateCluster(ctx, &ecssdk.CreateClusterInput{ClusterName: aws.String("main")})
	require.NoError(t, err)
	for range 2 {
		_, err = w.ecs.RegisterTaskDefinition(ctx, &ecssdk.RegisterTaskDefinitionInput{Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc,
			ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app"), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}}}}})
		require.NoError(t, err)
	}
	_, err = w.ecs.CreateService(ctx, &ecssdk.CreateServiceInput{Cluster: aws.String("main"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(2), TaskDefinition: aws.String("web:1"),
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &w.blue, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}})
	require.NoError(t, err)
	time.Sleep(time.Minute) // until it serves
	return w
}

func (w *world) rule(port int32) string {
	w.Helper()
	l := w.listener(port, w.blue)
	r, err := w.elb.CreateRule(w.Context(), &elbsdk.CreateRuleInput{ListenerArn: &l, Priority: aws.Int32(1), Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/*"}}},
		Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
			{TargetGroupArn: &w.blue, Weight: aws.Int32(1)}, {TargetGroupArn: &w.green, Weight: aws.Int32(0)}}}}}})
	require.NoError(w, err)
	return *r.Rules[0].RuleArn
}

func (w *world) native(shift strategy.Shift) *ecs.Native {
	return &ecs.Native{ECS: w.ecs, Cluster: "main", Name: "web", Shift: shift, Group: appspec.Group{
		TargetGroups: [2]string{w.blue, w.green}, Listener: w.production, TestListener: w.test, Role: "arn:aws:iam::123456789012:role/ecs-blue-green", Bake: 30 * time.Minute}}
}

func (w *world) nativeDeployment(n *ecs.Native) *cutover.Deployment {
	d := w.deployment("d-2", n.Strategy())
	d.Target = n
	return d
}

// state is the service as the plain SDK tells it: task definition, weight of green in the
// production rule, and the states of all service deployments, newest first.
func (w *world) state() string {
	w.Helper()
	svc, err := w.ecs.DescribeServices(w.Context(), &ecssdk.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}})
	require.NoError(w, err)
	rules, err := w.elb.DescribeRules(w.Context(), &elbsdk.DescribeRulesInput{RuleArns: []string{w.production}})
	require.NoError(w, err)
	list, err := w.ecs.ListServiceDeployments(w.Context(), &ecssdk.ListServiceDeploymentsInput{Cluster: aws.String("main"), Service: aws.String("web")})
	require.NoError(w, err)
	parts := []string{strings.Split(*svc.Services[0].TaskDefinition, "/")[1], fmt.Sprint(svc.Services[0].RunningCount)}
	for _, g := range rules.Rules[0].Actions[0].ForwardConfig.TargetGroups {
		parts = append(parts, fmt.Sprintf("%s=%d", w.name(*g.TargetGroupArn), *g.Weight))
	}
	for _, d := range list.ServiceDeployments {
		parts = append(parts, string(d.Status))
	}
	return strings.Join(parts, " ")
}

func TestNative(t *testing.T) {
	stopAt := func(at lifecycle.Weight) func(*cutover.Deployment, lifecycle.Record) {
		return func(d *cutover.Deployment, rec lifecycle.Record) {
			if weighed(rec, at) {
				go func() {
					_ = d.Stop(context.Background(), cutover.StopOptions{Reason: "a person has seen enough", Rollback: true})
				}() // it may have ended
			}
		}
	}
	const replaced, served = "web:2 2 web-blue=0 web-green=100 SUCCESSFUL", "web:1 2 web-blue=100 web-green=0 ROLLBACK_SUCCESSFUL"
	for name, tc := range map[string]struct {
		shift  strategy.Shift
		set    func(*world, *ecs.Native, *cutover.Deployment)
		seen   func(*cutover.Deployment, lifecycle.Record)
		status strategy.Verdict
		state  string
	}{
		"blue/green": {status: strategy.DeploymentSucceeded, state: replaced},
		"rolling": {status: strategy.DeploymentSucceeded, state: "web:2 2 web-blue=1 web-green=0 SUCCESSFUL", set: func(_ *world, n *ecs.Native, d *cutover.Deployment) {
			n.Rolling, n.Group = true, appspec.Group{}
			d.Strategy = n.Strategy()
		}},
		"canary": {shift: strategy.Canary(10, 5*time.Minute), status: strategy.DeploymentSucceeded, state: replaced},
		"linear": {shift: strategy.Linear(10, time.Minute), status: strategy.DeploymentSucceeded, state: replaced},
		"approved": {status: strategy.DeploymentSucceeded, state: replaced, set: func(_ *world, n *ecs.Native, d *cutover.Deployment) {
			n.Group.Approval = time.Hour
			d.Strategy = n.Strategy()
			time.AfterFunc(20*time.Minute, func() { _ = d.Continue(context.Background(), "looks good") })
		}},
		"not approved": {status: strategy.DeploymentStopped, state: "web:1 2 web-blue=1 web-green=0 ROLLBACK_SUCCESSFUL", set: func(_ *world, n *ecs.Native, d *cutover.Deployment) {
			n.Group.Approval = time.Hour
			d.Strategy, d.Rollback.OnStop = n.Strategy(), true
		}},
		"crash loop": {status: strategy.DeploymentFailed, state: "web:1 2 web-blue=1 web-green=0 ROLLBACK_SUCCESSFUL", set: func(w *world, _ *ecs.Native, _ *cutover.Deployment) {
			w.fake.Behave("web:2", ecsfake.Behaviour{Crash: time.Second})
		}},
		"failing function": {status: strategy.DeploymentFailed, state: served, set: func(w *world, _ *ecs.Native, d *cutover.Deployment) {
			d.Revision = revision.Dir(w.revision("web:2", strings.ReplaceAll(allHooks, ": check", ": arn:aws:lambda:eu-central-1:123456789012:function:check")))
			w.fake.Hook(ecstypes.DeploymentLifecycleHookStagePostProductionTrafficShift, false)
		}},
		"stopped": {shift: strategy.Canary(10, time.Hour), status: strategy.DeploymentStopped, state: served, seen: stopAt(10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := nativeWorld(t)
				n := w.native(tc.shift)
				d := w.nativeDeployment(n)
				if tc.set != nil {
					tc.set(w, n, d)
				}
				d.Observe = func(r lifecycle.Record) {
					if tc.seen != nil {
						tc.seen(d, r)
					}
				}
				before := w.api.Counts()
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, tc.status, res.Status, "%v", res.Err())
				if res.Rollback != nil {
					require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
				}
				require.Equal(t, tc.state, w.state())
				total, by := calls(before, w.api.Counts())
				t.Log(total, by, res.Err())
			})
		})
	}
}

// The suite in virtual time, where steps take as long as they take on ECS.
// What a rolling deployment would leave out is refused, not left out.
func TestNativeRollingHasNoStages(t *testing.T) {
	in := func(t *testing.T, set func(*world, *ecs.Native, *cutover.Deployment)) (w *world, err error) {
		w = nativeWorld(t)
		n := w.native(strategy.Shift{})
		n.Rolling, n.Group = true, appspec.Group{}
		d := w.nativeDeployment(n)
		set(w, n, d)
		_, err = d.Run(t.Context())
		return w, err
	}
	synctest.Test(t, func(t *testing.T) {
		w, err := in(t, func(w *world, _ *ecs.Native, d *cutover.Deployment) {
			d.Revision = w.source("web:2", fmt.Sprintf(twoHooks, "arn:aws:lambda:eu-central-1:123456789012:function:check"))
		})
		w.failed(err, lifecycle.AppSpecInvalid, "BeforeAllowTraffic", "rolling")
		require.Equal(t, "web:1 2 web-blue=1 web-green=0", w.state(), "nothing was touched")
	})
	synctest.Test(t, func(t *testing.T) {
		w, err := in(t, func(_ *world, n *ecs.Native, _ *cutover.Deployment) { n.Group.Approval = time.Hour })
		w.failed(err, lifecycle.TargetFailed, "Group.Approval")
	})
}

func TestNativeConformance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, targettest.Check(t.Context(), func() (*targettest.Harness, error) {
			w := nativeWorld(t)
			n := w.native(strategy.Canary(10, 5*time.Minute))
			job := &target.Job{Group: "web", Bundle: w.bundle("web:2", 8080)}
			snap, err := n.Snapshot(t.Context(), job)
			job.Before = &snap
			return &targettest.Harness{Target: n, Job: job, Patience: 24 * time.Hour, Reopen: func() (target.Target, error) { return w.native(n.Shift), nil },
				Walk: func(u lifecycle.Unit) []lifecycle.Event {
					if u.Role == lifecycle.OriginalRole {
						return []lifecycle.Event{lifecycle.BeforeAllowTraffic}
					}
					return append(lifecycle.ECSReplacement.Events(), lifecycle.Retire)
				}}, err
		}))
	})
}

// The controller dies at every write; ECS is told to deploy once.
func TestNativeKilledAtEveryWrite(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for n, more := 1, true; more; n++ {
			t.Run(fmt.Sprintf("%s write %d", when, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := nativeWorld(t)
					native := w.native(strategy.Canary(10, 5*time.Minute))
					writes := 0
					die := func([]lifecycle.Record) error {
						if writes++; writes == n {
							return errCrash
						}
						return nil
					}
					tap := &journaltest.Tap{Journal: &w.log}
					if when == "before" {
						tap.Before = die
					} else {
						tap.After = die
					}
					d := w.nativeDeployment(native)
					d.Journal = tap
					res, err := d.Run(t.Context())
					if more = errors.Is(err, errCrash); more {
						time.Sleep(3 * time.Minute)
						again := w.nativeDeployment(w.native(strategy.Canary(10, 5*time.Minute)))
						res, err = resumed(t.Context(), again)
					}
					require.NoError(t, err)
					require.NoError(t, res.Err())
					require.Equal(t, "web:2 2 web-blue=0 web-green=100 SUCCESSFUL", w.state())
				})
			})
		}
	}
}

// One fault at every call: ECS deploys once, or goes back.
func TestNativeSingleFaults(t *testing.T) {
	ends := map[string]int{}
	for _, fault := range awsfake.Faults() {
		for n, more := 0, true; more; n += killtest.Every(1, 7) {
			t.Run(fmt.Sprintf("%s %d", fault, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := nativeWorld(t)
					first := len(w.api.Calls())
					w.api.Inject(awsfake.At(first+n, fault))
					d := w.nativeDeployment(w.native(strategy.Canary(10, 5*time.Minute)))
					res, err := d.Run(t.Context())
					more = len(w.api.Calls()) > first+n
					w.api.Inject(nil)
					time.Sleep(2 * time.Hour) // what ECS does goes on, whoever looks
					state := w.state()
					switch {
					case err != nil:
						clear(t, err)
						require.Equal(t, "web:1 2 web-blue=1 web-green=0", state)
					case res.Status == strategy.DeploymentSucceeded:
						require.Equal(t, "web:2 2 web-blue=0 web-green=100 SUCCESSFUL", state)
					default:
						clear(t, res.Err())
						require.NotContains(t, state, "IN_PROGRESS")
					}
					ends[fmt.Sprint(string(fault), ": ", err != nil, " ", state)]++
				})
			})
		}
	}
	t.Log(ends)
}
