package ec2

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
)

// classic is a classic load balancer.
type classic struct {
	client ClassicClient
	named  string
}

func (c *classic) String() string { return "classic load balancer " + c.named }

func (c *classic) check(ctx context.Context) error {
	_, err := c.delay(ctx)
	return err
}

func instances(ids []string) []types.Instance {
	out := make([]types.Instance, len(ids))
	for i := range ids {
		out[i].InstanceId = &ids[i]
	}
	return out
}

func (c *classic) put(ctx context.Context, ids []string) error {
	_, err := awserror.Ask(ctx, c.client.RegisterInstancesWithLoadBalancer, &elb.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: &c.named, Instances: instances(ids)})
	return err
}

func (c *classic) take(ctx context.Context, ids []string) error {
	_, err := awserror.Ask(ctx, c.client.DeregisterInstancesFromLoadBalancer, &elb.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: &c.named, Instances: instances(ids)})
	if err != nil && len(ids) == 1 && c.single(err) {
		return nil // it is not registered, which is what was wanted
	}
	return err
}

func (c *classic) single(err error) bool { return awserror.Code(err) == "InvalidInstance" }

func (c *classic) delay(ctx context.Context) (time.Duration, error) {
	out, err := awserror.Ask(ctx, c.client.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerName: &c.named})
	if err != nil {
		return 0, err
	}
	if a := out.LoadBalancerAttributes; a != nil && a.ConnectionDraining != nil && a.ConnectionDraining.Enabled {
		return time.Duration(aws.ToInt32(a.ConnectionDraining.Timeout)) * time.Second, nil
	}
	return 0, nil
}

func (c *classic) read(ctx context.Context) (map[string]standing, error) {
	out, err := awserror.Ask(ctx, c.client.DescribeInstanceHealth, &elb.DescribeInstanceHealthInput{LoadBalancerName: &c.named})
	if err != nil {
		return nil, err
	}
	all := make(map[string]standing, len(out.InstanceStates))
	for _, s := range out.InstanceStates {
		if s.InstanceId != nil {
			all[*s.InstanceId] = classicHealth(s)
		}
	}
	return all, nil
}

// classicStates is what the states of instances mean for hosts, and classicTexts where
// only the description says more, by what it contains.
var (
	classicStates = map[string]state{"InService": serving, "OutOfService": sick}
	classicTexts  = []struct {
		text string
		is   state
	}{
		{"deregistration currently in progress", draining},
		{"registration is still in progress", coming},
		{"not currently registered", absent},
		{"in stopped state", down},
		{"in terminated state", down},
		{"in pending state", coming},
		{"not configured to route traffic", unused},
	}
)

func classicHealth(s types.InstanceState) standing {
	st, known := classicStates[aws.ToString(s.State)]
	if !known {
		st = strange
	}
	text := aws.ToString(s.Description)
	for _, t := range classicTexts {
		if strings.Contains(text, t.text) {
			st = t.is
			break
		}
	}
	return standing{State: st, Reason: aws.ToString(s.ReasonCode), Text: text}
}
