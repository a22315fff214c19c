package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// keptRunning is what the tag of a replaced group ends with that is not to be deleted.
const keptRunning = " kept"

// inherit makes a copy what the original was: with its load balancers, its sizes, its
// warm pool, the hook of a listener, and what people have suspended. Each part can be
// done again, and is, until the original is marked as replaced.
func inherit(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"load balancers", func() error { return attach(ctx, c, from, to) }},
		{"sizes", func() error {
			_, err := awserror.Ask(ctx, c.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: to.AutoScalingGroupName,
				MinSize: from.MinSize, MaxSize: aws.Int32(max(value(from.MaxSize), value(to.DesiredCapacity))), DeletionProtection: from.DeletionProtection})
			return err
		}},
		{"warm pool", func() error { return warm(ctx, c, from, to) }},
		{"lifecycle hook", func() error { return moveHook(ctx, c, from, to) }},
		{"suspended processes", func() error { return suspendToo(ctx, c, from, to) }},
	} {
		if err := insist(ctx, part.do); err != nil {
			return failed("giving the "+part.what+" of "+nameOf(from)+" to "+nameOf(to), err)
		}
	}
	return nil
}

// maxHandOver bounds the looks for who has the traffic in place of an original that goes.
const maxHandOver = 30

// handOver lets the copy that has the traffic, or a green fleet, take over before an
// original goes: what the original has would go with it. So it does not go before
// somebody is seen to have the traffic, however many looks show nobody.
func (f *Fleet) handOver(ctx context.Context, c CopyClient, from types.AutoScalingGroup) error {
	if f.Green == nil || tagOf(from, replacedTag) != "" {
		return nil
	}
	take := f.replace
	if !f.Green.empty() {
		take = f.passOn
	}
	for range maxHandOver {
		if done, err := take(ctx, c, from); done || err != nil {
			return err
		}
		if err := sleep(ctx, 2*recent); err != nil {
			return err
		}
	}
	return refuse(lifecycle.TargetFailed, "nobody has the traffic in place of the Auto Scaling group %s: its instances were not terminated, since its load balancers and sizes would go with them; give its replacements traffic first", nameOf(from))
}

// replace gives the copy that has the traffic of a group what that has, and then marks
// it as replaced. A copy that has not taken over itself has nothing to give.
func (f *Fleet) replace(ctx context.Context, c CopyClient, from types.AutoScalingGroup) (done bool, err error) {
	line, err := f.line(ctx)
	if err != nil {
		return false, err
	}
	weights, err := f.Balancers.weights(ctx)
	if err != nil {
		return false, err
	}
	i := successor(line, from, weights)
	if i < 0 {
		return spare(line, from), nil
	}
	if err := inherit(ctx, c, from, line[i]); err != nil {
		return false, err
	}
	return true, setTag(ctx, c, nameOf(from), replacedTag, nameOf(line[i]))
}

// successor finds the copy that has the traffic in place of a group; -1: there is none.
func successor(line []types.AutoScalingGroup, of types.AutoScalingGroup, weights map[string]lifecycle.Weight) int {
	return slices.IndexFunc(line, func(g types.AutoScalingGroup) bool {
		return tagOf(g, replacesTag) == nameOf(of) && serves(g, weights)
	})
}

// spare reports whether a group is a copy that has not taken over: it has no load
// balancers, or what it was made of has them all still.
func spare(line []types.AutoScalingGroup, g types.AutoScalingGroup) bool {
	return tagOf(g, deploymentTag) != "" && (len(g.TargetGroupARNs)+len(g.LoadBalancerNames) == 0 ||
		slices.ContainsFunc(line, func(of types.AutoScalingGroup) bool {
			return nameOf(of) == tagOf(g, replacesTag) && tagOf(of, replacedTag) == "" && !lacks(g, of)
		}))
}

func serves(g types.AutoScalingGroup, weights map[string]lifecycle.Weight) bool {
	return servesOn(g, weights, nil)
}

// servesOn is serves, but after a blue/green deployment that has succeeded only instances
// count that it has found: these are in before. What Auto Scaling has launched since is of
// no deployment, and none takes its traffic away. Before is nil where there was none.
func servesOn(g types.AutoScalingGroup, weights, before map[string]lifecycle.Weight) bool {
	return slices.ContainsFunc(g.Instances, func(i types.Instance) bool {
		id := aws.ToString(i.InstanceId)
		_, found := before[id]
		return weights[id] > 0 && (found || before == nil)
	})
}

