package ecs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Route is a way in: the ARNs of listeners, each standing for its default action, and
// of listener rules. All of them get the same weights, one after the other. The action
// that is changed is the one that forwards; what else a listener or a rule does stays.
//
// They are of an Application Load Balancer. CodeDeploy gives a Network Load Balancer no weights
// but all and nothing; here weights are written to it too, and it refuses what it does not take.
type Route []string

// surface is one listener or rule, with its actions as they were read.
type surface struct {
	Arn     string            `json:"arn"`
	Actions []elbtypes.Action `json:"actions"`
}

// copied is a deep copy: actions are full of pointers.
func copied(actions []elbtypes.Action) []elbtypes.Action {
	var out []elbtypes.Action
	data, _ := json.Marshal(actions) // plain data always marshals
	_ = json.Unmarshal(data, &out)
	return out
}

// forward is the action that leads to target groups, in its full form; nil: there is
// none, or more than one.
func forward(actions []elbtypes.Action) *elbtypes.Action {
	var found *elbtypes.Action
	for i := range actions {
		if actions[i].Type != elbtypes.ActionTypeEnumForward {
			continue
		}
		if found != nil {
			return nil
		}
		found = &actions[i]
	}
	if found != nil && found.ForwardConfig == nil {
		found.ForwardConfig = &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: found.TargetGroupArn, Weight: aws.Int32(1)}}}
	}
	return found
}

// shares says how traffic is divided.
type shares struct {
	of    map[string]lifecycle.Weight // percent, by target group; those without are left out
	other lifecycle.Weight            // what goes to neither of the pair
}

// split reads how actions divide traffic between a pair of target groups and others, in whole
// percent. Only who has no traffic at all has 0, and only who has all of it has 100. A group
// that is alone has all of it, whatever its weight.
func split(actions []elbtypes.Action, pair [2]string) shares {
	out := shares{of: map[string]lifecycle.Weight{}}
	a := forward(copied(actions))
	if a == nil {
		return out
	}
	groups, sum := a.ForwardConfig.TargetGroups, 0
	for _, g := range groups {
		sum += weigh(g, len(groups))
	}
	for _, g := range groups {
		w := weigh(g, len(groups))
		if w == 0 {
			continue
		}
		share := lifecycle.Weight((w*100 + sum/2) / sum)
		if w < sum { // a trace of traffic is not none, and what lacks a trace is not all
			share = min(max(share, 1), 99)
		}
		if arn := aws.ToString(g.TargetGroupArn); slices.Contains(pair[:], arn) {
			out.of[arn] += share
		} else {
			out.other += share
		}
	}
	return out
}

func weigh(g elbtypes.TargetGroupTuple, of int) int {
	if of == 1 || g.Weight == nil {
		return 1
	}
	return int(*g.Weight)
}

// reweighed are the same actions with weight w for one group and the rest for the other. All
// else stays: other actions, their order, stickiness, groups without traffic.
func reweighed(actions []elbtypes.Action, side, other string, w lifecycle.Weight) ([]elbtypes.Action, error) {
	out := copied(actions)
	a := forward(out)
	if a == nil {
		return nil, fail(lifecycle.TargetFailed, "has not exactly one action that forwards to target groups")
	}
	set := func(arn string, w lifecycle.Weight) {
		groups := a.ForwardConfig.TargetGroups
		i := slices.IndexFunc(groups, func(g elbtypes.TargetGroupTuple) bool { return aws.ToString(g.TargetGroupArn) == arn })
		if i < 0 {
			a.ForwardConfig.TargetGroups = append(groups, elbtypes.TargetGroupTuple{TargetGroupArn: &arn, Weight: aws.Int32(int32(w))})
			return
		}
		groups[i].Weight = aws.Int32(int32(w))
	}
	set(other, 100-w)
	set(side, w)
	return sendable(out), nil
}

// sendable are actions that were read, in the form in which they can be written back. The
// secret of an authentication is never told; it is kept by saying so.
func sendable(actions []elbtypes.Action) []elbtypes.Action {
	out := copied(actions)
	for i := range out {
		if a := &out[i]; a.Type == elbtypes.ActionTypeEnumForward && a.ForwardConfig != nil {
			a.TargetGroupArn = nil
		}
		if c := out[i].AuthenticateOidcConfig; c != nil && c.ClientSecret == nil {
			c.UseExistingClientSecret = aws.Bool(true)
		}
	}
	return out
}

// attached reports whether the actions lead to a group, with whatever weight.
func attached(actions []elbtypes.Action, group string) bool {
	a := forward(copied(actions))
	return a != nil && slices.ContainsFunc(a.ForwardConfig.TargetGroups, func(g elbtypes.TargetGroupTuple) bool { return aws.ToString(g.TargetGroupArn) == group })
}

// sticky reports whether clients stay with the target group that they came to first.
func sticky(actions []elbtypes.Action) bool {
	a := forward(copied(actions))
	return a != nil && a.ForwardConfig.TargetGroupStickinessConfig != nil && aws.ToBool(a.ForwardConfig.TargetGroupStickinessConfig.Enabled)
}

// same reports whether two lists of actions do the same, weights included if they are
// to count.
func same(a, b []elbtypes.Action, weights bool) bool {
	return canonical(a, weights) == canonical(b, weights)
}

// canonical is the one text that all ways to write the same actions have.
func canonical(actions []elbtypes.Action, weights bool) string {
	out := copied(actions)
	slices.SortFunc(out, func(x, y elbtypes.Action) int { return cmp.Compare(aws.ToInt32(x.Order), aws.ToInt32(y.Order)) })
	for i := range out {
		out[i].Order = aws.Int32(int32(i))
		if c := out[i].AuthenticateOidcConfig; c != nil {
			c.UseExistingClientSecret, c.ClientSecret = nil, nil
		}
	}
	if a := forward(out); a != nil {
		a.TargetGroupArn = nil
		if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil && !aws.ToBool(s.Enabled) {
			a.ForwardConfig.TargetGroupStickinessConfig = nil
		}
		if !weights {
			a.ForwardConfig.TargetGroups = nil
		}
		slices.SortFunc(a.ForwardConfig.TargetGroups, func(x, y elbtypes.TargetGroupTuple) int {
			return cmp.Compare(aws.ToString(x.TargetGroupArn), aws.ToString(y.TargetGroupArn))
		})
	}
	data, _ := json.Marshal(out) // plain data always marshals
	return string(data)
}

// tell says in words how traffic is divided.
func (sh shares) tell(pair [2]string) string {
	return fmt.Sprintf("%d %% to %s, %d %% to %s, %d %% elsewhere", sh.of[pair[0]], groupName(pair[0]), sh.of[pair[1]], groupName(pair[1]), sh.other)
}
