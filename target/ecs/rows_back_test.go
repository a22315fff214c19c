package ecs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	elbsdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	elbfake "github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ecs"
)

// The listener goes away in the middle: the step fails and names it.
func TestG24_ListenerDeleted(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			_, err := w.elb.DeleteListener(t.Context(), &elbsdk.DeleteListenerInput{ListenerArn: &w.production})
			require.NoError(t, err)
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, lifecycle.UnitLost, res.Units[1].Failure.Code)
		require.Contains(t, res.Units[1].Failure.Message, w.production)
		require.Equal(t, strategy.DeploymentFailed, res.Rollback.Status)
		require.Equal(t, leftBehind, w.sets(), "nothing that may serve is deleted")
	})
}

// A rollback puts back what was found, whatever the weights are written like, with all that a
// listener does beside.
func TestH5_RollbackRestoresTheSnapshot(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		oidc := elbtypes.Action{Type: elbtypes.ActionTypeEnumAuthenticateOidc, Order: aws.Int32(1), AuthenticateOidcConfig: &elbtypes.AuthenticateOidcActionConfig{
			AuthorizationEndpoint: aws.String("https://a"), ClientId: aws.String("c"), ClientSecret: aws.String("hush"), Issuer: aws.String("https://i"), TokenEndpoint: aws.String("https://t"), UserInfoEndpoint: aws.String("https://u")}}
		forward := elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, Order: aws.Int32(5), ForwardConfig: &elbtypes.ForwardActionConfig{
			TargetGroups:                []elbtypes.TargetGroupTuple{{TargetGroupArn: &w.blue, Weight: aws.Int32(7)}},
			TargetGroupStickinessConfig: &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(60)}}}
		_, err := w.elb.ModifyListener(t.Context(), &elbsdk.ModifyListenerInput{ListenerArn: &w.production, DefaultActions: []elbtypes.Action{oidc, forward}})
		require.NoError(t, err)
		read := func() []elbtypes.Action {
			out, err := w.elb.DescribeListeners(t.Context(), &elbsdk.DescribeListenersInput{ListenerArns: []string{w.production}})
			require.NoError(t, err)
			return out.Listeners[0].DefaultActions
		}
		before := read()
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			mid := read()
			require.Equal(t, before[0], mid[0], "who is asked to log in is still asked")
			require.Equal(t, int32(5), *mid[1].Order)
			require.Equal(t, before[1].ForwardConfig.TargetGroupStickinessConfig, mid[1].ForwardConfig.TargetGroupStickinessConfig)
			go func() { _ = d.Stop(context.Background(), cutover.StopOptions{Rollback: true}) }() // it may have ended
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
		require.Equal(t, before, read())
	})
}

// Weights may be those of listener rules, several of them.
func TestTrafficByRules(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var rules ecs.Route
		for i := range 2 {
			r, err := w.elb.CreateRule(t.Context(), &elbsdk.CreateRuleInput{ListenerArn: &w.production, Priority: aws.Int32(int32(i + 1)), Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/a"}}},
				Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.blue}}})
			require.NoError(t, err)
			rules = append(rules, *r.Rules[0].RuleArn)
		}
		s := w.service()
		s.Production = rules
		d := w.deployment("d-2", canary)
		d.Target = s
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		out, err := w.elb.DescribeRules(t.Context(), &elbsdk.DescribeRulesInput{RuleArns: rules})
		require.NoError(t, err)
		for _, r := range out.Rules {
			for _, g := range r.Actions[0].ForwardConfig.TargetGroups {
				require.Equal(t, map[string]int32{"web-blue": 0, "web-green": 100}[w.name(*g.TargetGroupArn)], *g.Weight)
			}
		}
		require.Equal(t, map[string]int32{"web-blue": 1}, w.weights(w.production), "the default action is not in the route")
	})
}

