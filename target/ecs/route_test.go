package ecs

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func tuple(arn string, w int32) elbtypes.TargetGroupTuple {
	return elbtypes.TargetGroupTuple{TargetGroupArn: &arn, Weight: &w}
}

func forwarding(groups ...elbtypes.TargetGroupTuple) []elbtypes.Action {
	return []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: groups}}}
}

func TestSharesOfTraffic(t *testing.T) {
	pair := [2]string{"b", "g"}
	for name, tc := range map[string]struct {
		actions            []elbtypes.Action
		blue, green, other lifecycle.Weight
	}{
		"in short":             {[]elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String("b")}}, 100, 0, 0},
		"alone, weight 0":      {forwarding(tuple("b", 0)), 100, 0, 0},
		"weights of their own": {forwarding(tuple("b", 3), tuple("g", 1)), 75, 25, 0},
		"both without":         {forwarding(tuple("b", 0), tuple("g", 0)), 0, 0, 0},
		"a third":              {forwarding(tuple("b", 1), tuple("x", 1)), 50, 0, 50},
		"a trace":              {forwarding(tuple("b", 999), tuple("g", 1)), 99, 1, 0},
		"a trace elsewhere":    {forwarding(tuple("b", 999), tuple("g", 0), tuple("x", 1)), 99, 0, 1},
		"no forward":           {[]elbtypes.Action{{Type: elbtypes.ActionTypeEnumFixedResponse}}, 0, 0, 0},
		"two forwards":         {append(forwarding(tuple("b", 1)), forwarding(tuple("g", 1))...), 0, 0, 0},
	} {
		sh := split(tc.actions, pair)
		require.Equal(t, []lifecycle.Weight{tc.blue, tc.green, tc.other}, []lifecycle.Weight{sh.of["b"], sh.of["g"], sh.other}, name)
	}
}

// Whatever an action looks like: after it was given a weight it has it, it is whole, all else
// is as it was, and what was read is not written to.
func TestReweighedIsWhatWasAskedFor(t *testing.T) {
	pair := [2]string{"b", "g"}
	rapid.Check(t, func(t *rapid.T) {
		groups := []elbtypes.TargetGroupTuple{tuple("b", rapid.Int32Range(0, 999).Draw(t, "blue"))}
		if rapid.Bool().Draw(t, "both") {
			groups = append(groups, tuple("g", rapid.Int32Range(0, 999).Draw(t, "green")))
		}
		if rapid.Bool().Draw(t, "idle third") {
			groups = append(groups, tuple("x", 0))
		}
		actions := forwarding(groups...)
		actions[0].Order = aws.Int32(7)
		actions[0].ForwardConfig.TargetGroupStickinessConfig = &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(rapid.Bool().Draw(t, "sticky")), DurationSeconds: aws.Int32(60)}
		actions = append([]elbtypes.Action{{Type: elbtypes.ActionTypeEnumAuthenticateOidc, Order: aws.Int32(1), AuthenticateOidcConfig: &elbtypes.AuthenticateOidcActionConfig{Issuer: aws.String("i")}}}, actions...)
		before := canonical(actions, true)
		w := lifecycle.Weight(rapid.IntRange(0, 100).Draw(t, "weight"))
		out, err := reweighed(actions, "g", "b", w)
		require.NoError(t, err)
		sh := split(out, pair)
		require.Equal(t, w, sh.of["g"])
		require.Equal(t, 100-w, sh.of["b"])
		require.Zero(t, sh.other)
		require.True(t, same(actions, out, false), "all else is as it was")
		require.True(t, *out[0].AuthenticateOidcConfig.UseExistingClientSecret)
		require.Equal(t, before, canonical(actions, true))
		again, err := reweighed(out, "g", "b", w)
		require.NoError(t, err)
		require.True(t, same(out, again, true), "twice is once")
	})
}
