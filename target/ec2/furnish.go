package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// furnish gives the copy what hangs on the original. All of it can be put again.
func (p *provisioning) furnish(ctx context.Context, g types.AutoScalingGroup) error {
	for _, part := range []struct {
		what string
		copy func(context.Context) error
	}{
		{"scaling policies", p.policies},
		{"scheduled actions", p.schedules},
		{"notifications", p.topics},
		{"metrics", p.metrics},
	} {
		if err := insist(ctx, func() error { return part.copy(ctx) }); err != nil {
			return failed("copying the "+part.what+" of "+nameOf(p.from)+" to "+nameOf(g), err)
		}
	}
	return nil
}

func (p *provisioning) policies(ctx context.Context) error {
	in := &autoscaling.DescribePoliciesInput{AutoScalingGroupName: p.from.AutoScalingGroupName}
	for range maxPages {
		out, err := awserror.Ask(ctx, p.c.DescribePolicies, in)
		if err != nil {
			return err
		}
		for _, one := range out.ScalingPolicies {
			if _, err := awserror.Ask(ctx, p.c.PutScalingPolicy, copiedPolicy(one, &p.name)); err != nil {
				return err
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return refuse(lifecycle.TargetFailed, "the list of scaling policies does not end")
}

func (p *provisioning) schedules(ctx context.Context) error {
	in := &autoscaling.DescribeScheduledActionsInput{AutoScalingGroupName: p.from.AutoScalingGroupName}
	for range maxPages {
		out, err := awserror.Ask(ctx, p.c.DescribeScheduledActions, in)
		if err != nil {
			return err
		}
		for _, one := range out.ScheduledUpdateGroupActions {
			put := copiedAction(one, &p.name, time.Now())
			if put == nil {
				continue
			}
			if _, err := awserror.Ask(ctx, p.c.PutScheduledUpdateGroupAction, put); err != nil {
				return err
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return refuse(lifecycle.TargetFailed, "the list of scheduled actions does not end")
}

func (p *provisioning) topics(ctx context.Context) error {
	in := &autoscaling.DescribeNotificationConfigurationsInput{AutoScalingGroupNames: []string{nameOf(p.from)}}
	var all []types.NotificationConfiguration
	for range maxPages {
		out, err := awserror.Ask(ctx, p.c.DescribeNotificationConfigurations, in)
		if err != nil {
			return err
		}
		all = append(all, out.NotificationConfigurations...)
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	for _, put := range copiedTopics(all, &p.name) {
		if _, err := awserror.Ask(ctx, p.c.PutNotificationConfiguration, put); err != nil {
			return err
		}
	}
	return nil
}

func (p *provisioning) metrics(ctx context.Context) error {
	if len(p.from.EnabledMetrics) == 0 {
		return nil
	}
	in := &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: &p.name, Granularity: p.from.EnabledMetrics[0].Granularity}
	for _, m := range p.from.EnabledMetrics {
		in.Metrics = append(in.Metrics, aws.ToString(m.Metric))
	}
	_, err := awserror.Ask(ctx, p.c.EnableMetricsCollection, in)
	return err
}
