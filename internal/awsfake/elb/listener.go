package elb

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// listener is a listener with its rules, in the order of their priority. The default
// rule is not among them: its actions are the listener's.
type listener struct {
	types.Listener
	defaultRule string // ARN
	rules       []*rule
}

// rule is a rule that is not the default.
type rule struct {
	types.Rule
	priority int
}

func (e *ELB) createListener(in *api.CreateListenerInput) (*api.CreateListenerOutput, error) {
	if !slices.ContainsFunc(e.balancers, func(lb *types.LoadBalancer) bool { return *lb.LoadBalancerArn == aws.ToString(in.LoadBalancerArn) }) {
		return nil, &types.LoadBalancerNotFoundException{Message: aws.String("load balancer not found")}
	}
	for _, l := range e.listeners {
		if *l.LoadBalancerArn == *in.LoadBalancerArn && *l.Port == aws.ToInt32(in.Port) {
			return nil, &types.DuplicateListenerException{Message: aws.String("a listener already exists on this port for this load balancer")}
		}
	}
	l := &listener{Listener: types.Listener{LoadBalancerArn: in.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol, Certificates: in.Certificates}}
	actions, err := e.actions(l, in.DefaultActions, nil)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(strings.SplitN(*in.LoadBalancerArn, ":loadbalancer/", 2)[1], "/")
	l.ListenerArn = aws.String(e.arn("listener", parts...))
	l.defaultRule = e.arn("listener-rule", append(parts, "default")...)
	l.DefaultActions = actions
	e.listeners = append(e.listeners, l)
	e.changed(*l.ListenerArn, actions)
	return &api.CreateListenerOutput{Listeners: []types.Listener{l.shown()}}, nil
}

func (e *ELB) listener(arn *string) (*listener, error) {
	for _, l := range e.listeners {
		if *l.ListenerArn == aws.ToString(arn) {
			return l, nil
		}
	}
	return nil, &types.ListenerNotFoundException{Message: aws.String("listener " + aws.ToString(arn) + " not found")}
}

// shown is the listener as it is told to callers.
func (l *listener) shown() types.Listener {
	out := l.Listener
	out.DefaultActions = shown(l.DefaultActions)
	return out
}

func (e *ELB) deleteListener(in *api.DeleteListenerInput) (*api.DeleteListenerOutput, error) {
	l, err := e.listener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	e.listeners = slices.DeleteFunc(e.listeners, func(o *listener) bool { return o == l })
	e.changed(*l.ListenerArn, nil)
	return &api.DeleteListenerOutput{}, nil
}

func (e *ELB) describeListeners(in *api.DescribeListenersInput) (*api.DescribeListenersOutput, error) {
	var out []types.Listener
	for _, l := range e.listeners {
		if aws.ToString(in.LoadBalancerArn) == *l.LoadBalancerArn || slices.Contains(in.ListenerArns, *l.ListenerArn) {
			out = append(out, l.shown())
		}
	}
	switch {
	case in.LoadBalancerArn == nil && len(in.ListenerArns) == 0:
		return nil, invalid("you must specify either listener ARNs or a load balancer ARN")
	case len(out) < len(in.ListenerArns):
		return nil, &types.ListenerNotFoundException{Message: aws.String("one or more listeners not found")}
	}
	some, next, err := page(out, in.PageSize, in.Marker)
	return &api.DescribeListenersOutput{Listeners: some, NextMarker: next}, err
}

// modifyListener replaces all default actions, if there are any in the input.
func (e *ELB) modifyListener(in *api.ModifyListenerInput) (*api.ModifyListenerOutput, error) {
	l, err := e.listener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	if len(in.DefaultActions) > 0 {
		actions, err := e.actions(l, in.DefaultActions, l.DefaultActions)
		if err != nil {
			return nil, err
		}
		l.DefaultActions = actions
		e.changed(*l.ListenerArn, actions)
	}
	l.Port, l.SslPolicy = or(in.Port, l.Port), or(in.SslPolicy, l.SslPolicy)
	return &api.ModifyListenerOutput{Listeners: []types.Listener{l.shown()}}, nil
}