// attach puts a group behind the load balancers of another. Its instances are
// registered there already.
func attach(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	if arns := missing(from.TargetGroupARNs, to.TargetGroupARNs); len(arns) > 0 {
		_, err := awserror.Ask(ctx, c.AttachLoadBalancerTargetGroups, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: to.AutoScalingGroupName, TargetGroupARNs: arns})
		if err != nil {
			return err
		}
	}
	if names := missing(from.LoadBalancerNames, to.LoadBalancerNames); len(names) > 0 {
		_, err := awserror.Ask(ctx, c.AttachLoadBalancers, &autoscaling.AttachLoadBalancersInput{AutoScalingGroupName: to.AutoScalingGroupName, LoadBalancerNames: names})
		return err
	}
	return nil
}

// detach takes a group away from its load balancers, so that what it launches gets no
// traffic.
func detach(ctx context.Context, c CopyClient, g types.AutoScalingGroup) error {
	if len(g.TargetGroupARNs) > 0 {
		_, err := awserror.Ask(ctx, c.DetachLoadBalancerTargetGroups, &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g.AutoScalingGroupName, TargetGroupARNs: g.TargetGroupARNs})
		if err != nil {
			return err
		}
	}
	if len(g.LoadBalancerNames) > 0 {
		_, err := awserror.Ask(ctx, c.DetachLoadBalancers, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: g.AutoScalingGroupName, LoadBalancerNames: g.LoadBalancerNames})
		return err
	}
	return nil
}

// lacks reports whether a group is not behind all load balancers of another.
func lacks(from, to types.AutoScalingGroup) bool {
	return len(missing(from.TargetGroupARNs, to.TargetGroupARNs))+len(missing(from.LoadBalancerNames, to.LoadBalancerNames)) > 0
}

func missing(want, have []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(have, s) })
}

func warm(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	w := from.WarmPoolConfiguration
	if w == nil || w.Status == types.WarmPoolStatusPendingDelete {
		return nil
	}
	_, err := awserror.Ask(ctx, c.PutWarmPool, &autoscaling.PutWarmPoolInput{AutoScalingGroupName: to.AutoScalingGroupName, MinSize: w.MinSize,
		MaxGroupPreparedCapacity: w.MaxGroupPreparedCapacity, PoolState: w.PoolState, InstanceReusePolicy: w.InstanceReusePolicy})
	return err
}

func moveHook(ctx context.Context, c CopyClient, from, to types.AutoScalingGroup) error {
	out, err := awserror.Ask(ctx, c.DescribeLifecycleHooks, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: from.AutoScalingGroupName})
	if err != nil {
		return err
	}
	for _, h := range out.LifecycleHooks {
		if aws.ToString(h.LifecycleHookName) != HookName {
			continue
		}
		_, err := awserror.Ask(ctx, c.PutLifecycleHook, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: to.AutoScalingGroupName, LifecycleHookName: h.LifecycleHookName,
			LifecycleTransition: h.LifecycleTransition, DefaultResult: h.DefaultResult, HeartbeatTimeout: h.HeartbeatTimeout, NotificationMetadata: h.NotificationMetadata})
		if err != nil {
			return err
		}
	}
	return nil
}

// conclude ends what blue/green deployments have begun with a line of groups: an
// original that was replaced goes, or stays without load balancers; a copy that has
// nothing any more goes. It reports whether there was something to do.
func (f *Fleet) conclude(ctx context.Context, c CopyClient, line []types.AutoScalingGroup, before map[string]lifecycle.Weight) (did bool, err error) {
	if len(line) < 2 {
		return false, nil
	}
	weights, err := f.Balancers.weights(ctx)
	if err != nil {
		return false, err
	}
	for _, g := range line {
		replaced, to := tagOf(g, replacedTag), successor(line, g, weights)
		switch {
		case strings.HasSuffix(replaced, keptRunning):
			continue
		case replaced != "":
			err = f.remove(ctx, c, g)
		case servesOn(g, weights, before):
			continue
		case len(g.Instances) == 0 && tagOf(g, deploymentTag) != "" && heldBy(g).deployment != "":
			err = deleteEmpty(ctx, c, nameOf(g))
		case to >= 0:
			err = keep(ctx, c, g, line[to])
		default:
			continue
		}
		if did = true; err != nil {
			return did, err
		}
	}
	return did, nil
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
func keep(ctx context.Context, c CopyClient, g, to types.AutoScalingGroup) error {
	if err := inherit(ctx, c, g, to); err != nil {
		return err
	}
	if err := insist(ctx, func() error { return detach(ctx, c, g) }); err != nil {
		return failed("taking "+nameOf(g)+" away from its load balancers", err)
	}
	return setTag(ctx, c, nameOf(g), replacedTag, nameOf(to)+keptRunning)
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
