// Package ec2world is a fleet in memory: machines, Auto Scaling groups, target groups
// and classic load balancers that act on each other as those of AWS do, behind the
// SDK's own clients.
package ec2world

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbv1 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/autoscaling"
	"github.com/cutover-deploy/cutover/internal/awsfake/classic"
	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
)

// World is a region of an account.
type World struct {
	API      *awsfake.API
	Machines *machines.World
	Groups   *autoscaling.Groups
	ELB      *elb.ELB
	Classic  *classic.Balancers

	AutoScaling *as.Client
	V2          *elbv2.Client
	V1          *elbv1.Client
}

// Zones are where machines are launched.
var Zones = []string{"eu-central-1a", "eu-central-1b", "eu-central-1c"}

// New makes an empty region.
func New() *World {
	w := &World{API: &awsfake.API{}, Machines: &machines.World{Boot: 30 * time.Second, Shutdown: 20 * time.Second}}
	w.ELB = elb.New(w.API)
	w.ELB.Exists = w.Machines.Up
	w.Classic = classic.New(w.API)
	w.Classic.Running = w.Machines.Up
	w.Groups = autoscaling.New(w.API, w.Machines, w)
	w.AutoScaling, w.V2, w.V1 = as.NewFromConfig(w.API.Config()), elbv2.NewFromConfig(w.API.Config()), elbv1.NewFromConfig(w.API.Config())
	return w
}

// Register is, with Deregister and Healthy, what Auto Scaling groups do with load
// balancers of both kinds.
func (w *World) Register(balancer, id string) {
	if !strings.HasPrefix(balancer, "arn:") {
		w.Classic.Register(balancer, id)
		return
	}
	w.ELB.Register(balancer, types.TargetDescription{Id: &id}) // a machine that is gone is not registered
}

// Deregister takes an instance out of a load balancer.
func (w *World) Deregister(balancer, id string) {
	if !strings.HasPrefix(balancer, "arn:") {
		w.Classic.Deregister(balancer, id)
		return
	}
	w.ELB.Deregister(balancer, types.TargetDescription{Id: &id})
}

// Healthy reports whether an instance is in service.
func (w *World) Healthy(balancer, id string) bool {
	if !strings.HasPrefix(balancer, "arn:") {
		return w.Classic.Healthy(balancer, id)
	}
	return w.ELB.Healthy(balancer, id)
}

// Serving lists the instances that a target group sends requests to, and that answer.
func (w *World) Serving(arn string) []string {
	var ids []string
	for id, state := range w.ELB.Targets(arn) {
		if state == types.TargetHealthStateEnumHealthy && w.Machines.Up(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Vanish takes a machine away as spot interruptions do: at once, and out of every
// target group.
func (w *World) Vanish(id string, balancers ...string) {
	w.Machines.Terminate(id)
	for _, b := range balancers {
		w.Deregister(b, id)
	}
}

// TargetGroup makes a target group that a listener leads to, and returns its ARN.
// Targets drain for delay.
func (w *World) TargetGroup(ctx context.Context, name string, delay time.Duration) (string, error) {
	lb, err := w.V2.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("lb-" + name)})
	if err != nil {
		return "", err
	}
	g, err := w.V2.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{Name: &name, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		HealthCheckIntervalSeconds: aws.Int32(5), HealthyThresholdCount: aws.Int32(2)})
	if err != nil {
		return "", err
	}
	arn := g.TargetGroups[0].TargetGroupArn
	_, err = w.V2.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: arn, Attributes: []types.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String(strconv.Itoa(int(delay.Seconds())))}}})
	if err != nil {
		return "", err
	}
	_, err = w.V2.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: arn}}})
	return *arn, err
}

// Group makes an Auto Scaling group of n instances behind target groups, by ARN, and
// classic load balancers, by name.
func (w *World) Group(ctx context.Context, name string, n int, balancers ...string) error {
	in := &as.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: aws.Int32(1), MaxSize: aws.Int32(int32(2*n + 2)), DesiredCapacity: aws.Int32(int32(n)),
		AvailabilityZones: Zones, HealthCheckType: aws.String("ELB"), HealthCheckGracePeriod: aws.Int32(60),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web"), Version: aws.String("$Default")},
		Tags:           []astypes.Tag{{Key: aws.String("role"), Value: aws.String("web"), PropagateAtLaunch: aws.Bool(true), ResourceId: &name, ResourceType: aws.String("auto-scaling-group")}}}
	for _, b := range balancers {
		if strings.HasPrefix(b, "arn:") {
			in.TargetGroupARNs = append(in.TargetGroupARNs, b)
		} else {
			in.LoadBalancerNames = append(in.LoadBalancerNames, b)
		}
	}
	_, err := w.AutoScaling.CreateAutoScalingGroup(ctx, in)
	return err
}

// Run lets the world go on by itself, second by second, until ctx is done. Each is
// told the time, if it is not nil.
func (w *World) Run(ctx context.Context, each func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Groups.Settle()
			if each != nil {
				each()
			}
		}
	}
}
