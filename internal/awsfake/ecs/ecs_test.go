package ecs_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbsdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
)

// world is a service of two tasks without task sets, and a target group behind a
// listener.
type world struct {
	*testing.T
	config aws.Config
	fake   *ecs.ECS
	elb    *elb.ELB
	c      *sdk.Client
	group  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	api := &awsfake.API{}
	w := &world{T: t, config: api.Config(), elb: elb.New(api)}
	w.fake = ecs.New(api, w.elb)
	w.c = sdk.NewFromConfig(w.config)
	lbs := elbsdk.NewFromConfig(w.config)
	lb, err := lbs.CreateLoadBalancer(t.Context(), &elbsdk.CreateLoadBalancerInput{Name: aws.String("web")})
	require.NoError(t, err)
	g, err := lbs.CreateTargetGroup(t.Context(), &elbsdk.CreateTargetGroupInput{Name: aws.String("blue"), Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, TargetType: elbtypes.TargetTypeEnumIp})
	require.NoError(t, err)
	w.group = *g.TargetGroups[0].TargetGroupArn
	_, err = lbs.CreateListener(t.Context(), &elbsdk.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.group}}})
	require.NoError(t, err)
	_, err = w.c.CreateCluster(t.Context(), &sdk.CreateClusterInput{ClusterName: aws.String("main")})
	require.NoError(t, err)
	_, err = w.c.RegisterTaskDefinition(t.Context(), &sdk.RegisterTaskDefinitionInput{Family: aws.String("web"), NetworkMode: types.NetworkModeAwsvpc,
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app:1"), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}}}}})
	require.NoError(t, err)
	_, err = w.c.CreateService(t.Context(), &sdk.CreateServiceInput{Cluster: aws.String("main"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(2),
		DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal}})
	require.NoError(t, err)
	return w
}

func (w *world) input(id string) *sdk.CreateTaskSetInput {
	return &sdk.CreateTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskDefinition: aws.String("web"), ExternalId: &id, ClientToken: &id,
		Scale:                &types.Scale{Unit: types.ScaleUnitPercent, Value: 100},
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		LoadBalancers:        []types.LoadBalancer{{TargetGroupArn: &w.group, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}}
}

func (w *world) create(id string) string {
	w.Helper()
	out, err := w.c.CreateTaskSet(w.Context(), w.input(id))
	require.NoError(w, err)
	return *out.TaskSet.TaskSetArn
}

func (w *world) sets() []types.TaskSet {
	w.Helper()
	out, err := w.c.DescribeServices(w.Context(), &sdk.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}})
	require.NoError(w, err)
	return out.Services[0].TaskSets
}

func TestTaskSetsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		one := w.create("d-1")
		require.Equal(t, one, w.create("d-1"), "the token makes it once")
		at := w.sets()[0]
		require.Equal(t, []int32{2, 2, 0}, []int32{at.ComputedDesiredCount, at.PendingCount, at.RunningCount})
		time.Sleep(21 * time.Second)
		at = w.sets()[0]
		require.Equal(t, int32(2), at.RunningCount)
		require.Equal(t, types.StabilityStatusStabilizing, at.StabilityStatus, "targets are not checked yet")
		time.Sleep(5 * time.Second)
		require.Equal(t, types.StabilityStatusSteadyState, w.sets()[0].StabilityStatus)
		require.Len(t, w.elb.Targets(w.group), 2)

		require.NoError(t, w.fake.Desired("main", "web", 3))
		require.Equal(t, int32(3), w.sets()[0].ComputedDesiredCount)
		_, err := w.c.DeleteTaskSet(t.Context(), &sdk.DeleteTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskSet: &one})
		require.ErrorContains(t, err, "Unable to delete")
		_, err = w.c.DeleteTaskSet(t.Context(), &sdk.DeleteTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskSet: &one, Force: aws.Bool(true)})
		require.NoError(t, err)
		require.Equal(t, "DRAINING", *w.sets()[0].Status)
		time.Sleep(time.Minute)
		require.Empty(t, w.sets())
	})
}

