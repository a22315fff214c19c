package autoscaling

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// on gives an operation to the API. Groups act before it and after it.
func on[In, Out any](g *Groups, api *awsfake.API, operation string, f func(*In) (*Out, error)) {
	awsfake.Handle(api, as.ServiceID, operation, func(_ context.Context, in *In) (*Out, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.settle()
		defer g.settle()
		return f(in)
	})
}

// onGroup is [on] for operations on one group.
func onGroup[In, Out any](g *Groups, api *awsfake.API, operation string, name func(*In) *string, f func(*group, *In) (*Out, error)) {
	on(g, api, operation, func(in *In) (*Out, error) {
		gr := g.groups[aws.ToString(name(in))]
		switch {
		case gr == nil:
			return nil, awsfake.APIError("ValidationError", "AutoScalingGroup name not found - "+aws.ToString(name(in)))
		case gr.deleting:
			return nil, awsfake.APIError("ValidationError", "AutoScalingGroup '"+aws.ToString(name(in))+"' is pending delete")
		}
		return f(gr, in)
	})
}

// pageSize is how many groups one answer holds.
const pageSize = 50

func (g *Groups) handleGroups(api *awsfake.API) {
	on(g, api, "CreateAutoScalingGroup", g.create)
	on(g, api, "DescribeAutoScalingGroups", g.describe)
	onGroup(g, api, "UpdateAutoScalingGroup", func(in *as.UpdateAutoScalingGroupInput) *string { return in.AutoScalingGroupName }, update)
	onGroup(g, api, "DeleteAutoScalingGroup", func(in *as.DeleteAutoScalingGroupInput) *string { return in.AutoScalingGroupName }, g.remove)
	on(g, api, "CreateOrUpdateTags", g.tag)
	on(g, api, "DeleteTags", g.untag)
}

