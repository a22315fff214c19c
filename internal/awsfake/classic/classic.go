// Package classic answers the calls of the Classic Load Balancer client from memory:
// registration, health that takes its time, and connection draining.
package classic

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Balancers is all classic load balancers of an account.
type Balancers struct {
	// Running reports whether an instance exists and runs. Nil: all do.
	Running func(id string) bool
	// Warm is how long an instance takes to be in service. Zero: 10 s.
	Warm time.Duration

	mu  sync.Mutex
	all map[string]*balancer
}

type balancer struct {
	draining  time.Duration // zero: connection draining is off
	instances map[string]*instance
}

type instance struct {
	since time.Time // of registration, or of deregistration if leaving
	leave bool
	sick  bool
}

// New gives the operations to the API.
func New(api *awsfake.API) *Balancers {
	b := &Balancers{all: map[string]*balancer{}}
	on(b, api, "DescribeInstanceHealth", func(in *elb.DescribeInstanceHealthInput) *string { return in.LoadBalancerName }, b.health)
	on(b, api, "DescribeLoadBalancerAttributes", func(in *elb.DescribeLoadBalancerAttributesInput) *string { return in.LoadBalancerName },
		func(l *balancer, _ *elb.DescribeLoadBalancerAttributesInput) (*elb.DescribeLoadBalancerAttributesOutput, error) {
			return &elb.DescribeLoadBalancerAttributesOutput{LoadBalancerAttributes: &types.LoadBalancerAttributes{
				ConnectionDraining: &types.ConnectionDraining{Enabled: l.draining > 0, Timeout: aws.Int32(int32(l.draining.Seconds()))}}}, nil
		})
	on(b, api, "RegisterInstancesWithLoadBalancer", func(in *elb.RegisterInstancesWithLoadBalancerInput) *string { return in.LoadBalancerName },
		func(l *balancer, in *elb.RegisterInstancesWithLoadBalancerInput) (*elb.RegisterInstancesWithLoadBalancerOutput, error) {
			for _, i := range in.Instances {
				if b.Running != nil && !b.Running(aws.ToString(i.InstanceId)) {
					return nil, awsfake.APIError("InvalidInstance", "Could not find EC2 instance "+aws.ToString(i.InstanceId))
				}
			}
			for _, i := range in.Instances {
				l.add(aws.ToString(i.InstanceId))
			}
			return &elb.RegisterInstancesWithLoadBalancerOutput{}, nil
		})
	on(b, api, "DeregisterInstancesFromLoadBalancer", func(in *elb.DeregisterInstancesFromLoadBalancerInput) *string { return in.LoadBalancerName },
		func(l *balancer, in *elb.DeregisterInstancesFromLoadBalancerInput) (*elb.DeregisterInstancesFromLoadBalancerOutput, error) {
			for _, i := range in.Instances {
				if l.instances[aws.ToString(i.InstanceId)] == nil {
					return nil, awsfake.APIError("InvalidInstance", "Could not find EC2 instance "+aws.ToString(i.InstanceId)+" registered")
				}
			}
			for _, i := range in.Instances {
				l.drop(aws.ToString(i.InstanceId))
			}
			return &elb.DeregisterInstancesFromLoadBalancerOutput{}, nil
		})
	return b
}

func on[In, Out any](b *Balancers, api *awsfake.API, operation string, name func(*In) *string, f func(*balancer, *In) (*Out, error)) {
	awsfake.Handle(api, elb.ServiceID, operation, func(_ context.Context, in *In) (*Out, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		l := b.all[aws.ToString(name(in))]
		if l == nil {
			return nil, &types.AccessPointNotFoundException{Message: aws.String("There is no ACTIVE Load Balancer named '" + aws.ToString(name(in)) + "'")}
		}
		l.settle()
		return f(l, in)
	})
}

// Add makes a load balancer. Draining is how long instances drain; zero: not at all.
func (b *Balancers) Add(name string, draining time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[name] = &balancer{draining: draining, instances: map[string]*instance{}}
}

// Register is what an Auto Scaling group does with what it launches.
func (b *Balancers) Register(name, id string) { b.with(name, func(l *balancer) { l.add(id) }) }

// Deregister takes an instance out; one that is not registered is no error.
func (b *Balancers) Deregister(name, id string) { b.with(name, func(l *balancer) { l.drop(id) }) }

// Sicken lets an instance fail its checks.
func (b *Balancers) Sicken(name, id string) {
	b.with(name, func(l *balancer) {
		if i := l.instances[id]; i != nil {
			i.sick = true
		}
	})
}

// Healthy reports whether an instance is in service.
func (b *Balancers) Healthy(name, id string) (ok bool) {
	b.with(name, func(l *balancer) {
		i := l.instances[id]
		ok = i != nil && !i.leave && aws.ToString(b.state(id, i).State) == "InService"
	})
	return ok
}

func (b *Balancers) with(name string, f func(*balancer)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.all[name]; l != nil {
		l.settle()
		f(l)
	}
}

func (l *balancer) add(id string) {
	if i := l.instances[id]; i == nil || i.leave {
		l.instances[id] = &instance{since: time.Now()}
	}
}

func (l *balancer) drop(id string) {
	if i := l.instances[id]; i != nil && !i.leave {
		i.leave, i.since = true, time.Now()
		l.settle()
	}
}

// settle forgets what has drained.
func (l *balancer) settle() {
	for id, i := range l.instances {
		if i.leave && time.Since(i.since) >= l.draining {
			delete(l.instances, id)
		}
	}
}

func (b *Balancers) health(l *balancer, in *elb.DescribeInstanceHealthInput) (*elb.DescribeInstanceHealthOutput, error) {
	out := &elb.DescribeInstanceHealthOutput{}
	for id, i := range l.instances {
		wanted := len(in.Instances) == 0 || slices.ContainsFunc(in.Instances, func(w types.Instance) bool { return aws.ToString(w.InstanceId) == id })
		if wanted {
			out.InstanceStates = append(out.InstanceStates, b.state(id, i))
		}
	}
	slices.SortFunc(out.InstanceStates, func(a, b types.InstanceState) int { return cmp.Compare(*a.InstanceId, *b.InstanceId) })
	return out, nil
}

func (b *Balancers) state(id string, i *instance) types.InstanceState {
	say := func(state, reason, text string) types.InstanceState {
		return types.InstanceState{InstanceId: &id, State: &state, ReasonCode: &reason, Description: &text}
	}
	switch {
	case i.leave:
		return say("InService", "N/A", "Instance deregistration currently in progress.")
	case b.Running != nil && !b.Running(id):
		return say("OutOfService", "Instance", "Instance is in stopped state.")
	case i.sick:
		return say("OutOfService", "Instance", "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.")
	case time.Since(i.since) < cmp.Or(b.Warm, 10*time.Second):
		return say("OutOfService", "ELB", "Instance registration is still in progress.")
	default:
		return say("InService", "N/A", "N/A")
	}
}
