package ecs

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// preflight reads everything that a deployment needs and refuses what cannot work.
func (s *Service) preflight(ctx context.Context, spec *appspec.Spec) (*before, map[string]lifecycle.Weight, error) {
	svc, err := s.describe(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkService(svc); err != nil {
		return nil, nil, err
	}
	blue, err := s.primary(svc)
	if err != nil {
		return nil, nil, err
	}
	b := &before{Primary: aws.ToString(blue.TaskSetArn), Group: groupOf(blue), Spec: spec}
	for _, set := range svc.TaskSets {
		b.TaskSets = append(b.TaskSets, aws.ToString(set.TaskSetArn))
	}
	if err := checkDefinition(ctx, s.ECS, spec.Service, blue.NetworkConfiguration); err != nil {
		return nil, nil, err
	}
	if err := s.readRoutes(ctx, b); err != nil {
		return nil, nil, err
	}
	if err := s.checkGroups(ctx, b, len(svc.TaskSets) == 1); err != nil {
		return nil, nil, err
	}
	b.Suspended, err = s.scalingState(ctx)
	return b, worst(b.Production, s.TargetGroups, b.Group), err
}

// probe asks, where the hooks can tell, whether the functions of the AppSpec could be called.
func (s *Service) probe(ctx context.Context, spec *appspec.Spec) error {
	p, ok := s.Hooks.(interface {
		Check(context.Context, ...string) error
	})
	if !ok {
		return nil
	}
	var names []string
	for _, h := range spec.Functions {
		names = append(names, h.Function)
	}
	slices.Sort(names)
	return p.Check(ctx, slices.Compact(names)...)
}

// controllers say why services of other controllers cannot be deployed to this way.
var controllers = map[ecstypes.DeploymentControllerType]string{
	ecstypes.DeploymentControllerTypeEcs: "the service is of the ECS controller, which makes no task sets for others: use Native, or make the service anew with the EXTERNAL controller",
	ecstypes.DeploymentControllerTypeCodeDeploy: "the service is of the CODE_DEPLOY controller: its task sets are CodeDeploy's, and it is not documented that anybody else may make some; " +
		"move it to the ECS controller with UpdateService and use Native, or set TryCodeDeploy to find out",
}

func (s *Service) checkService(svc *ecstypes.Service) error {
	controller := ecstypes.DeploymentControllerTypeEcs
	if svc.DeploymentController != nil {
		controller = svc.DeploymentController.Type
	}
	tries := controller == ecstypes.DeploymentControllerTypeCodeDeploy && s.TryCodeDeploy
	switch why := controllers[controller]; {
	case aws.ToString(svc.Status) != "ACTIVE":
		return fail(lifecycle.TargetFailed, "service %s is %s, not ACTIVE", s.Name, aws.ToString(svc.Status))
	case why != "" && !tries:
		return fail(lifecycle.Unsupported, "service %s: %s", s.Name, why)
	case controller != ecstypes.DeploymentControllerTypeExternal && !tries:
		return fail(lifecycle.Unsupported, "service %s has a deployment controller that nobody knows: %q", s.Name, controller)
	case svc.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon:
		return fail(lifecycle.Unsupported, "service %s runs one task per host (DAEMON): blue/green needs REPLICA", s.Name)
	case svc.DesiredCount < 1:
		return fail(lifecycle.TargetFailed, "service %s has the desired count 0: no task would serve after the deployment; raise it first", s.Name)
	}
	return s.checkStale(svc)
}

// checkStale refuses task sets that other deployments have left. They are theirs: they may
// still have traffic, and somebody may still want them.
func (s *Service) checkStale(svc *ecstypes.Service) error {
	if s.RemoveStale {
		return nil
	}
	stale := slices.DeleteFunc(slices.Clone(svc.TaskSets), func(set ecstypes.TaskSet) bool {
		return slices.Contains([]string{primaryStatus, drainingStatus}, aws.ToString(set.Status))
	})
	if len(stale) == 0 {
		return nil
	}
	return fail(lifecycle.UnitBusy, "service %s has task sets beside the primary one, which another deployment has left or is working on: %s; delete them with DeleteTaskSet, or set RemoveStale", s.Name, tellSets(stale))
}

// definitions and services are parts of the clients.
type (
	definitions interface {
		DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
	}
	services interface {
		DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error)
	}
)

