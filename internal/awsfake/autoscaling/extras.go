package autoscaling

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// handleExtras is what hangs on a group and does little here: it is kept and shown, so
// that a copy of a group can be compared with it.
func (g *Groups) handleExtras(api *awsfake.API) {
	onGroup(g, api, "PutScalingPolicy", func(in *as.PutScalingPolicyInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.PutScalingPolicyInput) (*as.PutScalingPolicyOutput, error) {
			gr.policies = slices.DeleteFunc(gr.policies, func(p types.ScalingPolicy) bool { return *p.PolicyName == *in.PolicyName })
			gr.policies = append(gr.policies, types.ScalingPolicy{AutoScalingGroupName: in.AutoScalingGroupName, PolicyName: in.PolicyName,
				PolicyType: in.PolicyType, AdjustmentType: in.AdjustmentType, Cooldown: in.Cooldown, Enabled: in.Enabled,
				EstimatedInstanceWarmup: in.EstimatedInstanceWarmup, MetricAggregationType: in.MetricAggregationType,
				MinAdjustmentMagnitude: in.MinAdjustmentMagnitude, ScalingAdjustment: in.ScalingAdjustment,
				StepAdjustments: in.StepAdjustments, TargetTrackingConfiguration: in.TargetTrackingConfiguration})
			return &as.PutScalingPolicyOutput{}, nil
		})
	onGroup(g, api, "DescribePolicies", func(in *as.DescribePoliciesInput) *string { return in.AutoScalingGroupName },
		func(gr *group, _ *as.DescribePoliciesInput) (*as.DescribePoliciesOutput, error) {
			return &as.DescribePoliciesOutput{ScalingPolicies: slices.Clone(gr.policies)}, nil
		})
	onGroup(g, api, "PutScheduledUpdateGroupAction", func(in *as.PutScheduledUpdateGroupActionInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.PutScheduledUpdateGroupActionInput) (*as.PutScheduledUpdateGroupActionOutput, error) {
			gr.scheduled = append(gr.scheduled, types.ScheduledUpdateGroupAction{AutoScalingGroupName: in.AutoScalingGroupName,
				ScheduledActionName: in.ScheduledActionName, DesiredCapacity: in.DesiredCapacity, MinSize: in.MinSize, MaxSize: in.MaxSize,
				Recurrence: in.Recurrence, StartTime: in.StartTime, EndTime: in.EndTime, TimeZone: in.TimeZone})
			return &as.PutScheduledUpdateGroupActionOutput{}, nil
		})
	onGroup(g, api, "DescribeScheduledActions", func(in *as.DescribeScheduledActionsInput) *string { return in.AutoScalingGroupName },
		func(gr *group, _ *as.DescribeScheduledActionsInput) (*as.DescribeScheduledActionsOutput, error) {
			return &as.DescribeScheduledActionsOutput{ScheduledUpdateGroupActions: slices.Clone(gr.scheduled)}, nil
		})
	onGroup(g, api, "PutNotificationConfiguration", func(in *as.PutNotificationConfigurationInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.PutNotificationConfigurationInput) (*as.PutNotificationConfigurationOutput, error) {
			gr.topics = slices.DeleteFunc(gr.topics, func(n types.NotificationConfiguration) bool { return *n.TopicARN == *in.TopicARN })
			for _, kind := range in.NotificationTypes {
				gr.topics = append(gr.topics, types.NotificationConfiguration{AutoScalingGroupName: in.AutoScalingGroupName, NotificationType: aws.String(kind), TopicARN: in.TopicARN})
			}
			return &as.PutNotificationConfigurationOutput{}, nil
		})
	on(g, api, "DescribeNotificationConfigurations", func(in *as.DescribeNotificationConfigurationsInput) (*as.DescribeNotificationConfigurationsOutput, error) {
		out := &as.DescribeNotificationConfigurationsOutput{}
		for _, name := range in.AutoScalingGroupNames {
			if gr := g.groups[name]; gr != nil {
				out.NotificationConfigurations = append(out.NotificationConfigurations, gr.topics...)
			}
		}
		return out, nil
	})
	onGroup(g, api, "EnableMetricsCollection", func(in *as.EnableMetricsCollectionInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.EnableMetricsCollectionInput) (*as.EnableMetricsCollectionOutput, error) {
			gr.EnabledMetrics = nil
			for _, m := range in.Metrics {
				gr.EnabledMetrics = append(gr.EnabledMetrics, types.EnabledMetric{Metric: aws.String(m), Granularity: in.Granularity})
			}
			return &as.EnableMetricsCollectionOutput{}, nil
		})
	onGroup(g, api, "PutWarmPool", func(in *as.PutWarmPoolInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.PutWarmPoolInput) (*as.PutWarmPoolOutput, error) {
			gr.warm = &types.WarmPoolConfiguration{MinSize: in.MinSize, MaxGroupPreparedCapacity: in.MaxGroupPreparedCapacity, PoolState: in.PoolState, InstanceReusePolicy: in.InstanceReusePolicy}
			return &as.PutWarmPoolOutput{}, nil
		})
	onGroup(g, api, "DescribeScalingActivities", func(in *as.DescribeScalingActivitiesInput) *string { return in.AutoScalingGroupName },
		func(gr *group, _ *as.DescribeScalingActivitiesInput) (*as.DescribeScalingActivitiesOutput, error) {
			out := slices.Clone(gr.activities)
			slices.Reverse(out)
			return &as.DescribeScalingActivitiesOutput{Activities: out[:min(len(out), 100)]}, nil
		})
}
