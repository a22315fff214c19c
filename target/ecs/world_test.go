package ecs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
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
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
)

// world is a service of two tasks that serves from the target group web-blue, with a
// production and a test listener, and auto scaling.
type world struct {
	testing.TB
	api     *awsfake.API // nil: an emulator
	fake    *ecsfake.ECS
	elbfake *elbfake.ELB
	ecs     *ecssdk.Client
	elb     *elbsdk.Client
	scaling *scaling.Client

	subnets          []string // of the load balancer: an emulator wants some
	vpc              *string
	protocol         elbtypes.ProtocolEnum // of the listeners
	lb, blue, green  string
	production, test string
	first            string // ARN of the task set that serves
	dir              string // of the revision
	hooks            *hooks
	log              journal.Memory
}

// newWorld makes the world in memory. It must be in a bubble.
func newWorld(t testing.TB) *world {
	t.Helper()
	api := &awsfake.API{}
	w := &world{TB: t, api: api, elbfake: elbfake.New(api), subnets: []string{"subnet-1"}, protocol: elbtypes.ProtocolEnumHttps}
	w.fake = ecsfake.New(api, w.elbfake)
	w.build(api.Config())
	time.Sleep(time.Minute) // until it serves
	return w
}

// build makes the service through the API, as an operator would.
func (w *world) build(cfg aws.Config) {
	w.Helper()
	ctx := w.Context()
	w.ecs, w.elb, w.scaling = ecssdk.NewFromConfig(cfg), elbsdk.NewFromConfig(cfg), scaling.NewFromConfig(cfg)
	w.hooks = &hooks{}
	w.dir = w.revision("web:2", "")
	lb, err := w.elb.CreateLoadBalancer(ctx, &elbsdk.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: w.subnets})
	require.NoError(w, err)
	w.lb = *lb.LoadBalancers[0].LoadBalancerArn
	w.blue, w.green = w.group("web-blue"), w.group("web-green")
	w.production = w.listener(443, w.blue)
	w.test = w.listener(8443, w.blue)

	_, err = w.ecs.CreateCluster(ctx, &ecssdk.CreateClusterInput{ClusterName: aws.String("main")})
	require.NoError(w, err)
	for range 3 {
		_, err = w.ecs.RegisterTaskDefinition(ctx, &ecssdk.RegisterTaskDefinitionInput{Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc,
			Cpu: aws.String("256"), Memory: aws.String("512"),
			ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app"), Cpu: 256, Memory: aws.Int32(512),
				PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}}}}})
		require.NoError(w, err)
	}
	_, err = w.ecs.CreateService(ctx, &ecssdk.CreateServiceInput{Cluster: aws.String("main"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(2),
		DeploymentController: &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeExternal}})
	require.NoError(w, err)
	set, err := w.ecs.CreateTaskSet(ctx, &ecssdk.CreateTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskDefinition: aws.String("web:1"),
		ExternalId: aws.String("first"), Scale: &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: 100}, LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: w.subnets, SecurityGroups: []string{"sg-1"}}},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &w.blue, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}})
	require.NoError(w, err)
	w.first = *set.TaskSet.TaskSetArn
	_, err = w.ecs.UpdateServicePrimaryTaskSet(ctx, &ecssdk.UpdateServicePrimaryTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), PrimaryTaskSet: &w.first})
	require.NoError(w, err)
	_, err = w.scaling.RegisterScalableTarget(ctx, &scaling.RegisterScalableTargetInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ResourceId: aws.String("service/main/web"),
		ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, MinCapacity: aws.Int32(1), MaxCapacity: aws.Int32(10)})
	require.NoError(w, err)
}

func (w *world) group(name string) string {
	w.Helper()
	g, err := w.elb.CreateTargetGroup(w.Context(), &elbsdk.CreateTargetGroupInput{Name: &name, Port: aws.Int32(8080), Protocol: elbtypes.ProtocolEnumHttp, TargetType: elbtypes.TargetTypeEnumIp, VpcId: w.vpc,
		HealthCheckIntervalSeconds: aws.Int32(10)})
	require.NoError(w, err)
	return *g.TargetGroups[0].TargetGroupArn
}

func (w *world) listener(port int32, group string) string {
	w.Helper()
	l, err := w.elb.CreateListener(w.Context(), &elbsdk.CreateListenerInput{LoadBalancerArn: &w.lb, Port: &port, Protocol: w.protocol,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group}}})
	require.NoError(w, err)
	return *l.Listeners[0].ListenerArn
}

// revision is a directory with an AppSpec.
func (w *world) revision(definition, functions string) string {
	w.Helper()
	dir := w.TempDir()
	text := "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: " + definition +
		"\n        LoadBalancerInfo: {ContainerName: app, ContainerPort: 8080}\n" + functions
	require.NoError(w, os.WriteFile(filepath.Join(dir, "appspec.yaml"), []byte(text), 0o600))
	return dir
}

const allHooks = "Hooks:\n  - BeforeInstall: check\n  - AfterInstall: check\n  - AfterAllowTestTraffic: check\n  - BeforeAllowTraffic: check\n  - AfterAllowTraffic: check\n"

// hooks stand in for functions.
type hooks struct {
	mu   sync.Mutex
	runs []string
	fail lifecycle.Event
	slow time.Duration
}

