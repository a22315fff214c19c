package ecs

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// The states of a task set. They are no enumeration in the API.
const (
	primary  = "PRIMARY"
	active   = "ACTIVE"
	draining = "DRAINING"
)

const maxSets = 5

// taskSet is a task set with its tasks, oldest first, those that have stopped
// included.
type taskSet struct {
	types.TaskSet
	of    *service
	asked *sdk.CreateTaskSetInput
	tasks []*task
}

func (set *taskSet) live() []*task {
	return slices.DeleteFunc(slices.Clone(set.tasks), func(t *task) bool { return *t.DesiredStatus == "STOPPED" })
}

func (e *ECS) newSet(s *service, d *types.TaskDefinition) *taskSet {
	id := e.number()
	set := &taskSet{of: s, TaskSet: types.TaskSet{
		Id: aws.String("ecs-svc/" + id), TaskSetArn: arn("task-set", s.cluster, *s.ServiceName, "ecs-svc", id),
		ServiceArn: s.ServiceArn, ClusterArn: s.ClusterArn, Status: aws.String(active), TaskDefinition: d.TaskDefinitionArn,
		Scale: &types.Scale{Unit: types.ScaleUnitPercent, Value: 100}, LoadBalancers: s.LoadBalancers,
		NetworkConfiguration: s.NetworkConfiguration, LaunchType: s.LaunchType, PlatformVersion: s.PlatformVersion,
		CreatedAt: aws.Time(time.Now()), UpdatedAt: aws.Time(time.Now()),
	}}
	s.sets = append(s.sets, set)
	e.history = append(e.history, set)
	return set
}

// Made lists the external ids of all task sets that were ever made.
func (e *ECS) Made() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, len(e.history))
	for i, set := range e.history {
		ids[i] = aws.ToString(set.ExternalId)
	}
	return ids
}

func (e *ECS) createTaskSet(in *sdk.CreateTaskSetInput) (*sdk.CreateTaskSetOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if token := aws.ToString(in.ClientToken); token != "" && s.tokens[token] != nil {
		before := s.tokens[token]
		if aws.ToString(before.asked.TaskDefinition) != aws.ToString(in.TaskDefinition) || aws.ToString(before.asked.ExternalId) != aws.ToString(in.ExternalId) {
			return nil, invalid("The client token was used before with other parameters.")
		}
		return &sdk.CreateTaskSetOutput{TaskSet: new(e.describeSet(before))}, nil
	}
	d, err := e.fits(s, in)
	if err != nil {
		return nil, err
	}
	set := e.newSet(s, d)
	set.asked, set.ExternalId, set.Tags = awsfake.Clone(in), in.ExternalId, in.Tags
	set.LoadBalancers, set.NetworkConfiguration, set.ServiceRegistries = in.LoadBalancers, in.NetworkConfiguration, in.ServiceRegistries
	set.LaunchType, set.CapacityProviderStrategy, set.PlatformVersion = in.LaunchType, in.CapacityProviderStrategy, in.PlatformVersion
	if in.Scale != nil {
		set.Scale = in.Scale
	} else {
		set.Scale = &types.Scale{Unit: types.ScaleUnitPercent, Value: 0}
	}
	if in.ClientToken != nil {
		s.tokens[*in.ClientToken] = set
	}
	e.reconcile(s)
	return &sdk.CreateTaskSetOutput{TaskSet: new(e.describeSet(set))}, nil
}