func (g *Groups) create(in *as.CreateAutoScalingGroupInput) (*as.CreateAutoScalingGroupOutput, error) {
	name := aws.ToString(in.AutoScalingGroupName)
	if g.groups[name] != nil {
		return nil, awsfake.APIError("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name "+name+" already exists")
	}
	if in.LaunchConfigurationName == nil && in.LaunchTemplate == nil && in.MixedInstancesPolicy == nil && in.InstanceId == nil {
		return nil, awsfake.APIError("ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	gr := &group{suspended: map[string]bool{}}
	gr.AutoScalingGroup = types.AutoScalingGroup{
		AutoScalingGroupName: in.AutoScalingGroupName, MinSize: in.MinSize, MaxSize: in.MaxSize,
		DesiredCapacity: in.DesiredCapacity, AvailabilityZones: in.AvailabilityZones, CapacityRebalance: in.CapacityRebalance,
		DefaultCooldown: in.DefaultCooldown, DefaultInstanceWarmup: in.DefaultInstanceWarmup, DesiredCapacityType: in.DesiredCapacityType,
		HealthCheckGracePeriod: in.HealthCheckGracePeriod, HealthCheckType: in.HealthCheckType, InstanceMaintenancePolicy: in.InstanceMaintenancePolicy,
		LaunchConfigurationName: in.LaunchConfigurationName, LaunchTemplate: in.LaunchTemplate, MixedInstancesPolicy: in.MixedInstancesPolicy,
		MaxInstanceLifetime: in.MaxInstanceLifetime, NewInstancesProtectedFromScaleIn: in.NewInstancesProtectedFromScaleIn, PlacementGroup: in.PlacementGroup,
		TerminationPolicies: in.TerminationPolicies, VPCZoneIdentifier: in.VPCZoneIdentifier, LoadBalancerNames: in.LoadBalancerNames,
		TargetGroupARNs: in.TargetGroupARNs, CreatedTime: aws.Time(time.Now()),
	}
	if gr.DesiredCapacity == nil {
		gr.DesiredCapacity = gr.MinSize
	}
	g.groups[name] = gr
	for _, t := range in.Tags {
		gr.setTag(t)
	}
	return &as.CreateAutoScalingGroupOutput{}, nil
}

func (g *Groups) describe(in *as.DescribeAutoScalingGroupsInput) (*as.DescribeAutoScalingGroupsOutput, error) {
	var all []types.AutoScalingGroup
	for _, name := range slices.Sorted(maps.Keys(g.groups)) {
		gr := g.groups[name]
		if (len(in.AutoScalingGroupNames) == 0 || slices.Contains(in.AutoScalingGroupNames, name)) && gr.matches(in.Filters) {
			all = append(all, gr.show())
		}
	}
	page, _ := strconv.Atoi(aws.ToString(in.NextToken)) // no token: the first
	out := &as.DescribeAutoScalingGroupsOutput{AutoScalingGroups: all[min(page, len(all)):min(page+pageSize, len(all))]}
	if page+pageSize < len(all) {
		out.NextToken = aws.String(strconv.Itoa(page + pageSize))
	}
	return out, nil
}

// matches knows the filters tag:KEY, tag-key and tag-value.
func (gr *group) matches(filters []types.Filter) bool {
	for _, f := range filters {
		hit := slices.ContainsFunc(gr.Tags, func(t types.TagDescription) bool {
			switch name := aws.ToString(f.Name); name {
			case "tag-key":
				return slices.Contains(f.Values, aws.ToString(t.Key))
			case "tag-value":
				return slices.Contains(f.Values, aws.ToString(t.Value))
			default:
				return name == "tag:"+aws.ToString(t.Key) && slices.Contains(f.Values, aws.ToString(t.Value))
			}
		})
		if !hit {
			return false
		}
	}
	return true
}

// show is the group as clients see it: nothing of it changes later.
func (gr *group) show() types.AutoScalingGroup {
	out := gr.AutoScalingGroup
	out.Tags = slices.Clone(gr.Tags)
	out.TargetGroupARNs = slices.Clone(gr.TargetGroupARNs)
	out.LoadBalancerNames = slices.Clone(gr.LoadBalancerNames)
	out.WarmPoolConfiguration = gr.warm
	if gr.deleting {
		out.Status = aws.String("Delete in progress")
	}
	for _, m := range gr.members {
		health := "Healthy"
		if m.unhealthy {
			health = "Unhealthy"
		}
		out.Instances = append(out.Instances, types.Instance{InstanceId: aws.String(m.id), AvailabilityZone: aws.String(m.zone),
			LifecycleState: m.state, HealthStatus: &health, ProtectedFromScaleIn: aws.Bool(m.protected)})
	}
	for _, p := range slices.Sorted(maps.Keys(gr.suspended)) {
		out.SuspendedProcesses = append(out.SuspendedProcesses, types.SuspendedProcess{ProcessName: aws.String(p), SuspensionReason: aws.String("User suspended")})
	}
	return out
}

func update(gr *group, in *as.UpdateAutoScalingGroupInput) (*as.UpdateAutoScalingGroupOutput, error) {
	for to, from := range map[**int32]*int32{&gr.MinSize: in.MinSize, &gr.MaxSize: in.MaxSize, &gr.DesiredCapacity: in.DesiredCapacity} {
		if from != nil {
			*to = from
		}
	}
	if d := aws.ToInt32(gr.DesiredCapacity); d > aws.ToInt32(gr.MaxSize) || d < aws.ToInt32(gr.MinSize) {
		gr.DesiredCapacity = aws.Int32(min(max(d, aws.ToInt32(gr.MinSize)), aws.ToInt32(gr.MaxSize)))
	}
	return &as.UpdateAutoScalingGroupOutput{}, nil
}

func (g *Groups) remove(gr *group, in *as.DeleteAutoScalingGroupInput) (*as.DeleteAutoScalingGroupOutput, error) {
	if len(gr.members) > 0 && !aws.ToBool(in.ForceDelete) {
		return nil, awsfake.APIError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	for _, m := range gr.active() {
		g.end(gr, m, "the group is deleted")
	}
	gr.deleting = true
	return &as.DeleteAutoScalingGroupOutput{}, nil
}

func (gr *group) setTag(t types.Tag) {
	gr.Tags = slices.DeleteFunc(slices.Clone(gr.Tags), func(o types.TagDescription) bool { return aws.ToString(o.Key) == aws.ToString(t.Key) })
	gr.Tags = append(gr.Tags, types.TagDescription{Key: t.Key, Value: t.Value, PropagateAtLaunch: t.PropagateAtLaunch,
		ResourceId: gr.AutoScalingGroupName, ResourceType: aws.String("auto-scaling-group")})
}

func (g *Groups) tag(in *as.CreateOrUpdateTagsInput) (*as.CreateOrUpdateTagsOutput, error) {
	for _, t := range in.Tags {
		gr := g.groups[aws.ToString(t.ResourceId)]
		if gr == nil {
			return nil, awsfake.APIError("ValidationError", "AutoScalingGroup name not found - "+aws.ToString(t.ResourceId))
		}
		if len(aws.ToString(t.Value)) > 256 || len(aws.ToString(t.Key)) > 128 {
			return nil, awsfake.APIError("ValidationError", "a tag is too long")
		}
		gr.setTag(t)
	}
	return &as.CreateOrUpdateTagsOutput{}, nil
}

func (g *Groups) untag(in *as.DeleteTagsInput) (*as.DeleteTagsOutput, error) {
	for _, t := range in.Tags {
		if gr := g.groups[aws.ToString(t.ResourceId)]; gr != nil {
			gr.Tags = slices.DeleteFunc(slices.Clone(gr.Tags), func(o types.TagDescription) bool { return aws.ToString(o.Key) == aws.ToString(t.Key) })
		}
	}
	return &as.DeleteTagsOutput{}, nil
}
