package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// maxName is how long the name of a group may be.
const maxName = 255

// copyName is the name of the copy that a deployment makes of a group. Root is the name
// that the fleet knows the line of groups by, so names do not grow from one deployment
// to the next.
func copyName(root, deployment string) string {
	if room := maxName - len(deployment) - 1; len(root) > room {
		root = root[:max(0, room)]
	}
	return root + "-" + deployment
}

// root is the name that the fleet knows a group's line by: one of its own Groups.
func (f *Fleet) root(g types.AutoScalingGroup) string {
	if slices.Contains(f.Groups, nameOf(g)) {
		return nameOf(g)
	}
	return tagOf(g, copyOfTag)
}

// copyOf is the request for a copy of a group: no instances yet, behind no load
// balancer, otherwise the same. What the answer of a Describe has twice, by id and by
// name, a Create may have only once.
func copyOf(g types.AutoScalingGroup, hooks []types.LifecycleHook, root, deployment string, n int) *autoscaling.CreateAutoScalingGroupInput {
	name := copyName(root, deployment)
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), DesiredCapacity: aws.Int32(0),
		MaxSize:                          aws.Int32(max(value(g.MaxSize), int32(n))),
		AvailabilityZoneDistribution:     g.AvailabilityZoneDistribution,
		AvailabilityZoneImpairmentPolicy: g.AvailabilityZoneImpairmentPolicy,
		CapacityRebalance:                g.CapacityRebalance,
		CapacityReservationSpecification: g.CapacityReservationSpecification,
		DefaultCooldown:                  g.DefaultCooldown,
		DefaultInstanceWarmup:            g.DefaultInstanceWarmup,
		DesiredCapacityType:              g.DesiredCapacityType,
		HealthCheckGracePeriod:           g.HealthCheckGracePeriod,
		HealthCheckType:                  g.HealthCheckType,
		InstanceLifecyclePolicy:          g.InstanceLifecyclePolicy,
		InstanceMaintenancePolicy:        g.InstanceMaintenancePolicy,
		LaunchConfigurationName:          g.LaunchConfigurationName,
		LaunchTemplate:                   byID(g.LaunchTemplate),
		MixedInstancesPolicy:             mixedByID(g.MixedInstancesPolicy),
		MaxInstanceLifetime:              g.MaxInstanceLifetime,
		NewInstancesProtectedFromScaleIn: g.NewInstancesProtectedFromScaleIn,
		PlacementGroup:                   g.PlacementGroup,
		ServiceLinkedRoleARN:             g.ServiceLinkedRoleARN,
		TerminationPolicies:              g.TerminationPolicies,
		VPCZoneIdentifier:                g.VPCZoneIdentifier,
		Tags:                             copiedTags(g, name, root, deployment),
		LifecycleHookSpecificationList:   copiedHooks(hooks),
	}
	if aws.ToString(g.VPCZoneIdentifier) == "" { // subnets say the zones
		in.AvailabilityZones = g.AvailabilityZones
	}
	if in.MixedInstancesPolicy != nil { // and not both
		in.LaunchTemplate, in.LaunchConfigurationName = nil, nil
	}
	return in
}

func byID(t *types.LaunchTemplateSpecification) *types.LaunchTemplateSpecification {
	if t == nil || aws.ToString(t.LaunchTemplateId) == "" {
		return t
	}
	return &types.LaunchTemplateSpecification{LaunchTemplateId: t.LaunchTemplateId, Version: t.Version}
}

func mixedByID(p *types.MixedInstancesPolicy) *types.MixedInstancesPolicy {
	if p == nil || p.LaunchTemplate == nil {
		return p
	}
	t := types.LaunchTemplate{LaunchTemplateSpecification: byID(p.LaunchTemplate.LaunchTemplateSpecification), Overrides: slices.Clone(p.LaunchTemplate.Overrides)}
	for i := range t.Overrides {
		t.Overrides[i].LaunchTemplateSpecification = byID(t.Overrides[i].LaunchTemplateSpecification)
	}
	return &types.MixedInstancesPolicy{InstancesDistribution: p.InstancesDistribution, LaunchTemplate: &t}
}

