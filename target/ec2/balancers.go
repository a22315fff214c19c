package ec2

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// TargetGroupClient is what is used of [elasticloadbalancingv2.Client].
type TargetGroupClient interface {
	DescribeTargetGroups(context.Context, *elasticloadbalancingv2.DescribeTargetGroupsInput, ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTargetGroupsOutput, error)
	DescribeTargetGroupAttributes(context.Context, *elasticloadbalancingv2.DescribeTargetGroupAttributesInput, ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTargetGroupAttributesOutput, error)
	DescribeTargetHealth(context.Context, *elasticloadbalancingv2.DescribeTargetHealthInput, ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTargetHealthOutput, error)
	RegisterTargets(context.Context, *elasticloadbalancingv2.RegisterTargetsInput, ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.RegisterTargetsOutput, error)
	DeregisterTargets(context.Context, *elasticloadbalancingv2.DeregisterTargetsInput, ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DeregisterTargetsOutput, error)
}

// ClassicClient is what is used of [elasticloadbalancing.Client].
type ClassicClient interface {
	DescribeLoadBalancerAttributes(context.Context, *elasticloadbalancing.DescribeLoadBalancerAttributesInput, ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DescribeLoadBalancerAttributesOutput, error)
	DescribeInstanceHealth(context.Context, *elasticloadbalancing.DescribeInstanceHealthInput, ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DescribeInstanceHealthOutput, error)
	RegisterInstancesWithLoadBalancer(context.Context, *elasticloadbalancing.RegisterInstancesWithLoadBalancerInput, ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.RegisterInstancesWithLoadBalancerOutput, error)
	DeregisterInstancesFromLoadBalancer(context.Context, *elasticloadbalancing.DeregisterInstancesFromLoadBalancerInput, ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DeregisterInstancesFromLoadBalancerOutput, error)
}

// Balancers are the load balancers of a fleet: target groups and classic load
// balancers, several of both. A host is in traffic when it is in service in all of
// them, and out of it when it has drained from all.
//
// What many goroutines ask for at about the same time goes into few calls, and they
// read health from one answer. Calls that are throttled, or whose answer is lost, are
// repeated. Set the fields before first use; then all methods may be called from many
// goroutines. It must not be copied after use.
type Balancers struct {
	TargetGroups []string // names or ARNs of target groups with targets of type instance
	Classic      []string // names of classic load balancers

	V2 TargetGroupClient // required with TargetGroups
	V1 ClassicClient     // required with Classic

	// Healthy is how long a host may take to become healthy. Zero: an hour, as in
	// CodeDeploy.
	Healthy time.Duration
	// Drain is how long a host may take to drain. Zero: the load balancer's own delay,
	// and five minutes more.
	Drain time.Duration
	// Poll is the time between two looks at the health. Zero: 5 s.
	Poll time.Duration
	// Gather is how long a change waits for others that go into the same call. Zero:
	// 200 ms. Negative: not at all.
	Gather time.Duration

	once  sync.Once
	sides []*side
	err   error
}

var _ target.Traffic = (*Balancers)(nil)

func (b *Balancers) poll() time.Duration {
	if b.Poll > 0 {
		return b.Poll
	}
	return 5 * time.Second
}

func (b *Balancers) gather() time.Duration {
	if b.Gather == 0 {
		return 200 * time.Millisecond
	}
	return max(0, b.Gather)
}

// open makes a side of each balancer, once.
func (b *Balancers) open() ([]*side, error) {
	b.once.Do(func() {
		switch {
		case len(b.TargetGroups) > 0 && b.V2 == nil:
			b.err = refuse(lifecycle.TargetFailed, "there are target groups and no client for them: set Balancers.V2")
		case len(b.Classic) > 0 && b.V1 == nil:
			b.err = refuse(lifecycle.TargetFailed, "there are classic load balancers and no client for them: set Balancers.V1")
		case len(b.TargetGroups)+len(b.Classic) == 0:
			b.err = refuse(lifecycle.TargetFailed, "no load balancer is named: fill in Balancers.TargetGroups or Classic, or deploy without")
		}
		for _, name := range b.TargetGroups {
			b.sides = append(b.sides, b.newSide(&targetGroup{client: b.V2, named: name}))
		}
		for _, name := range b.Classic {
			b.sides = append(b.sides, b.newSide(&classic{client: b.V1, named: name}))
		}
	})
	return b.sides, b.err
}

// SetWeight takes a host out of traffic (0) or brings it back (anything else), and
// returns when that is so in every load balancer. Two looks in a row must agree. The
// errors: TrafficUnhealthy with the reason that the load balancer gives, when the host
// does not become healthy; UnitLost when it is no longer running; TimedOut when it
// does not drain; Throttled, Denied. When ctx is cancelled, the change may have been
// made.
func (b *Balancers) SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error {
	return b.set(ctx, unit, w, nil)
}

func (b *Balancers) set(ctx context.Context, unit string, w lifecycle.Weight, note func(lifecycle.Note)) error {
	sides, err := b.open()
	if err != nil {
		return err
	}
	move, limit := block, b.Drain
	if w > 0 {
		move, limit = allow, b.healthy()
	}
	errs := make([]error, len(sides))
	var all sync.WaitGroup
	for i, s := range sides {
		all.Go(func() { errs[i] = s.do(ctx, unit, move, limit, note) })
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Balancers) healthy() time.Duration {
	if b.Healthy > 0 {
		return b.Healthy
	}
	return time.Hour
}

// Weight is 100 for a host that is registered everywhere, 0 for one that is registered
// nowhere, or drains, and the share of the load balancers that it is registered with
// for one in between: a change that was cut off, or somebody else's.
func (b *Balancers) Weight(ctx context.Context, unit string) (lifecycle.Weight, error) {
	all, err := b.weights(ctx)
	return all[unit], err
}

// weights reads the weights of all hosts. Those that are not in it have none.
func (b *Balancers) weights(ctx context.Context) (map[string]lifecycle.Weight, error) {
	sides, err := b.open()
	if err != nil {
		return nil, err
	}
	in := map[string]int{}
	for _, s := range sides {
		now, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		for id, st := range now {
			if st.registered() {
				in[id]++
			}
		}
	}
	out := make(map[string]lifecycle.Weight, len(in))
	for id, n := range in {
		out[id] = lifecycle.Weight(100 * n / len(sides))
	}
	return out, nil
}

// agreed reads the weights until two looks agree, or takes the last of a few: what a
// deployment finds at its beginning it compares with until its end.
func (b *Balancers) agreed(ctx context.Context) (map[string]lifecycle.Weight, error) {
	last, err := b.weights(ctx)
	for looks := 1; err == nil && looks < 5; looks++ {
		if err := sleep(ctx, 2*recent); err != nil {
			return nil, err
		}
		before := last
		if last, err = b.weights(ctx); maps.Equal(before, last) {
			break
		}
	}
	return last, err
}

// preflight looks whether the load balancers exist and can do what will be asked.
func (b *Balancers) preflight(ctx context.Context) error {
	sides, err := b.open()
	if err != nil {
		return err
	}
	for _, s := range sides {
		if err := insist(ctx, func() error { return s.balancer.check(ctx) }); err != nil {
			return failed("looking at "+s.balancer.String(), err)
		}
	}
	return nil
}
