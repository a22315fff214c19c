package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakeecs "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	fakeelb "github.com/cutover-deploy/cutover/internal/awsfake/elb"
)

// world is a cluster in this process with a service of two tasks, which are started in
// milliseconds. Those of web:3 crash.
type world struct {
	at               place
	lb, blue, green  string
	production, test string
	err              error // the first one
}

func newWorld(ctx context.Context) (*world, error) {
	api := &awsfake.API{}
	balancers := fakeelb.New(api)
	balancers.Registering = 100 * time.Millisecond
	services := fakeecs.New(api, balancers)
	services.Start, services.Stop, services.Again = 300*time.Millisecond, 300*time.Millisecond, 100*time.Millisecond
	services.Behave("web:3", fakeecs.Behaviour{Crash: 50 * time.Millisecond})
	w := &world{at: placeOf(api.Config())}
	w.balancer(ctx)
	w.service(ctx)
	for range 100 { // until it serves
		out, err := w.at.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &w.blue})
		if w.note(err); w.err != nil {
			return nil, w.err
		}
		healthy := 0
		for _, d := range out.TargetHealthDescriptions {
			if d.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				healthy++
			}
		}
		if healthy == 2 {
			return w, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.New("the world in the process does not start")
}

func (w *world) note(err error) { w.err = errors.Join(w.err, err) }

func (w *world) balancer(ctx context.Context) {
	lb, err := w.at.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("web")})
	if w.note(err); err != nil {
		return
	}
	w.lb = *lb.LoadBalancers[0].LoadBalancerArn
	w.blue, w.green = w.group(ctx, "web-blue"), w.group(ctx, "web-green")
	w.production, w.test = w.listener(ctx, 80), w.listener(ctx, 8080)
}

func (w *world) group(ctx context.Context, name string) string {
	g, err := w.at.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: &name, Port: aws.Int32(8080), Protocol: elbtypes.ProtocolEnumHttp, TargetType: elbtypes.TargetTypeEnumIp})
	if w.note(err); err != nil {
		return ""
	}
	return *g.TargetGroups[0].TargetGroupArn
}

func (w *world) listener(ctx context.Context, port int32) string {
	l, err := w.at.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: &w.lb, Port: &port, Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.blue}}})
	if w.note(err); err != nil {
		return ""
	}
	return *l.Listeners[0].ListenerArn
}

func (w *world) service(ctx context.Context) {
	cluster, name := aws.String("main"), aws.String("web")
	_, err := w.at.ecs.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: cluster})
	w.note(err)
	for range 3 {
		_, err := w.at.ecs.RegisterTaskDefinition(ctx, &awsecs.RegisterTaskDefinitionInput{Family: name,
			TaskRoleArn: aws.String("arn:aws:iam::123456789012:role/web-task"), ExecutionRoleArn: aws.String("arn:aws:iam::123456789012:role/web-execution"),
			ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app"), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}}}}})
		w.note(err)
	}
	_, err = w.at.ecs.CreateService(ctx, &awsecs.CreateServiceInput{Cluster: cluster, ServiceName: name, DesiredCount: aws.Int32(2),
		DeploymentController: &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeExternal}})
	w.note(err)
	set, err := w.at.ecs.CreateTaskSet(ctx, &awsecs.CreateTaskSetInput{Cluster: cluster, Service: name, TaskDefinition: aws.String("web:1"), ExternalId: aws.String("demo-1"),
		Scale:         &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: 100},
		LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: &w.blue, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}}})
	if w.note(err); err != nil {
		return
	}
	_, err = w.at.ecs.UpdateServicePrimaryTaskSet(ctx, &awsecs.UpdateServicePrimaryTaskSetInput{Cluster: cluster, Service: name, PrimaryTaskSet: set.TaskSet.TaskSetArn})
	w.note(err)
}

// weight is how much of the production traffic web-green has.
func (w *world) weight(ctx context.Context) (int32, error) {
	out, err := w.at.elb.DescribeListeners(ctx, &elb.DescribeListenersInput{ListenerArns: []string{w.production}})
	if err != nil {
		return 0, err
	}
	for _, g := range out.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups {
		if *g.TargetGroupArn == w.green {
			return *g.Weight, nil
		}
	}
	return 0, nil
}
