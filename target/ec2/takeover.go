package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// keptRunning is what the tag of a replaced group ends with that is not to be deleted.
const keptRunning = " kept"

// takeOver makes a copy what the original was: with its load balancers, its sizes, its
// warm pool and the hook of a listener. Each part can be done again. The original is
// marked first; how says whether it stays.
func takeOver(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup, how string) error {
	if err := setTag(ctx, c, nameOf(from), replacedTag, nameOf(to)+how); err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"load balancers", func() error { return attach(ctx, c, from, to) }},
		{"sizes", func() error {
			_, err := c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: to.AutoScalingGroupName,
				MinSize: from.MinSize, MaxSize: aws.Int32(max(value(from.MaxSize), value(to.DesiredCapacity))), DeletionProtection: from.DeletionProtection})
			return err
		}},
		{"warm pool", func() error { return warm(ctx, c, from, to) }},
		{"lifecycle hook", func() error { return moveHook(ctx, c, from, to) }},
	} {
		if err := insist(ctx, part.do); err != nil {
			return failed("giving the "+part.what+" of "+nameOf(from)+" to "+nameOf(to), err)
		}
	}
	return nil
}

// attach puts a group behind the load balancers of another. Its instances are
// registered there already.
func attach(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	if arns := missing(from.TargetGroupARNs, to.TargetGroupARNs); len(arns) > 0 {
		_, err := c.AttachLoadBalancerTargetGroups(ctx, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: to.AutoScalingGroupName, TargetGroupARNs: arns})
		if err != nil {
			return err
		}
	}
	if names := missing(from.LoadBalancerNames, to.LoadBalancerNames); len(names) > 0 {
		_, err := c.AttachLoadBalancers(ctx, &autoscaling.AttachLoadBalancersInput{AutoScalingGroupName: to.AutoScalingGroupName, LoadBalancerNames: names})
		return err
	}
	return nil
}

// detach takes a group away from its load balancers, so that what it launches gets no
// traffic.
func detach(ctx context.Context, c CopyClient, g types.AutoScalingGroup) error {
	if len(g.TargetGroupARNs) > 0 {
		_, err := c.DetachLoadBalancerTargetGroups(ctx, &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g.AutoScalingGroupName, TargetGroupARNs: g.TargetGroupARNs})
		if err != nil {
			return err
		}
	}
	if len(g.LoadBalancerNames) > 0 {
		_, err := c.DetachLoadBalancers(ctx, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: g.AutoScalingGroupName, LoadBalancerNames: g.LoadBalancerNames})
		return err
	}
	return nil
}

func missing(want, have []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(have, s) })
}

func warm(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	w := from.WarmPoolConfiguration
	if w == nil || w.Status == types.WarmPoolStatusPendingDelete {
		return nil
	}
	_, err := c.PutWarmPool(ctx, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: to.AutoScalingGroupName, MinSize: w.MinSize,
		MaxGroupPreparedCapacity: w.MaxGroupPreparedCapacity, PoolState: w.PoolState, InstanceReusePolicy: w.InstanceReusePolicy})
	return err
}

func moveHook(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	out, err := c.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: from.AutoScalingGroupName})
	if err != nil {
		return err
	}
	for _, h := range out.LifecycleHooks {
		if aws.ToString(h.LifecycleHookName) != HookName {
			continue
		}
		_, err := c.PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: to.AutoScalingGroupName, LifecycleHookName: h.LifecycleHookName,
			LifecycleTransition: h.LifecycleTransition, DefaultResult: h.DefaultResult, HeartbeatTimeout: h.HeartbeatTimeout, NotificationMetadata: h.NotificationMetadata})
		if err != nil {
			return err
		}
	}
	return nil
}

// conclude ends what blue/green deployments have begun with a line of groups: an
// original that was replaced goes, or stays without load balancers; a copy that has
// nothing any more goes.
func (f *Fleet) conclude(ctx context.Context, c CopyClient, line []types.AutoScalingGroup) error {
	weights, err := f.Balancers.weights(ctx)
	if err != nil {
		return err
	}
	to := slices.IndexFunc(line, func(g types.AutoScalingGroup) bool {
		return tagOf(g, deploymentTag) != "" && tagOf(g, replacedTag) == "" && serves(g, weights)
	})
	for _, g := range line {
		replaced := tagOf(g, replacedTag)
		var err error
		switch {
		case replaced != "" && !strings.HasSuffix(replaced, keptRunning):
			err = f.remove(ctx, c, g)
		case replaced != "":
		case tagOf(g, deploymentTag) != "" && len(g.Instances) == 0:
			err = deleteGroup(ctx, c, nameOf(g))
		case to >= 0 && nameOf(g) != nameOf(line[to]) && !serves(g, weights) && tagOf(g, deploymentTag) != tagOf(line[to], deploymentTag) && f.left(g, line[to]):
			err = f.keep(ctx, c, g, line[to])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// left reports whether a group without traffic is one that a copy has replaced, and
// not one that was made later and never got any.
func (f *Fleet) left(g, to types.AutoScalingGroup) bool {
	return g.CreatedTime == nil || to.CreatedTime == nil || g.CreatedTime.Before(*to.CreatedTime)
}

// remove deletes a group that was replaced, with what it launched since: that is taken
// out of traffic first.
func (f *Fleet) remove(ctx context.Context, c CopyClient, g types.AutoScalingGroup) error {
	var late []string
	for _, m := range g.Instances {
		late = append(late, aws.ToString(m.InstanceId))
	}
	if err := f.drainAll(ctx, late); err != nil {
		return err
	}
	return deleteGroup(ctx, c, nameOf(g))
}

// keep leaves a replaced group running, without traffic to come.
func (f *Fleet) keep(ctx context.Context, c CopyClient, g, to types.AutoScalingGroup) error {
	if err := takeOver(ctx, c, g, to, keptRunning); err != nil {
		return err
	}
	if err := insist(ctx, func() error { return detach(ctx, c, g) }); err != nil {
		return failed("taking "+nameOf(g)+" away from its load balancers", err)
	}
	return nil
}

// weighted reports whether a group counts its capacity in anything but instances.
func weighted(g types.AutoScalingGroup) bool {
	p := g.MixedInstancesPolicy
	return p != nil && p.LaunchTemplate != nil && slices.ContainsFunc(p.LaunchTemplate.Overrides, func(o types.LaunchTemplateOverrides) bool { return o.WeightedCapacity != nil }) ||
		aws.ToString(g.DesiredCapacityType) != "" && aws.ToString(g.DesiredCapacityType) != "units"
}

func refuseWeighted(g types.AutoScalingGroup) error {
	if weighted(g) {
		return refuse(lifecycle.Unsupported, "the Auto Scaling group %s counts its capacity in weights, not in instances: its copy cannot be sized; provide the green fleet yourself (Fleet.Green)", nameOf(g))
	}
	return nil
}