// checkDefinition sees to it that the AppSpec fits the task definition, and pins that.
func checkDefinition(ctx context.Context, api definitions, spec *appspec.Service, network *ecstypes.NetworkConfiguration) error {
	out, err := call(ctx, "ecs:DescribeTaskDefinition", spec.TaskDefinition, api.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &spec.TaskDefinition}, func(out *ecs.DescribeTaskDefinitionOutput) error {
		if out.TaskDefinition == nil {
			return odd(lifecycle.Unknown, "ECS says nothing about the task definition %s", spec.TaskDefinition)
		}
		return nil
	})
	if isA[*ecstypes.ClientException](err) {
		return fail(lifecycle.RevisionInvalid, "the AppSpec's task definition %s does not exist: register it first", spec.TaskDefinition)
	}
	if err != nil {
		return err
	}
	if err := fits(out.TaskDefinition, spec, network); err != nil {
		return err
	}
	// A family alone means its newest revision: what was checked is what is deployed.
	spec.TaskDefinition = cmp.Or(aws.ToString(out.TaskDefinition.TaskDefinitionArn), spec.TaskDefinition)
	return nil
}

func fits(d *ecstypes.TaskDefinition, spec *appspec.Service, network *ecstypes.NetworkConfiguration) error {
	name := aws.ToString(d.TaskDefinitionArn)
	i := slices.IndexFunc(d.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool { return aws.ToString(c.Name) == spec.ContainerName })
	switch {
	case d.Status != "" && d.Status != ecstypes.TaskDefinitionStatusActive:
		return fail(lifecycle.RevisionInvalid, "task definition %s is %s: register a new revision of it", name, d.Status)
	case i < 0:
		return fail(lifecycle.RevisionInvalid, "task definition %s has no container %q, which the AppSpec names in LoadBalancerInfo", name, spec.ContainerName)
	case !slices.ContainsFunc(d.ContainerDefinitions[i].PortMappings, func(m ecstypes.PortMapping) bool { return int(aws.ToInt32(m.ContainerPort)) == spec.ContainerPort }):
		return fail(lifecycle.RevisionInvalid, "container %s of task definition %s has no port %d, which the AppSpec names in LoadBalancerInfo", spec.ContainerName, name, spec.ContainerPort)
	case d.NetworkMode == ecstypes.NetworkModeAwsvpc && spec.Network == nil && network == nil:
		return fail(lifecycle.RevisionInvalid, "task definition %s has network mode awsvpc: the AppSpec must have a NetworkConfiguration, since there is none to take over from what serves", name)
	}
	return nil
}

// readRoutes reads how traffic comes in, and refuses ways in that cannot be divided.
func (s *Service) readRoutes(ctx context.Context, b *before) (err error) {
	if b.Production, err = s.surfaces(ctx, s.Production); err != nil {
		return err
	}
	if b.Test, err = s.surfaces(ctx, s.Test); err != nil {
		return err
	}
	for _, sf := range append(slices.Clone(b.Production), b.Test...) {
		if sh := split(sf.Actions, s.TargetGroups); sh.other > 0 || len(sh.of) == 0 {
			return fail(lifecycle.TargetFailed, "%s divides traffic as follows: %s; it must lead to the two target groups of the service and nowhere else", sf.Arn, sh.tell(s.TargetGroups))
		}
	}
	return nil
}

// checkGroups sees to it that the two target groups can stand in for one another, that the
// one that serves is healthy, and that nobody else uses the other one.
func (s *Service) checkGroups(ctx context.Context, b *before, alone bool) error {
	out, err := call(ctx, "elasticloadbalancing:DescribeTargetGroups", groupName(s.TargetGroups[0]), s.ELB.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{TargetGroupArns: s.TargetGroups[:]}, func(out *elb.DescribeTargetGroupsOutput) error {
		if len(out.TargetGroups) != 2 {
			return odd(lifecycle.Unknown, "Elastic Load Balancing tells %d target groups where two were asked for", len(out.TargetGroups))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if one, two := out.TargetGroups[0], out.TargetGroups[1]; one.TargetType != two.TargetType || one.Protocol != two.Protocol || aws.ToString(one.VpcId) != aws.ToString(two.VpcId) {
		return fail(lifecycle.TargetFailed, "the target groups cannot stand in for one another: %s is %s, %s is %s", groupName(s.TargetGroups[0]), tellGroup(one), groupName(s.TargetGroups[1]), tellGroup(two))
	}
	blue, green := b.Group, s.TargetGroups[0]
	if blue == green {
		green = s.TargetGroups[1]
	}
	h, err := s.targets(ctx, blue)
	if err != nil {
		return err
	}
	if h.healthy == 0 {
		return fail(lifecycle.TrafficUnhealthy, "target group %s of the primary task set has no healthy target (%s): there would be nothing to go back to; mend the service first", groupName(blue), h)
	}
	if h, err = s.targets(ctx, green); err != nil || !alone || h.healthy+h.others() == 0 {
		return err
	}
	return fail(lifecycle.UnitBusy, "target group %s has targets that belong to no task set of service %s (%s): deregister them, they would get traffic", groupName(green), s.Name, h)
}

func tellGroup(g elbtypes.TargetGroup) string {
	return string(g.TargetType) + " " + string(g.Protocol) + " in " + aws.ToString(g.VpcId)
}