// Only what the deployment has made is deleted.
func TestH6_OnlyOwnTaskSetsAreDeleted(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		stale := w.stale("d-1")
		s := w.service()
		s.RemoveStale = true
		d := w.deployment("d-2", canary)
		d.Target, w.hooks.fail = s, lifecycle.BeforeInstall
		d.Revision = w.source("web:2", allHooks)
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
		require.Equal(t, []string{"first PRIMARY web:1", "d-1 ACTIVE web:2"}, w.sets(), "%s was not the deployment's", stale)

		d = w.deployment("d-3", canary) // a deployment that comes to Install removes it
		d.Target = s
		res, err = d.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, []string{"d-3 PRIMARY web:2"}, w.sets())
	})
}

// What somebody else has made since the deployment began is not deleted with what it has made,
// though it is behind the same target group.
func TestH6_TaskSetOfSomebodyElseSinceIsKept(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			w.stale("theirs")
			go func() { _ = d.Stop(context.Background(), cutover.StopOptions{Rollback: true}) }() // it may have ended
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
		require.Equal(t, []string{"first PRIMARY web:1", "theirs ACTIVE web:2"}, w.sets())
	})
}

// The original is sick when traffic should go back to it: traffic stays, and the rollback goes
// on once it is healthy.
func TestH4_RollbackTargetIsSick(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		d := w.deployment("d-2", canary)
		when(d, func(r lifecycle.Record) bool { return weighed(r, 10) }, func() {
			w.elbfake.SetHealth(w.blue, "", elbfake.Failing)
			time.AfterFunc(time.Minute, func() { _ = d.Stop(context.Background(), cutover.StopOptions{Rollback: true}) }) // it may have ended
			time.AfterFunc(30*time.Minute, func() {
				require.Equal(t, map[string]int32{"web-blue": 90, "web-green": 10}, w.weights(w.production))
				w.elbfake.SetHealth(w.blue, "", elbfake.Check{})
			})
		})
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
		require.Equal(t, map[string]int32{"web-blue": 1}, w.weights(w.production))
	})
}

// Auto scaling that somebody removes in the middle is missed by nobody, forward and back.
func TestAutoScalingRemovedMeanwhile(t *testing.T) {
	for _, back := range []bool{false, true} {
		in(t, func(t *testing.T, w *world) {
			d := w.deployment("d-2", canary)
			noted := 0
			d.Observe = func(r lifecycle.Record) {
				switch {
				case weighed(r, 10):
					_, err := w.scaling.DeregisterScalableTarget(t.Context(), &scaling.DeregisterScalableTargetInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs,
						ResourceId: aws.String("service/main/web"), ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount})
					require.NoError(t, err)
					if back {
						go func() { _ = d.Stop(context.Background(), cutover.StopOptions{Rollback: true}) }() // it may have ended
					}
				case noteOf(lifecycle.ExternalChange)(r):
					noted++
				}
			}
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			if back {
				require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
				require.Equal(t, served, w.sets())
			} else {
				require.NoError(t, res.Err())
				require.Equal(t, replaced, w.sets())
			}
			require.Equal(t, 1, noted)
		})
	}
}

// A deployment that is stopped gives its auto scaling back, though a look at it is old or empty.
func TestAutoScalingIsGivenBackWhateverALookSays(t *testing.T) {
	for _, fault := range []awsfake.Fault{awsfake.StaleRead, awsfake.EmptyAnswer} {
		in(t, func(t *testing.T, w *world) {
			d := scenarios["stopped"].prepare(t.Context(), w, &w.log)
			suspended := false
			w.api.Inject(func(c awsfake.Call) awsfake.Fault {
				suspended = suspended || c.Operation == "RegisterScalableTarget"
				if suspended && c.Operation == "DescribeScalableTargets" {
					return fault
				}
				return awsfake.NoFault
			})
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, strategy.DeploymentStopped, res.Status)
			w.api.Inject(nil)
			require.False(t, w.suspendedNow(), fault)
		})
	}
}

// Permissions that go away are named, with the resource.
func TestI8_PermissionRemoved(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.api.Inject(awsfake.On("CreateTaskSet", awsfake.AccessDenied))
		res, err := w.deployment("d-2", canary).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, lifecycle.Denied, res.Units[1].Failure.Code)
		require.Contains(t, res.Units[1].Failure.Message, "allow ecs:CreateTaskSet on web")
	})
}
