package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// apart refuses a green fleet, one that exists already, that is not there or that has
// originals in it.
func (f *Fleet) apart(blue, green []Instance) error {
	if f.Green == nil || f.Green.empty() {
		return nil
	}
	if len(green) == 0 {
		return refuse(lifecycle.NoUnits, "no instance matches %s, the green fleet: launch it first, or look at the tags, the region and the account", f.Green.Selection)
	}
	for _, i := range blue {
		if slices.ContainsFunc(green, func(o Instance) bool { return o.ID == i.ID }) {
			return refuse(lifecycle.TargetFailed, "%s is in both fleets, the one that serves (%s) and the green one (%s): choose them so that no instance is in both", i.ID, f.Selection, f.Green.Selection)
		}
	}
	return nil
}

// handingOver is who holds a green group while it gets load balancers: the hand-over,
// of whichever deployment.
const handingOver = "hand-over"

// whileAttached would register all that a group has in service with the load balancers
// that it gets, also what has failed and what was kept out of traffic.
var whileAttached = []string{"AddToLoadBalancer"}

// passOn gives the load balancers of an Auto Scaling group whose instances have lost
// their traffic to a green fleet to the groups of that fleet: what these launch is
// registered from now on, and what it launches is not any more. What it launched while
// the deployment was going on loses its traffic. It reports whether that is so. What it
// suspends meanwhile is given back when the deployment has ended.
func (f *Fleet) passOn(ctx context.Context, c CopyClient, from types.AutoScalingGroup) (done bool, err error) {
	weights, err := f.Balancers.weights(ctx)
	if err != nil {
		return false, err
	}
	_, done, err = f.passOnTo(ctx, c, from, weights)
	return done, err
}

// passOnTo is passOn, and reports too whether a group has got something.
func (f *Fleet) passOnTo(ctx context.Context, c CopyClient, from types.AutoScalingGroup, weights map[string]lifecycle.Weight) (did, done bool, err error) {
	if !slices.Contains(f.Groups, f.root(from)) {
		return false, true, nil
	}
	named, err := groupsOf(ctx, c, f.Green.Selection)
	if err != nil {
		return false, false, err
	}
	green, err := f.Green.find(ctx, f.Instances, named)
	if err != nil || !slices.ContainsFunc(green, func(i Instance) bool { return weights[i.ID] > 0 }) {
		return false, false, err
	}
	shared, err := f.Balancers.of(ctx, from)
	if err != nil {
		return false, false, err
	}
	for _, to := range named {
		if !lacks(shared, to) {
			continue
		}
		did = true
		if err := hold(ctx, c, to, handingOver, whileAttached); err != nil {
			return did, false, err
		}
		if err := insist(ctx, func() error { return attach(ctx, c, shared, to) }); err != nil {
			return did, false, failed("giving the load balancers of "+nameOf(from)+" to "+nameOf(to), err)
		}
	}
	if err := insist(ctx, func() error { return detach(ctx, c, shared) }); err != nil {
		return did, false, failed("taking "+nameOf(from)+" away from its load balancers", err)
	}
	return did, true, nil
}

// greens are the Auto Scaling groups of a green fleet that exists already.
func (f *Fleet) greens(ctx context.Context) ([]types.AutoScalingGroup, error) {
	if f.Green == nil || len(f.Green.Groups) == 0 {
		return nil, nil
	}
	found, err := groupsNamed(ctx, f.AutoScaling, f.Green.Groups)
	return slices.DeleteFunc(found, deleting), err
}

// of is a group without the load balancers that are not ours.
func (b *Balancers) of(ctx context.Context, g types.AutoScalingGroup) (types.AutoScalingGroup, error) {
	sides, err := b.open()
	if err != nil {
		return g, err
	}
	var ours []string
	for _, s := range sides {
		switch one := s.balancer.(type) {
		case *classic:
			ours = append(ours, one.named)
		case *targetGroup:
			var arn *string
			if err := insist(ctx, func() (err error) { arn, err = one.arn(ctx); return err }); err != nil {
				return g, failed("looking at "+one.String(), err)
			}
			ours = append(ours, aws.ToString(arn))
		}
	}
	foreign := func(name string) bool { return !slices.Contains(ours, name) }
	g.TargetGroupARNs = slices.DeleteFunc(slices.Clone(g.TargetGroupARNs), foreign)
	g.LoadBalancerNames = slices.DeleteFunc(slices.Clone(g.LoadBalancerNames), foreign)
	return g, nil
}
