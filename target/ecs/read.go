package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// primaryStatus and drainingStatus are states of a task set: text in the API, not an
// enumeration.
const (
	primaryStatus  = "PRIMARY"
	drainingStatus = "DRAINING"
)

// describe reads the service with its task sets.
func (s *Service) describe(ctx context.Context) (*ecstypes.Service, error) {
	return describe(ctx, s.ECS, s.Cluster, s.Name)
}

func describe(ctx context.Context, api services, cluster, name string) (*ecstypes.Service, error) {
	in := &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{name}}
	out, err := call(ctx, "ecs:DescribeServices", name, api.DescribeServices, in, func(out *ecs.DescribeServicesOutput) error {
		switch {
		case len(out.Failures) > 0:
			return odd(lifecycle.UnitLost, "cluster %s has no service %s (%s)", cluster, name, aws.ToString(out.Failures[0].Reason))
		case len(out.Services) != 1:
			return odd(lifecycle.Unknown, "ECS says nothing about service %s: not even that it is missing", name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out.Services[0], nil
}

// primary is the task set that the service calls its primary one.
func (s *Service) primary(svc *ecstypes.Service) (*ecstypes.TaskSet, error) {
	i := slices.IndexFunc(svc.TaskSets, func(set ecstypes.TaskSet) bool { return aws.ToString(set.Status) == primaryStatus })
	if i < 0 {
		return nil, fail(lifecycle.TargetFailed, "service %s has no primary task set (%s): there is nothing that could be replaced; make a first one, behind the production listener, and make it the primary",
			s.Name, tellSets(svc.TaskSets))
	}
	set := &svc.TaskSets[i]
	if !slices.Contains(s.TargetGroups[:], groupOf(set)) {
		return nil, fail(lifecycle.TargetFailed, "the primary task set %s of service %s is behind %q: Service.TargetGroups has %s and %s", aws.ToString(set.TaskSetArn), s.Name,
			groupOf(set), s.TargetGroups[0], s.TargetGroups[1])
	}
	return set, nil
}

// groupOf is the target group of a task set; empty: not exactly one.
func groupOf(set *ecstypes.TaskSet) string {
	if len(set.LoadBalancers) != 1 {
		return ""
	}
	return aws.ToString(set.LoadBalancers[0].TargetGroupArn)
}

func tellSets(sets []ecstypes.TaskSet) string {
	if len(sets) == 0 {
		return "no task sets at all"
	}
	all := make([]string, len(sets))
	for i, set := range sets {
		all[i] = strings.TrimSpace(aws.ToString(set.TaskSetArn) + " " + aws.ToString(set.Status) + " " + aws.ToString(set.ExternalId))
	}
	return strings.Join(all, ", ")
}

// surfaces reads all listeners and rules of a route, in its order.
func (s *Service) surfaces(ctx context.Context, r Route) ([]surface, error) {
	found := map[string][]elbtypes.Action{}
	if err := s.readListeners(ctx, r, found); err != nil {
		return nil, err
	}
	if err := s.readRules(ctx, r, found); err != nil {
		return nil, err
	}
	out := make([]surface, len(r))
	for i, arn := range r {
		out[i] = surface{Arn: arn, Actions: found[arn]}
	}
	return out, nil
}

func (s *Service) readListeners(ctx context.Context, r Route, found map[string][]elbtypes.Action) error {
	arns := slices.DeleteFunc(slices.Clone(r), isRule)
	if len(arns) == 0 {
		return nil
	}
	_, err := call(ctx, "elasticloadbalancing:DescribeListeners", strings.Join(arns, ", "), s.ELB.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: arns}, func(out *elb.DescribeListenersOutput) error {
		for _, l := range out.Listeners {
			found[aws.ToString(l.ListenerArn)] = l.DefaultActions
		}
		return complete(arns, found)
	})
	return gone(err, "listener")
}

func (s *Service) readRules(ctx context.Context, r Route, found map[string][]elbtypes.Action) error {
	arns := slices.DeleteFunc(slices.Clone(r), func(arn string) bool { return !isRule(arn) })
	if len(arns) == 0 {
		return nil
	}
	_, err := call(ctx, "elasticloadbalancing:DescribeRules", strings.Join(arns, ", "), s.ELB.DescribeRules, &elb.DescribeRulesInput{RuleArns: arns}, func(out *elb.DescribeRulesOutput) error {
		for _, rule := range out.Rules {
			if aws.ToBool(rule.IsDefault) {
				return fail(lifecycle.TargetFailed, "%s is the default rule of its listener, which cannot be changed as a rule: name the listener instead", aws.ToString(rule.RuleArn))
			}
			found[aws.ToString(rule.RuleArn)] = rule.Actions
		}
		return complete(arns, found)
	})
	return gone(err, "rule")
}

// complete refuses an answer that lacks one of the surfaces, or its way to target groups.
func complete(arns []string, found map[string][]elbtypes.Action) error {
	for _, arn := range arns {
		actions, ok := found[arn]
		switch {
		case !ok:
			return odd(lifecycle.Unknown, "Elastic Load Balancing says nothing about %s: not even that it is missing", arn)
		case forward(copied(actions)) == nil:
			return odd(lifecycle.TargetFailed, "%s has not exactly one action that forwards to target groups", arn)
		}
	}
	return nil
}

// gone says in an error that a listener or a rule was deleted.
func gone(err error, what string) error {
	if isA[*elbtypes.ListenerNotFoundException](err) || isA[*elbtypes.RuleNotFoundException](err) {
		e := fail(lifecycle.UnitLost, "a %s of Service.Production or Service.Test has been deleted: no traffic can be moved through it (%v); what else serves is not touched", what, err)
		e.Err = err
		return e
	}
	return err
}
