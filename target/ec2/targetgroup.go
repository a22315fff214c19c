package ec2

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// targetGroup is a target group of an Application or Network Load Balancer.
type targetGroup struct {
	client TargetGroupClient
	named  string // as the user names it

	mu    sync.Mutex
	known string // ARN; empty: not looked up yet
}

func (g *targetGroup) String() string { return "target group " + g.named }

// look reads the group's description.
func (g *targetGroup) look(ctx context.Context) (types.TargetGroup, error) {
	in := &elb.DescribeTargetGroupsInput{Names: []string{g.named}}
	if strings.HasPrefix(g.named, "arn:") {
		in = &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{g.named}}
	}
	out, err := awserror.Ask(ctx, g.client.DescribeTargetGroups, in)
	if err != nil {
		return types.TargetGroup{}, err
	}
	if len(out.TargetGroups) != 1 || aws.ToString(out.TargetGroups[0].TargetGroupArn) == "" {
		return types.TargetGroup{}, refuse(lifecycle.TargetFailed, "%s: the answer describes %d groups, not one", g, len(out.TargetGroups))
	}
	return out.TargetGroups[0], nil
}

// arn looks the group's ARN up once.
func (g *targetGroup) arn(ctx context.Context) (*string, error) {
	g.mu.Lock()
	known := g.known
	g.mu.Unlock()
	if known == "" && strings.HasPrefix(g.named, "arn:") {
		known = g.named
	}
	if known == "" {
		d, err := g.look(ctx)
		if err != nil {
			return nil, err
		}
		known = *d.TargetGroupArn
		g.mu.Lock()
		g.known = known
		g.mu.Unlock()
	}
	return &known, nil
}

func (g *targetGroup) check(ctx context.Context) error {
	d, err := g.look(ctx)
	switch {
	case err != nil:
		return err
	case d.TargetType != types.TargetTypeEnumInstance:
		return refuse(lifecycle.TargetFailed, "%s has targets of type %s; hosts need one of type instance", g, d.TargetType)
	case len(d.LoadBalancerArns) == 0:
		return refuse(lifecycle.TrafficUnhealthy, "no listener of a load balancer leads to %s, so nothing in it ever becomes healthy; attach it, or leave it out", g)
	}
	return nil
}

func targets(ids []string) []types.TargetDescription {
	out := make([]types.TargetDescription, len(ids))
	for i := range ids {
		out[i].Id = &ids[i]
	}
	return out
}

func (g *targetGroup) put(ctx context.Context, ids []string) error {
	arn, err := g.arn(ctx)
	if err == nil {
		_, err = awserror.Ask(ctx, g.client.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: targets(ids)})
	}
	return err
}

func (g *targetGroup) take(ctx context.Context, ids []string) error {
	arn, err := g.arn(ctx)
	if err == nil {
		_, err = awserror.Ask(ctx, g.client.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: arn, Targets: targets(ids)})
	}
	if len(ids) == 1 && awserror.Code(err) == "InvalidTarget" {
		return nil // it is not registered, which is what was wanted; a look at the health will tell
	}
	return err
}

func (g *targetGroup) single(err error) bool {
	return awserror.Code(err) == "InvalidTarget" || awserror.Code(err) == "ValidationError"
}

func (g *targetGroup) delay(ctx context.Context) (time.Duration, error) {
	arn, err := g.arn(ctx)
	if err != nil {
		return 0, err
	}
	out, err := awserror.Ask(ctx, g.client.DescribeTargetGroupAttributes, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: arn})
	if err != nil {
		return 0, err
	}
	for _, a := range out.Attributes {
		if aws.ToString(a.Key) == "deregistration_delay.timeout_seconds" {
			if n, err := strconv.Atoi(aws.ToString(a.Value)); err == nil {
				return time.Duration(n) * time.Second, nil
			}
		}
	}
	return 300 * time.Second, nil // AWS's default
}

func (g *targetGroup) read(ctx context.Context) (map[string]standing, error) {
	arn, err := g.arn(ctx)
	if err != nil {
		return nil, err
	}
	out, err := awserror.Ask(ctx, g.client.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: arn})
	if err != nil {
		return nil, err
	}
	all := make(map[string]standing, len(out.TargetHealthDescriptions))
	for _, d := range out.TargetHealthDescriptions {
		if d.Target == nil || d.Target.Id == nil || d.TargetHealth == nil {
			continue // says nothing about anybody
		}
		next, id := healthOf(*d.TargetHealth), *d.Target.Id
		if before, twice := all[id]; !twice || worse(next.State, before.State) {
			all[id] = next // on several ports: it is as well as its worst one
		}
	}
	return all, nil
}

// healthStates is what the states of targets mean for hosts.
var healthStates = map[types.TargetHealthStateEnum]state{
	types.TargetHealthStateEnumInitial:           coming,
	types.TargetHealthStateEnumHealthy:           serving,
	types.TargetHealthStateEnumUnhealthy:         sick,
	types.TargetHealthStateEnumUnhealthyDraining: sick, // still registered, and gets no new connections
	types.TargetHealthStateEnumDraining:          draining,
	types.TargetHealthStateEnumUnused:            unused,
	types.TargetHealthStateEnumUnavailable:       strange,
}

// healthReasons is where the reason says more than the state.
var healthReasons = map[types.TargetHealthReasonEnum]state{
	types.TargetHealthReasonEnumNotRegistered:       absent,
	types.TargetHealthReasonEnumInvalidState:        down,
	types.TargetHealthReasonEnumHealthCheckDisabled: serving, // whoever disables checks wants traffic without
}

func healthOf(h types.TargetHealth) standing {
	st, known := healthStates[h.State]
	if !known {
		st = strange
	}
	if more, ok := healthReasons[h.Reason]; ok {
		st = more
	}
	text := aws.ToString(h.Description)
	if !known {
		text = "unknown state " + string(h.State) + ": " + text
	}
	return standing{State: st, Reason: string(h.Reason), Text: text}
}

// badness orders states for a host that has several.
var badness = map[state]int{absent: 0, serving: 1, coming: 2, unused: 3, strange: 4, sick: 5, draining: 6, down: 7}

func worse(a, b state) bool { return badness[a] > badness[b] }