// fits refuses a task set that the service cannot have.
func (e *ECS) fits(s *service, in *sdk.CreateTaskSetInput) (*types.TaskDefinition, error) {
	d, err := e.definition(in.TaskDefinition)
	switch {
	case err != nil:
		return nil, invalid("TaskDefinition not found.")
	case s.DeploymentController.Type == types.DeploymentControllerTypeEcs:
		return nil, invalid("CreateTaskSet is not supported for services of the ECS deployment controller.")
	case len(s.sets) >= maxSets:
		return nil, invalid("Service can have a maximum of 5 task sets or deployments.")
	case len(aws.ToString(in.ClientToken)) > 36:
		return nil, invalid("Client token has a maximum length of 36.")
	case in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0:
		return nil, invalid("Specifying both a launch type and capacity provider strategy is not supported.")
	case d.NetworkMode == types.NetworkModeAwsvpc && in.NetworkConfiguration == nil:
		return nil, invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	for _, lb := range in.LoadBalancers {
		if !exposes(d, aws.ToString(lb.ContainerName), aws.ToInt32(lb.ContainerPort)) {
			return nil, invalid("The container %s did not have a container port %d defined.", aws.ToString(lb.ContainerName), aws.ToInt32(lb.ContainerPort))
		}
	}
	return d, nil
}

func exposes(d *types.TaskDefinition, container string, port int32) bool {
	for _, c := range d.ContainerDefinitions {
		for _, m := range c.PortMappings {
			if *c.Name == container && aws.ToInt32(m.ContainerPort) == port {
				return true
			}
		}
	}
	return false
}

// find finds a task set by ARN or id.
func (s *service) find(name *string) (*taskSet, error) {
	for _, set := range s.sets {
		if n := aws.ToString(name); n == *set.TaskSetArn || n == *set.Id {
			return set, nil
		}
	}
	return nil, &types.TaskSetNotFoundException{Message: aws.String("The specified task set was not found.")}
}

func (e *ECS) describeTaskSets(in *sdk.DescribeTaskSetsInput) (*sdk.DescribeTaskSetsOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	out := &sdk.DescribeTaskSetsOutput{}
	for _, set := range s.sets {
		if len(in.TaskSets) == 0 || slices.Contains(in.TaskSets, *set.TaskSetArn) || slices.Contains(in.TaskSets, *set.Id) {
			out.TaskSets = append(out.TaskSets, e.describeSet(set))
		}
	}
	for _, name := range in.TaskSets {
		if _, err := s.find(&name); err != nil {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(name), Reason: aws.String("MISSING")})
		}
	}
	return out, nil
}

// describeSet is a task set as it is told to callers.
func (e *ECS) describeSet(set *taskSet) types.TaskSet {
	out := set.TaskSet
	out.ComputedDesiredCount = int32(set.desired())
	for _, t := range set.live() {
		if *t.LastStatus == "RUNNING" {
			out.RunningCount++
		} else {
			out.PendingCount++
		}
	}
	out.StabilityStatus = types.StabilityStatusStabilizing
	if out.RunningCount == out.ComputedDesiredCount && out.PendingCount == 0 && e.targetsFine(set) {
		out.StabilityStatus = types.StabilityStatusSteadyState
	}
	return out
}

// targetsFine reports whether no load balancer has anything against the tasks.
func (e *ECS) targetsFine(set *taskSet) bool {
	for _, lb := range set.LoadBalancers {
		health := e.balancers.Targets(aws.ToString(lb.TargetGroupArn))
		for _, t := range set.live() {
			switch h, known := health[t.ip]; {
			case t.behaviour.Unregistered:
			case !known, h == elbtypes.TargetHealthStateEnumInitial, h == elbtypes.TargetHealthStateEnumUnhealthy:
				return false
			}
		}
	}
	return true
}

func (e *ECS) updatePrimary(in *sdk.UpdateServicePrimaryTaskSetInput) (*sdk.UpdateServicePrimaryTaskSetOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	set, err := s.find(in.PrimaryTaskSet)
	switch {
	case err != nil:
		return nil, err
	case *set.Status == draining:
		return nil, invalid("The task set is draining.")
	}
	for _, other := range s.sets {
		if *other.Status == primary {
			other.Status = aws.String(active)
		}
	}
	set.Status, set.UpdatedAt = aws.String(primary), aws.Time(time.Now())
	s.TaskDefinition, s.LoadBalancers, s.NetworkConfiguration = set.TaskDefinition, set.LoadBalancers, set.NetworkConfiguration
	return &sdk.UpdateServicePrimaryTaskSetOutput{TaskSet: new(e.describeSet(set))}, nil
}

// deleteTaskSet stops the tasks of a set. It is listed as draining until they have
// stopped.
func (e *ECS) deleteTaskSet(in *sdk.DeleteTaskSetInput) (*sdk.DeleteTaskSetOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	set, err := s.find(in.TaskSet)
	switch {
	case err != nil:
		return nil, err
	case *set.Status == draining:
		return &sdk.DeleteTaskSetOutput{TaskSet: new(e.describeSet(set))}, nil
	case !aws.ToBool(in.Force) && (*set.Status == primary || set.Scale.Value > 0):
		return nil, invalid("Unable to delete a task set that is primary or has not been scaled down to 0.")
	}
	e.removeSet(set)
	return &sdk.DeleteTaskSetOutput{TaskSet: new(e.describeSet(set))}, nil
}

func (e *ECS) removeSet(set *taskSet) {
	set.Status = aws.String(draining)
	e.reconcile(set.of)
	e.later(e.Stop, func() {
		set.of.sets = slices.DeleteFunc(set.of.sets, func(o *taskSet) bool { return o == set })
	})
}