func or[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func (e *ELB) createRule(in *api.CreateRuleInput) (*api.CreateRuleOutput, error) {
	l, err := e.listener(in.ListenerArn)
	if err != nil {
		return nil, err
	}
	priority := int(aws.ToInt32(in.Priority))
	if slices.ContainsFunc(l.rules, func(r *rule) bool { return r.priority == priority }) {
		return nil, &types.PriorityInUseException{Message: aws.String("priority is currently in use")}
	}
	actions, err := e.actions(l, in.Actions, nil)
	if err != nil {
		return nil, err
	}
	arn := e.arn("listener-rule", strings.Split(strings.SplitN(*l.ListenerArn, ":listener/", 2)[1], "/")...)
	r := &rule{priority: priority, Rule: types.Rule{RuleArn: &arn, Conditions: in.Conditions, Actions: actions,
		Priority: aws.String(strconv.Itoa(priority)), IsDefault: aws.Bool(false)}}
	l.rules = append(l.rules, r)
	slices.SortFunc(l.rules, func(a, b *rule) int { return a.priority - b.priority })
	e.changed(arn, actions)
	return &api.CreateRuleOutput{Rules: []types.Rule{r.shown()}}, nil
}

func (r *rule) shown() types.Rule {
	out := r.Rule
	out.Actions = shown(r.Actions)
	return out
}

func (e *ELB) rule(arn *string) (*listener, *rule, error) {
	for _, l := range e.listeners {
		for _, r := range l.rules {
			if *r.RuleArn == aws.ToString(arn) {
				return l, r, nil
			}
		}
		if l.defaultRule == aws.ToString(arn) {
			return l, nil, &types.OperationNotPermittedException{Message: aws.String("default rule '" + l.defaultRule + "' cannot be modified")}
		}
	}
	return nil, nil, &types.RuleNotFoundException{Message: aws.String("rule " + aws.ToString(arn) + " not found")}
}

func (e *ELB) deleteRule(in *api.DeleteRuleInput) (*api.DeleteRuleOutput, error) {
	l, r, err := e.rule(in.RuleArn)
	if err != nil {
		return nil, err
	}
	l.rules = slices.DeleteFunc(l.rules, func(o *rule) bool { return o == r })
	e.changed(*r.RuleArn, nil)
	return &api.DeleteRuleOutput{}, nil
}

func (e *ELB) describeRules(in *api.DescribeRulesInput) (*api.DescribeRulesOutput, error) {
	var out []types.Rule
	for _, l := range e.listeners {
		for _, r := range l.rules {
			if slices.Contains(in.RuleArns, *r.RuleArn) || *l.ListenerArn == aws.ToString(in.ListenerArn) {
				out = append(out, r.shown())
			}
		}
		if slices.Contains(in.RuleArns, l.defaultRule) || *l.ListenerArn == aws.ToString(in.ListenerArn) {
			out = append(out, types.Rule{RuleArn: aws.String(l.defaultRule), Actions: shown(l.DefaultActions), IsDefault: aws.Bool(true), Priority: aws.String("default")})
		}
	}
	switch {
	case in.ListenerArn != nil && len(out) == 0:
		return nil, &types.ListenerNotFoundException{Message: aws.String("listener not found")}
	case len(out) < len(in.RuleArns):
		return nil, &types.RuleNotFoundException{Message: aws.String("one or more rules not found")}
	}
	some, next, err := page(out, in.PageSize, in.Marker)
	return &api.DescribeRulesOutput{Rules: some, NextMarker: next}, err
}

func (e *ELB) modifyRule(in *api.ModifyRuleInput) (*api.ModifyRuleOutput, error) {
	l, r, err := e.rule(in.RuleArn)
	if err != nil {
		return nil, err
	}
	if len(in.Actions) > 0 {
		actions, err := e.actions(l, in.Actions, r.Actions)
		if err != nil {
			return nil, err
		}
		r.Actions = actions
		e.changed(*r.RuleArn, actions)
	}
	if len(in.Conditions) > 0 {
		r.Conditions = in.Conditions
	}
	return &api.ModifyRuleOutput{Rules: []types.Rule{r.shown()}}, nil
}

// changed writes a change of traffic down, and sees to it that groups know whether
// they are in use.
func (e *ELB) changed(arn string, actions []types.Action) {
	on := map[string][]string{} // load balancers by group
	for _, l := range e.listeners {
		all := slices.Clone(l.DefaultActions)
		for _, r := range l.rules {
			all = append(all, r.Actions...)
		}
		for g := range weights(all) {
			if !slices.Contains(on[g], *l.LoadBalancerArn) {
				on[g] = append(on[g], *l.LoadBalancerArn)
			}
		}
	}
	for _, g := range e.groups {
		g.LoadBalancerArns = on[*g.TargetGroupArn]
		g.use(len(g.LoadBalancerArns) > 0)
	}
	c := Change{At: time.Now(), Arn: arn, Weights: weights(actions), Healthy: map[string]int{}}
	for id := range c.Weights {
		if g, err := e.group(&id); err == nil {
			for _, t := range g.targets {
				if g.health(t).State == types.TargetHealthStateEnumHealthy {
					c.Healthy[id]++
				}
			}
		}
	}
	e.changes = append(e.changes, c)
}
