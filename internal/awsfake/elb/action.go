package elb

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// weights is where actions lead, by target group; nil: nowhere.
func weights(actions []types.Action) map[string]int32 {
	var out map[string]int32
	for _, a := range actions {
		if a.Type != types.ActionTypeEnumForward || a.ForwardConfig == nil {
			continue
		}
		for _, g := range a.ForwardConfig.TargetGroups {
			if out == nil {
				out = map[string]int32{}
			}
			out[*g.TargetGroupArn] += *g.Weight
		}
	}
	return out
}

// actions checks actions as AWS does and completes them. Old are those that they
// replace.
func (e *ELB) actions(l *listener, actions, old []types.Action) ([]types.Action, error) {
	if len(actions) == 0 {
		return nil, invalid("a listener or rule needs actions")
	}
	actions = awsfake.Clone(actions)
	orders := map[int32]bool{}
	for i := range actions {
		a := &actions[i]
		if a.Order == nil && len(actions) > 1 {
			return nil, invalid("you must specify the order of every action")
		}
		a.Order = orElse(a.Order, 1)
		if orders[*a.Order] || *a.Order < 1 || *a.Order > 50000 {
			return nil, invalid("order %d is used twice or out of range", *a.Order)
		}
		orders[*a.Order] = true
		if err := e.action(l, a, old); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(actions, func(a, b types.Action) int { return cmp.Compare(*a.Order, *b.Order) })
	for i, a := range actions {
		ends := slices.Contains([]types.ActionTypeEnum{types.ActionTypeEnumForward, types.ActionTypeEnumRedirect, types.ActionTypeEnumFixedResponse}, a.Type)
		if last := i == len(actions)-1; ends != last {
			return nil, &types.InvalidLoadBalancerActionException{Message: aws.String("the last action, and no other, must be a forward, redirect or fixed-response")}
		}
	}
	return actions, nil
}

func (e *ELB) action(l *listener, a *types.Action, old []types.Action) error {
	secure := l.Protocol == types.ProtocolEnumHttps
	switch a.Type {
	case types.ActionTypeEnumForward:
		return e.forward(l, a)
	case types.ActionTypeEnumAuthenticateCognito:
		if !secure {
			return invalid("authentication actions need an HTTPS listener")
		}
	case types.ActionTypeEnumAuthenticateOidc:
		c := a.AuthenticateOidcConfig
		if !secure || c == nil {
			return invalid("authentication actions need an HTTPS listener and a configuration")
		}
		if c.ClientSecret != nil && aws.ToBool(c.UseExistingClientSecret) {
			return invalid("you cannot specify both ClientSecret and UseExistingClientSecret")
		}
		return keepSecret(c, old)
	case types.ActionTypeEnumRedirect, types.ActionTypeEnumFixedResponse:
	default:
		return invalid("action type '%s' is not known", a.Type)
	}
	return nil
}

// keepSecret takes the client secret over from the action that is replaced: it is
// never told, so whoever sends the action back has to ask for that.
func keepSecret(c *types.AuthenticateOidcActionConfig, old []types.Action) error {
	if c.ClientSecret != nil {
		return nil
	}
	for _, o := range old {
		if oc := o.AuthenticateOidcConfig; aws.ToBool(c.UseExistingClientSecret) && oc != nil && aws.ToString(oc.Issuer) == aws.ToString(c.Issuer) {
			c.ClientSecret, c.UseExistingClientSecret = oc.ClientSecret, nil
			return nil
		}
	}
	return invalid("ClientSecret is required, or UseExistingClientSecret where the action had one")
}

// forward checks a forward action, and writes it in its full form.
func (e *ELB) forward(l *listener, a *types.Action) error {
	c := a.ForwardConfig
	switch {
	case c == nil && a.TargetGroupArn == nil:
		return invalid("a forward action needs a target group")
	case c == nil:
		c = &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn}}}
	case len(c.TargetGroups) == 0 || len(c.TargetGroups) > maxGroups:
		return invalid("a forward action has 1 to %d target groups, not %d", maxGroups, len(c.TargetGroups))
	case a.TargetGroupArn != nil && (len(c.TargetGroups) != 1 || aws.ToString(c.TargetGroups[0].TargetGroupArn) != *a.TargetGroupArn):
		return invalid("TargetGroupArn and ForwardConfig of an action must name the same target group")
	}
	seen := map[string]bool{}
	for i := range c.TargetGroups {
		t := &c.TargetGroups[i]
		g, err := e.group(t.TargetGroupArn)
		if err != nil {
			return err
		}
		t.Weight = orElse(t.Weight, 1)
		switch {
		case *t.Weight < 0 || *t.Weight > maxWeight:
			return invalid("weight '%d' must be between 0 and %d", *t.Weight, maxWeight)
		case seen[*t.TargetGroupArn]:
			return invalid("target group '%s' is listed twice", *t.TargetGroupArn)
		case len(g.LoadBalancerArns) > 0 && !slices.Contains(g.LoadBalancerArns, *l.LoadBalancerArn):
			return &types.TargetGroupAssociationLimitException{Message: aws.String("the target group is already associated with another load balancer")}
		}
		seen[*t.TargetGroupArn] = true
	}
	if c.TargetGroupStickinessConfig == nil {
		c.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: aws.Bool(false)}
	}
	if s := c.TargetGroupStickinessConfig; aws.ToBool(s.Enabled) && (aws.ToInt32(s.DurationSeconds) < 1 || aws.ToInt32(s.DurationSeconds) > 604800) {
		return invalid("stickiness needs a duration of 1 to 604800 seconds")
	}
	a.ForwardConfig, a.TargetGroupArn = c, nil
	if len(c.TargetGroups) == 1 {
		a.TargetGroupArn = c.TargetGroups[0].TargetGroupArn
	}
	return nil
}

// shown are actions as they are told to callers: without secrets.
func shown(actions []types.Action) []types.Action {
	out := awsfake.Clone(actions)
	for i := range out {
		if c := out[i].AuthenticateOidcConfig; c != nil {
			c.ClientSecret = nil
		}
	}
	return out
}
