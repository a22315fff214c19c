package ec2

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"
)

func template(id string) *types.LaunchTemplateSpecification {
	return &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String(id), LaunchTemplateName: aws.String("web"), Version: aws.String("3")}
}

// What a Describe tells twice is asked for once, and what is the original's own stays
// with it.
func TestCopyOfAGroup(t *testing.T) {
	g := types.AutoScalingGroup{
		AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(2), MaxSize: aws.Int32(5), DesiredCapacity: aws.Int32(4),
		AvailabilityZones: []string{"a", "b"}, VPCZoneIdentifier: aws.String("subnet-1,subnet-2"), LaunchTemplate: template("lt-1"),
		TargetGroupARNs: []string{"arn:tg"}, LoadBalancerNames: []string{"old"}, HealthCheckType: aws.String("ELB"),
		Tags: []types.TagDescription{
			{Key: aws.String("role"), Value: aws.String("web"), PropagateAtLaunch: aws.Bool(true)},
			{Key: aws.String("aws:cloudformation:stack-name"), Value: aws.String("x")},
			{Key: aws.String(heldTag), Value: aws.String("d-1 AZRebalance")},
		},
	}
	hooks := []types.LifecycleHook{{LifecycleHookName: aws.String("bootstrap")}, {LifecycleHookName: aws.String(HookName)}}
	in := copyOf(g, hooks, "web", "d-2", 7)
	require.Equal(t, "web-d-2", *in.AutoScalingGroupName)
	require.Equal(t, [3]int32{0, 0, 7}, [3]int32{*in.MinSize, *in.DesiredCapacity, *in.MaxSize})
	require.Nil(t, in.AvailabilityZones, "the subnets say the zones")
	require.Nil(t, in.LaunchTemplate.LaunchTemplateName)
	require.Equal(t, "lt-1", *in.LaunchTemplate.LaunchTemplateId)
	require.Empty(t, in.TargetGroupARNs)
	require.Empty(t, in.LoadBalancerNames)
	require.Len(t, in.LifecycleHookSpecificationList, 1)
	tags := map[string]string{}
	for _, tag := range in.Tags {
		tags[*tag.Key] = *tag.Value
		require.Equal(t, "web-d-2", *tag.ResourceId)
		require.Equal(t, *tag.Key == "role", *tag.PropagateAtLaunch)
	}
	require.Equal(t, map[string]string{"role": "web", copyOfTag: "web", replacesTag: "web", deploymentTag: "d-2"}, tags)

	// The copy of a copy is of the same line, and its name does not grow.
	g.AutoScalingGroupName, g.LaunchTemplate = aws.String("web-d-2"), nil
	g.Tags = []types.TagDescription{{Key: aws.String(copyOfTag), Value: aws.String("web")}, {Key: aws.String(deploymentTag), Value: aws.String("d-2")}}
	g.MixedInstancesPolicy = &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{LaunchTemplateSpecification: template("lt-2"),
		Overrides: []types.LaunchTemplateOverrides{{InstanceType: aws.String("m5.large"), LaunchTemplateSpecification: template("lt-3")}}}}
	in = copyOf(g, nil, "web", "d-3", 1)
	require.Equal(t, "web-d-3", *in.AutoScalingGroupName)
	require.Nil(t, in.MixedInstancesPolicy.LaunchTemplate.Overrides[0].LaunchTemplateSpecification.LaunchTemplateName)
	require.NotNil(t, g.MixedInstancesPolicy.LaunchTemplate.Overrides[0].LaunchTemplateSpecification.LaunchTemplateName, "the original is not changed")
	require.Len(t, *copyOf(types.AutoScalingGroup{}, nil, strings.Repeat("x", 255), "d-3", 1).AutoScalingGroupName, 255)
}

func TestScheduledActionsThatAreOverAreNotCopied(t *testing.T) {
	now := time.Now()
	past, future := aws.Time(now.Add(-time.Hour)), aws.Time(now.Add(time.Hour))
	daily := aws.String("0 8 * * *")
	for name, c := range map[string]struct {
		action types.ScheduledUpdateGroupAction
		copied bool
		start  *time.Time
	}{
		"once, to come":  {types.ScheduledUpdateGroupAction{StartTime: future}, true, future},
		"once, over":     {types.ScheduledUpdateGroupAction{StartTime: past}, false, nil},
		"daily, begun":   {types.ScheduledUpdateGroupAction{StartTime: past, Recurrence: daily}, true, nil},
		"daily, ended":   {types.ScheduledUpdateGroupAction{EndTime: past, Recurrence: daily}, false, nil},
		"daily, forever": {types.ScheduledUpdateGroupAction{Recurrence: daily}, true, nil},
	} {
		got := copiedAction(c.action, aws.String("copy"), now)
		require.Equal(t, c.copied, got != nil, name)
		if got != nil {
			require.Equal(t, c.start, got.StartTime, name)
		}
	}
}

func TestWhatIsHeldIsOnlyWhatWasNotSuspended(t *testing.T) {
	suspendedBy := func(names ...string) (out []types.SuspendedProcess) {
		for _, n := range names {
			out = append(out, types.SuspendedProcess{ProcessName: aws.String(n)})
		}
		return out
	}
	g := types.AutoScalingGroup{SuspendedProcesses: suspendedBy("AZRebalance")}
	h := toHold(g, "d-1", whileDeploying)
	require.Equal(t, "d-1 AlarmNotification+HealthCheck+ReplaceUnhealthy+ScheduledActions", h.String(), "the operator's own stays suspended for ever")

	// A deployment died. The next one gives back what that held too.
	g = types.AutoScalingGroup{SuspendedProcesses: suspendedBy("AZRebalance", "HealthCheck", "AlarmNotification", "ReplaceUnhealthy", "ScheduledActions"),
		Tags: []types.TagDescription{{Key: aws.String(heldTag), Value: aws.String("an id with blanks " + h.String()[4:])}}}
	require.Equal(t, "an id with blanks", heldBy(g).deployment)
	require.Equal(t, "d-2 AlarmNotification+HealthCheck+ReplaceUnhealthy+ScheduledActions", toHold(g, "d-2", whileDeploying).String())
}

// Every state of a load balancer is judged, in both directions.
func TestMoves(t *testing.T) {
	for _, s := range []state{absent, coming, serving, sick, draining, unused, down, strange, "something new"} {
		require.NotEmpty(t, allow.judge(s), s)
		require.NotEmpty(t, block.judge(s), s)
	}
	require.True(t, healthOf(elbHealth("unhealthy.draining")).registered(), "only \"draining\" is deregistered")
	require.Equal(t, strange, healthOf(elbHealth("SOMETHING_NEW")).State, "I11: never healthy")
}

func elbHealth(state string) elbtypes.TargetHealth {
	return elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnum(state)}
}
