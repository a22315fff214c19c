package ecs

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// service is a service with its task sets, oldest first. Services of the ECS
// controller have one task set for each service revision that has tasks.
type service struct {
	types.Service
	cluster string
	sets    []*taskSet
	tokens  map[string]*taskSet
}

func (e *ECS) createService(in *sdk.CreateServiceInput) (*sdk.CreateServiceOutput, error) {
	cluster, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	controller := &types.DeploymentController{Type: types.DeploymentControllerTypeEcs}
	if in.DeploymentController != nil {
		controller = in.DeploymentController
	}
	external := controller.Type == types.DeploymentControllerTypeExternal
	switch {
	case external && in.TaskDefinition != nil:
		return nil, invalid("Task definition cannot be specified for a service of the EXTERNAL deployment controller.")
	case slices.ContainsFunc(e.services, func(s *service) bool { return s.cluster == cluster && *s.ServiceName == *in.ServiceName }):
		return nil, invalid("Creation of service was not idempotent.")
	}
	s := &service{cluster: cluster, tokens: map[string]*taskSet{}, Service: types.Service{
		ServiceName: in.ServiceName, ServiceArn: arn("service", cluster, *in.ServiceName), ClusterArn: arn("cluster", cluster),
		DeploymentController: controller, DesiredCount: aws.ToInt32(in.DesiredCount), Status: aws.String("ACTIVE"),
		SchedulingStrategy: cmp.Or(in.SchedulingStrategy, types.SchedulingStrategyReplica), CreatedAt: aws.Time(time.Now()),
		LoadBalancers: in.LoadBalancers, NetworkConfiguration: in.NetworkConfiguration, LaunchType: in.LaunchType,
		PlatformVersion: in.PlatformVersion, DeploymentConfiguration: in.DeploymentConfiguration,
	}}
	if !external {
		d, err := e.definition(in.TaskDefinition)
		if err != nil {
			return nil, err
		}
		s.TaskDefinition = d.TaskDefinitionArn
		set := e.newSet(s, d)
		set.Status = aws.String(primary)
		e.reconcile(s)
	}
	e.services = append(e.services, s)
	return &sdk.CreateServiceOutput{Service: e.describe(s)}, nil
}

func (e *ECS) service(cluster, name *string) (*service, error) {
	in, err := e.cluster(cluster)
	if err != nil {
		return nil, err
	}
	for _, s := range e.services {
		if s.cluster == in && *s.ServiceName == last(aws.ToString(name)) {
			return s, nil
		}
	}
	return nil, &types.ServiceNotFoundException{Message: aws.String("Service not found.")}
}

func (e *ECS) describeServices(in *sdk.DescribeServicesInput) (*sdk.DescribeServicesOutput, error) {
	if len(in.Services) == 0 || len(in.Services) > 10 {
		return nil, invalid("1 to 10 services must be named.")
	}
	if _, err := e.cluster(in.Cluster); err != nil {
		return nil, err
	}
	out := &sdk.DescribeServicesOutput{}
	for _, name := range in.Services {
		s, err := e.service(in.Cluster, &name)
		if err != nil {
			out.Failures = append(out.Failures, types.Failure{Arn: arn("service", last(*in.Cluster), last(name)), Reason: aws.String("MISSING")})
			continue
		}
		out.Services = append(out.Services, *e.describe(s))
	}
	return out, nil
}

// describe is the service as it is told to callers.
func (e *ECS) describe(s *service) *types.Service {
	out := s.Service
	external := s.DeploymentController.Type == types.DeploymentControllerTypeExternal || s.DeploymentController.Type == types.DeploymentControllerTypeCodeDeploy
	for _, set := range s.sets {
		shown := e.describeSet(set)
		out.RunningCount += shown.RunningCount
		out.PendingCount += shown.PendingCount
		if external {
			out.TaskSets = append(out.TaskSets, shown)
		}
	}
	return &out
}

// updateService changes what the controller lets it change.
func (e *ECS) updateService(in *sdk.UpdateServiceInput) (*sdk.UpdateServiceOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if s.DeploymentController.Type == types.DeploymentControllerTypeEcs {
		return e.updateNative(s, in)
	}
	if in.TaskDefinition != nil || in.LoadBalancers != nil || in.NetworkConfiguration != nil || in.PlatformVersion != nil {
		return nil, invalid("Unable to update task definition, load balancers, network configuration or platform version on services with a %s deployment controller.", s.DeploymentController.Type)
	}
	if in.DesiredCount != nil {
		s.DesiredCount = *in.DesiredCount
		e.reconcile(s)
	}
	return &sdk.UpdateServiceOutput{Service: e.describe(s)}, nil
}

// reconcile starts and stops tasks until each task set has as many as it should.
func (e *ECS) reconcile(s *service) {
	for _, set := range s.sets {
		want := set.desired()
		live := set.live()
		for ; len(live) < want; want-- {
			e.startTask(set)
		}
		for _, t := range live[min(want, len(live)):] {
			e.stopTask(set, t, types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by deployment "+*set.Id)
		}
	}
}

// desired is how many tasks the set should have.
func (set *taskSet) desired() int {
	if *set.Status == draining || set.Scale == nil {
		return 0
	}
	return int(math.Ceil(float64(set.of.DesiredCount) * set.Scale.Value / 100))
}

// Desired sets a service's desired count the way somebody else does it.
func (e *ECS) Desired(cluster, name string, n int32) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.service(&cluster, &name)
	if err != nil {
		return fmt.Errorf("%s in %s: %w", name, cluster, err)
	}
	s.DesiredCount = n
	e.reconcile(s)
	return nil
}