// copiedTags are the original's tags, but for those that belong to AWS or to a
// deployment, and our own.
func copiedTags(g types.AutoScalingGroup, name, root, deployment string) []types.Tag {
	var tags []types.Tag
	for _, t := range g.Tags {
		key := aws.ToString(t.Key)
		if strings.HasPrefix(key, "aws:") || strings.HasPrefix(key, "cutover:") {
			continue
		}
		tags = append(tags, types.Tag{ResourceId: &name, ResourceType: aws.String("auto-scaling-group"), Key: t.Key, Value: t.Value, PropagateAtLaunch: t.PropagateAtLaunch})
	}
	return append(tags, groupTag(name, copyOfTag, root), groupTag(name, replacesTag, nameOf(g)), groupTag(name, deploymentTag, deployment))
}

// copiedHooks are the original's lifecycle hooks, but for the one of a listener: that
// would deploy the last good revision to what is to get a new one.
func copiedHooks(hooks []types.LifecycleHook) []types.LifecycleHookSpecification {
	var out []types.LifecycleHookSpecification
	for _, h := range hooks {
		if aws.ToString(h.LifecycleHookName) == HookName {
			continue
		}
		out = append(out, types.LifecycleHookSpecification{LifecycleHookName: h.LifecycleHookName, LifecycleTransition: h.LifecycleTransition,
			DefaultResult: h.DefaultResult, HeartbeatTimeout: h.HeartbeatTimeout, NotificationMetadata: h.NotificationMetadata,
			NotificationTargetARN: h.NotificationTargetARN, RoleARN: h.RoleARN})
	}
	return out
}

func copiedPolicy(p types.ScalingPolicy, group *string) *autoscaling.PutScalingPolicyInput {
	return &autoscaling.PutScalingPolicyInput{AutoScalingGroupName: group, PolicyName: p.PolicyName, PolicyType: p.PolicyType,
		AdjustmentType: p.AdjustmentType, Cooldown: p.Cooldown, Enabled: p.Enabled, EstimatedInstanceWarmup: p.EstimatedInstanceWarmup,
		MetricAggregationType: p.MetricAggregationType, MinAdjustmentMagnitude: p.MinAdjustmentMagnitude,
		PredictiveScalingConfiguration: p.PredictiveScalingConfiguration, ScalingAdjustment: p.ScalingAdjustment,
		StepAdjustments: p.StepAdjustments, TargetTrackingConfiguration: p.TargetTrackingConfiguration}
}

// copiedAction is a scheduled action for the copy, or nil if its time is over. A start
// in the past is refused, and not needed where the action recurs.
func copiedAction(a types.ScheduledUpdateGroupAction, group *string, now time.Time) *autoscaling.PutScheduledUpdateGroupActionInput {
	past := func(t *time.Time) bool { return t != nil && !t.After(now) }
	if past(a.EndTime) || past(a.StartTime) && a.Recurrence == nil {
		return nil
	}
	in := &autoscaling.PutScheduledUpdateGroupActionInput{AutoScalingGroupName: group, ScheduledActionName: a.ScheduledActionName,
		DesiredCapacity: a.DesiredCapacity, MinSize: a.MinSize, MaxSize: a.MaxSize, Recurrence: a.Recurrence,
		StartTime: a.StartTime, EndTime: a.EndTime, TimeZone: a.TimeZone}
	if past(a.StartTime) {
		in.StartTime = nil
	}
	return in
}

// copiedTopics are the original's notifications, by topic.
func copiedTopics(all []types.NotificationConfiguration, group *string) []*autoscaling.PutNotificationConfigurationInput {
	var out []*autoscaling.PutNotificationConfigurationInput
	for _, n := range all {
		i := slices.IndexFunc(out, func(o *autoscaling.PutNotificationConfigurationInput) bool {
			return aws.ToString(o.TopicARN) == aws.ToString(n.TopicARN)
		})
		if i < 0 {
			i = len(out)
			out = append(out, &autoscaling.PutNotificationConfigurationInput{AutoScalingGroupName: group, TopicARN: n.TopicARN})
		}
		out[i].NotificationTypes = append(out[i].NotificationTypes, aws.ToString(n.NotificationType))
	}
	return out
}