func TestPrimary(t *testing.T) {
	w := newWorld(t)
	one, two := w.create("d-1"), w.create("d-2")
	for _, set := range []string{one, two} {
		_, err := w.c.UpdateServicePrimaryTaskSet(t.Context(), &sdk.UpdateServicePrimaryTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), PrimaryTaskSet: &set})
		require.NoError(t, err)
	}
	require.Equal(t, "ACTIVE", *w.sets()[0].Status)
	require.Equal(t, "PRIMARY", *w.sets()[1].Status)
	_, err := w.c.UpdateServicePrimaryTaskSet(t.Context(), &sdk.UpdateServicePrimaryTaskSetInput{Cluster: aws.String("main"), Service: aws.String("web"), PrimaryTaskSet: aws.String("nobody")})
	require.ErrorContains(t, err, "not found")
}

func TestTasksCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fake.Behave("web:1", ecs.Behaviour{Crash: 15 * time.Second})
		w.create("d-1")
		time.Sleep(5 * time.Minute)
		list, err := w.c.ListTasks(t.Context(), &sdk.ListTasksInput{Cluster: aws.String("main"), ServiceName: aws.String("web"), DesiredStatus: types.DesiredStatusStopped, MaxResults: aws.Int32(3)})
		require.NoError(t, err)
		require.Len(t, list.TaskArns, 3)
		require.NotEmpty(t, list.NextToken)
		tasks, err := w.c.DescribeTasks(t.Context(), &sdk.DescribeTasksInput{Cluster: aws.String("main"), Tasks: append(list.TaskArns, "nobody")})
		require.NoError(t, err)
		require.Len(t, tasks.Failures, 1)
		require.Equal(t, types.TaskStopCodeEssentialContainerExited, tasks.Tasks[0].StopCode)
		require.Equal(t, w.sets()[0].Id, tasks.Tasks[0].StartedBy)
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for text, change := range map[string]func(*sdk.CreateTaskSetInput){
		"did not have a container port": func(in *sdk.CreateTaskSetInput) { in.LoadBalancers[0].ContainerPort = aws.Int32(1) },
		"Network Configuration":         func(in *sdk.CreateTaskSetInput) { in.NetworkConfiguration = nil },
		"TaskDefinition not found":      func(in *sdk.CreateTaskSetInput) { in.TaskDefinition = aws.String("web:9") },
		"maximum length of 36":          func(in *sdk.CreateTaskSetInput) { in.ClientToken = aws.String("0123456789012345678901234567890123456") },
		"Service not found":             func(in *sdk.CreateTaskSetInput) { in.Service = aws.String("other") },
	} {
		in := w.input("d-1")
		change(in)
		_, err := w.c.CreateTaskSet(t.Context(), in)
		require.ErrorContains(t, err, text)
	}
	_, err := w.c.UpdateService(t.Context(), &sdk.UpdateServiceInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskDefinition: aws.String("web")})
	require.ErrorContains(t, err, "Unable to update task definition")
	require.Empty(t, w.sets())
}

func TestAutoScalingIsSuspended(t *testing.T) {
	w := newWorld(t)
	c := scaling.NewFromConfig(w.config)
	suspend := func(s *scalingtypes.SuspendedState, min, max *int32) {
		_, err := c.RegisterScalableTarget(t.Context(), &scaling.RegisterScalableTargetInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ResourceId: aws.String("service/main/web"),
			ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, MinCapacity: min, MaxCapacity: max, SuspendedState: s})
		require.NoError(t, err)
	}
	suspend(nil, aws.Int32(1), aws.Int32(4))
	suspend(&scalingtypes.SuspendedState{DynamicScalingInSuspended: aws.Bool(true)}, nil, nil)
	for _, tc := range []struct {
		n    int32
		done bool
	}{{1, false}, {9, true}, {1, false}} {
		done, err := w.fake.Scale("main", "web", tc.n)
		require.NoError(t, err)
		require.Equal(t, tc.done, done)
	}
	out, err := c.DescribeScalableTargets(t.Context(), &scaling.DescribeScalableTargetsInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs})
	require.NoError(t, err)
	require.Equal(t, int32(4), *out.ScalableTargets[0].MaxCapacity)
}
