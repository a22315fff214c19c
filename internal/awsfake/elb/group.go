package elb

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// group is a target group.
type group struct {
	types.TargetGroup
	attributes map[string]string
	targets    []*tgt
	used       bool // a listener or a rule leads here
	scripts    map[string]Check
}

const delayAttribute = "deregistration_delay.timeout_seconds"

func (e *ELB) createLoadBalancer(in *api.CreateLoadBalancerInput) (*api.CreateLoadBalancerOutput, error) {
	kind := cmp.Or(in.Type, types.LoadBalancerTypeEnumApplication)
	path := map[types.LoadBalancerTypeEnum]string{types.LoadBalancerTypeEnumApplication: "app", types.LoadBalancerTypeEnumNetwork: "net"}[kind]
	for _, lb := range e.balancers {
		if aws.ToString(lb.LoadBalancerName) == aws.ToString(in.Name) {
			return nil, &types.DuplicateLoadBalancerNameException{Message: aws.String("a load balancer of that name exists")}
		}
	}
	lb := &types.LoadBalancer{LoadBalancerName: in.Name, Type: kind, LoadBalancerArn: aws.String(e.arn("loadbalancer", path, aws.ToString(in.Name))),
		State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive}, CreatedTime: aws.Time(time.Now())}
	e.balancers = append(e.balancers, lb)
	return &api.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{*lb}}, nil
}

func (e *ELB) describeLoadBalancers(in *api.DescribeLoadBalancersInput) (*api.DescribeLoadBalancersOutput, error) {
	var out []types.LoadBalancer
	for _, lb := range e.balancers {
		if len(in.LoadBalancerArns)+len(in.Names) == 0 || slices.Contains(in.LoadBalancerArns, *lb.LoadBalancerArn) || slices.Contains(in.Names, *lb.LoadBalancerName) {
			out = append(out, *lb)
		}
	}
	if len(out) < len(in.LoadBalancerArns)+len(in.Names) {
		return nil, &types.LoadBalancerNotFoundException{Message: aws.String("one or more load balancers not found")}
	}
	some, next, err := page(out, in.PageSize, in.Marker)
	return &api.DescribeLoadBalancersOutput{LoadBalancers: some, NextMarker: next}, err
}

func (e *ELB) createTargetGroup(in *api.CreateTargetGroupInput) (*api.CreateTargetGroupOutput, error) {
	name := aws.ToString(in.Name)
	if slices.ContainsFunc(e.groups, func(g *group) bool { return *g.TargetGroupName == name }) {
		return nil, &types.DuplicateTargetGroupNameException{Message: aws.String("a target group of that name exists")}
	}
	g := &group{scripts: map[string]Check{}, attributes: map[string]string{delayAttribute: "300", "slow_start.duration_seconds": "0", "stickiness.enabled": "false"}}
	g.TargetGroup = types.TargetGroup{
		TargetGroupName: in.Name, Port: in.Port, Protocol: in.Protocol, VpcId: in.VpcId,
		TargetGroupArn:             aws.String(e.arn("targetgroup", name)),
		TargetType:                 cmp.Or(in.TargetType, types.TargetTypeEnumInstance),
		HealthCheckEnabled:         aws.Bool(true),
		HealthCheckPath:            orElse(in.HealthCheckPath, "/"),
		HealthCheckPort:            orElse(in.HealthCheckPort, "traffic-port"),
		HealthCheckProtocol:        cmp.Or(in.HealthCheckProtocol, in.Protocol),
		HealthCheckIntervalSeconds: orElse(in.HealthCheckIntervalSeconds, 30),
		HealthCheckTimeoutSeconds:  orElse(in.HealthCheckTimeoutSeconds, 5),
		HealthyThresholdCount:      orElse(in.HealthyThresholdCount, 5),
		UnhealthyThresholdCount:    orElse(in.UnhealthyThresholdCount, 2),
	}
	e.groups = append(e.groups, g)
	return &api.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{g.TargetGroup}}, nil
}

func orElse[T any](p *T, v T) *T {
	if p != nil {
		return p
	}
	return &v
}

func (e *ELB) group(arn *string) (*group, error) {
	for _, g := range e.groups {
		if *g.TargetGroupArn == aws.ToString(arn) {
			return g, nil
		}
	}
	return nil, &types.TargetGroupNotFoundException{Message: aws.String("target group " + aws.ToString(arn) + " not found")}
}

func (e *ELB) deleteTargetGroup(in *api.DeleteTargetGroupInput) (*api.DeleteTargetGroupOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	switch {
	case err != nil:
		return &api.DeleteTargetGroupOutput{}, nil // as AWS does
	case g.used:
		return nil, &types.ResourceInUseException{Message: aws.String("the target group is in use by a listener or a rule")}
	}
	e.groups = slices.DeleteFunc(e.groups, func(o *group) bool { return o == g })
	return &api.DeleteTargetGroupOutput{}, nil
}

func (e *ELB) describeTargetGroups(in *api.DescribeTargetGroupsInput) (*api.DescribeTargetGroupsOutput, error) {
	var out []types.TargetGroup
	for _, g := range e.groups {
		named := slices.Contains(in.TargetGroupArns, *g.TargetGroupArn) || slices.Contains(in.Names, *g.TargetGroupName)
		all := len(in.TargetGroupArns)+len(in.Names) == 0
		if in.LoadBalancerArn != nil && !slices.Contains(g.LoadBalancerArns, *in.LoadBalancerArn) {
			continue
		}
		if named || all {
			out = append(out, g.TargetGroup)
		}
	}
	if len(out) < len(in.TargetGroupArns)+len(in.Names) {
		return nil, &types.TargetGroupNotFoundException{Message: aws.String("one or more target groups not found")}
	}
	some, next, err := page(out, in.PageSize, in.Marker)
	return &api.DescribeTargetGroupsOutput{TargetGroups: some, NextMarker: next}, err
}

func (e *ELB) describeAttributes(in *api.DescribeTargetGroupAttributesInput) (*api.DescribeTargetGroupAttributesOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &api.DescribeTargetGroupAttributesOutput{Attributes: g.attributeList()}, nil
}

func (g *group) attributeList() []types.TargetGroupAttribute {
	var out []types.TargetGroupAttribute
	for k, v := range g.attributes {
		out = append(out, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(v)})
	}
	slices.SortFunc(out, func(a, b types.TargetGroupAttribute) int { return cmp.Compare(*a.Key, *b.Key) })
	return out
}

func (e *ELB) modifyAttributes(in *api.ModifyTargetGroupAttributesInput) (*api.ModifyTargetGroupAttributesOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		key, value := aws.ToString(a.Key), aws.ToString(a.Value)
		if n, err := strconv.Atoi(value); key == delayAttribute && (err != nil || n < 0 || n > 3600) {
			return nil, invalid("%s must be between 0 and 3600", key)
		}
		g.attributes[key] = value
	}
	return &api.ModifyTargetGroupAttributesOutput{Attributes: g.attributeList()}, nil
}

// delay is how long a target drains.
func (g *group) delay() time.Duration {
	n, _ := strconv.Atoi(g.attributes[delayAttribute]) // checked when it was set
	return time.Duration(n) * time.Second
}
