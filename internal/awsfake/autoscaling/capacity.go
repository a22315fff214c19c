package autoscaling

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

func (g *Groups) handleCapacity(api *awsfake.API) {
	onGroup(g, api, "SetDesiredCapacity", func(in *as.SetDesiredCapacityInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.SetDesiredCapacityInput) (*as.SetDesiredCapacityOutput, error) {
			gr.DesiredCapacity = in.DesiredCapacity
			return &as.SetDesiredCapacityOutput{}, nil
		})
	on(g, api, "TerminateInstanceInAutoScalingGroup", g.terminate)
	onGroup(g, api, "EnterStandby", func(in *as.EnterStandbyInput) *string { return in.AutoScalingGroupName }, g.enterStandby)
	onGroup(g, api, "ExitStandby", func(in *as.ExitStandbyInput) *string { return in.AutoScalingGroupName }, g.exitStandby)
	onGroup(g, api, "AttachLoadBalancerTargetGroups", func(in *as.AttachLoadBalancerTargetGroupsInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.AttachLoadBalancerTargetGroupsInput) (*as.AttachLoadBalancerTargetGroupsOutput, error) {
			gr.TargetGroupARNs = union(gr.TargetGroupARNs, in.TargetGroupARNs)
			g.attach(gr, in.TargetGroupARNs)
			return &as.AttachLoadBalancerTargetGroupsOutput{}, nil
		})
	onGroup(g, api, "DetachLoadBalancerTargetGroups", func(in *as.DetachLoadBalancerTargetGroupsInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.DetachLoadBalancerTargetGroupsInput) (*as.DetachLoadBalancerTargetGroupsOutput, error) {
			gr.TargetGroupARNs = without(gr.TargetGroupARNs, in.TargetGroupARNs)
			g.detach(gr, in.TargetGroupARNs)
			return &as.DetachLoadBalancerTargetGroupsOutput{}, nil
		})
	onGroup(g, api, "AttachLoadBalancers", func(in *as.AttachLoadBalancersInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.AttachLoadBalancersInput) (*as.AttachLoadBalancersOutput, error) {
			gr.LoadBalancerNames = union(gr.LoadBalancerNames, in.LoadBalancerNames)
			g.attach(gr, in.LoadBalancerNames)
			return &as.AttachLoadBalancersOutput{}, nil
		})
	onGroup(g, api, "DetachLoadBalancers", func(in *as.DetachLoadBalancersInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.DetachLoadBalancersInput) (*as.DetachLoadBalancersOutput, error) {
			gr.LoadBalancerNames = without(gr.LoadBalancerNames, in.LoadBalancerNames)
			g.detach(gr, in.LoadBalancerNames)
			return &as.DetachLoadBalancersOutput{}, nil
		})
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// attach puts the members behind the load balancers; detach takes them away.
func (g *Groups) attach(gr *group, balancers []string) {
	if !gr.allows("AddToLoadBalancer") {
		return
	}
	for _, m := range gr.members {
		for _, b := range balancers {
			if m.state == types.LifecycleStateInService {
				g.Balancers.Register(b, m.id)
			}
		}
	}
}

func (g *Groups) detach(gr *group, balancers []string) {
	for _, m := range gr.members {
		for _, b := range balancers {
			g.Balancers.Deregister(b, m.id)
		}
	}
}

// terminate counts every call, also one about a member that is terminating already:
// AWS does not say whether it does, and that is the worse of the two.
func (g *Groups) terminate(in *as.TerminateInstanceInAutoScalingGroupInput) (*as.TerminateInstanceInAutoScalingGroupOutput, error) {
	gr, m := g.find(aws.ToString(in.InstanceId))
	if m == nil {
		return nil, awsfake.APIError("ValidationError", "Instance Id not found - No managed instance found for instance ID: "+aws.ToString(in.InstanceId))
	}
	if aws.ToBool(in.ShouldDecrementDesiredCapacity) {
		if aws.ToInt32(gr.DesiredCapacity) <= aws.ToInt32(gr.MinSize) {
			return nil, awsfake.APIError("ValidationError", "Currently, desiredSize equals minSize. Terminating instance without replacement will violate group's min size constraint.")
		}
		gr.DesiredCapacity = aws.Int32(aws.ToInt32(gr.DesiredCapacity) - 1)
	}
	g.end(gr, m, "asked for")
	return &as.TerminateInstanceInAutoScalingGroupOutput{}, nil
}

func (g *Groups) find(id string) (*group, *member) {
	for _, gr := range g.groups {
		if m := gr.member(id); m != nil {
			return gr, m
		}
	}
	return nil, nil
}

func (gr *group) member(id string) *member {
	if i := slices.IndexFunc(gr.members, func(m *member) bool { return m.id == id }); i >= 0 {
		return gr.members[i]
	}
	return nil
}

func (g *Groups) enterStandby(gr *group, in *as.EnterStandbyInput) (*as.EnterStandbyOutput, error) {
	for _, id := range in.InstanceIds {
		if m := gr.member(id); m == nil || m.state != types.LifecycleStateInService {
			return nil, awsfake.APIError("ValidationError", "The instance "+id+" is not in InService.")
		}
	}
	for _, id := range in.InstanceIds {
		m := gr.member(id)
		m.state = types.LifecycleStateStandby
		for _, b := range gr.balancers() {
			g.Balancers.Deregister(b, id)
		}
		if aws.ToBool(in.ShouldDecrementDesiredCapacity) {
			gr.DesiredCapacity = aws.Int32(aws.ToInt32(gr.DesiredCapacity) - 1)
		}
	}
	return &as.EnterStandbyOutput{}, nil
}

func (g *Groups) exitStandby(gr *group, in *as.ExitStandbyInput) (*as.ExitStandbyOutput, error) {
	for _, id := range in.InstanceIds {
		if m := gr.member(id); m == nil || m.state != types.LifecycleStateStandby {
			return nil, awsfake.APIError("ValidationError", "The instance "+id+" is not in Standby.")
		}
	}
	for _, id := range in.InstanceIds {
		gr.DesiredCapacity = aws.Int32(aws.ToInt32(gr.DesiredCapacity) + 1)
		g.admit(gr, gr.member(id))
	}
	return &as.ExitStandbyOutput{}, nil
}