func (h *hooks) Run(ctx context.Context, t target.Task, function string) error {
	h.mu.Lock()
	h.runs = append(h.runs, string(t.Step.Event)+" "+function)
	h.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(h.slow):
	}
	if t.Step.Event == h.fail {
		return &lifecycle.Error{Step: t.Step, Failure: lifecycle.Failure{Code: lifecycle.HookFailed, Message: function + " said Failed"}}
	}
	return nil
}

func (w *world) service() *ecs.Service {
	return &ecs.Service{ECS: w.ecs, ELB: w.elb, Scaling: w.scaling, Cluster: "main", Name: "web", TargetGroups: [2]string{w.blue, w.green},
		Production: ecs.Route{w.production}, Test: ecs.Route{w.test}, Hooks: w.hooks}
}

// deployment deploys the world's revision with a strategy.
func (w *world) deployment(id string, s strategy.Strategy) *cutover.Deployment {
	return &cutover.Deployment{Group: "web", ID: id, Target: w.service(), Strategy: s, Revision: revision.Dir(w.dir), Journal: &w.log,
		Rollback: rollback.Policy{OnFailure: true, OnAlarm: true}, WorkDir: w.TempDir()}
}

// weights reads a listener back through the plain SDK, by name of the target group.
func (w *world) weights(listener string) map[string]int32 {
	w.Helper()
	out, err := w.elb.DescribeListeners(w.Context(), &elbsdk.DescribeListenersInput{ListenerArns: []string{listener}})
	require.NoError(w, err)
	got := map[string]int32{}
	for _, a := range out.Listeners[0].DefaultActions {
		if a.ForwardConfig == nil {
			got[w.name(*a.TargetGroupArn)] = 1
			continue
		}
		for _, g := range a.ForwardConfig.TargetGroups {
			got[w.name(*g.TargetGroupArn)] = *g.Weight
		}
	}
	return got
}

func (w *world) name(group string) string {
	return map[string]string{w.blue: "web-blue", w.green: "web-green"}[group]
}

// sets reads the task sets back through the plain SDK: external id, status and task
// definition.
func (w *world) sets() []string {
	w.Helper()
	out, err := w.ecs.DescribeServices(w.Context(), &ecssdk.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}})
	require.NoError(w, err)
	got := []string{}
	for _, s := range out.Services[0].TaskSets {
		got = append(got, fmt.Sprintf("%s %s %s", *s.ExternalId, *s.Status, (*s.TaskDefinition)[len(*s.TaskDefinition)-5:]))
	}
	return got
}

// suspendedNow says whether anything of the auto scaling is suspended.
func (w *world) suspendedNow() bool {
	w.Helper()
	out, err := w.scaling.DescribeScalableTargets(w.Context(), &scaling.DescribeScalableTargetsInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs})
	require.NoError(w, err)
	s := out.ScalableTargets[0].SuspendedState
	return aws.ToBool(s.DynamicScalingInSuspended) || aws.ToBool(s.DynamicScalingOutSuspended) || aws.ToBool(s.ScheduledScalingSuspended)
}

func codeOf(err error) lifecycle.Code {
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return e.Code
	}
	return ""
}

// hosts is a target group of another type.
func (w *world) hosts() string {
	w.Helper()
	g, err := w.elb.CreateTargetGroup(w.Context(), &elbsdk.CreateTargetGroupInput{Name: aws.String("hosts"), Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp})
	require.NoError(w, err)
	return *g.TargetGroups[0].TargetGroupArn
}

// defaultRule is the default rule of the production listener.
func (w *world) defaultRule() string {
	w.Helper()
	out, err := w.elb.DescribeRules(w.Context(), &elbsdk.DescribeRulesInput{ListenerArn: &w.production})
	require.NoError(w, err)
	return *out.Rules[len(out.Rules)-1].RuleArn
}

// stale is a task set that another deployment has left.
func (w *world) stale(id string) string {
	w.Helper()
	set, err := w.ecs.CreateTaskSet(w.Context(), &ecssdk.CreateTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskDefinition: aws.String("web:2"), ExternalId: &id,
		Scale:                &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: 100},
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: w.subnets}},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &w.green, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}})
	require.NoError(w, err)
	return *set.TaskSet.TaskSetArn
}

// another is a service of another controller.
func (w *world) another(c ecstypes.DeploymentControllerType) string {
	w.Helper()
	_, err := w.ecs.CreateService(w.Context(), &ecssdk.CreateServiceInput{Cluster: aws.String("main"), ServiceName: aws.String("other"), DesiredCount: aws.Int32(1), TaskDefinition: aws.String("web:1"),
		DeploymentController: &ecstypes.DeploymentController{Type: c},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &w.blue, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}})
	require.NoError(w, err)
	return "other"
}

func (w *world) source(definition, functions string) revision.Source {
	return revision.Dir(w.revision(definition, functions))
}

// bundle is an opened revision.
func (w *world) bundle(definition string, port int) *revision.Bundle {
	w.Helper()
	dir := w.revision(definition, "")
	text, err := os.ReadFile(filepath.Join(dir, "appspec.yaml"))
	require.NoError(w, err)
	require.NoError(w, os.WriteFile(filepath.Join(dir, "appspec.yaml"), []byte(strings.Replace(string(text), "8080", fmt.Sprint(port), 1)), 0o600))
	b, err := revision.Dir(dir).Open(w.Context(), w.TempDir())
	require.NoError(w, err)
	return b
}
