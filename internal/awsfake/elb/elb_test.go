package elb_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
)

// world is a load balancer with two target groups.
type world struct {
	*testing.T
	fake            *elb.ELB
	c               *sdk.Client
	lb, blue, green string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	api := &awsfake.API{}
	w := &world{T: t, fake: elb.New(api), c: sdk.NewFromConfig(api.Config(), func(o *sdk.Options) { o.RetryMaxAttempts = 1 })}
	lb, err := w.c.CreateLoadBalancer(t.Context(), &sdk.CreateLoadBalancerInput{Name: aws.String("web")})
	require.NoError(t, err)
	w.lb = *lb.LoadBalancers[0].LoadBalancerArn
	w.blue, w.green = w.group("blue"), w.group("green")
	return w
}

func (w *world) group(name string) string {
	w.Helper()
	g, err := w.c.CreateTargetGroup(w.Context(), &sdk.CreateTargetGroupInput{Name: &name, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		TargetType: types.TargetTypeEnumIp, HealthCheckIntervalSeconds: aws.Int32(10), HealthyThresholdCount: aws.Int32(3)})
	require.NoError(w, err)
	return *g.TargetGroups[0].TargetGroupArn
}

func (w *world) listen(port int32, actions ...types.Action) string {
	w.Helper()
	l, err := w.c.CreateListener(w.Context(), &sdk.CreateListenerInput{LoadBalancerArn: &w.lb, Port: &port, Protocol: types.ProtocolEnumHttps, DefaultActions: actions})
	require.NoError(w, err)
	return *l.Listeners[0].ListenerArn
}

func forward(pairs ...any) types.Action {
	a := types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{}}
	for i := 0; i < len(pairs); i += 2 {
		a.ForwardConfig.TargetGroups = append(a.ForwardConfig.TargetGroups, types.TargetGroupTuple{
			TargetGroupArn: aws.String(pairs[i].(string)), Weight: aws.Int32(int32(pairs[i+1].(int)))})
	}
	return a
}

func (w *world) register(group string, ids ...string) {
	w.Helper()
	var targets []types.TargetDescription
	for _, id := range ids {
		targets = append(targets, types.TargetDescription{Id: aws.String(id)})
	}
	_, err := w.c.RegisterTargets(w.Context(), &sdk.RegisterTargetsInput{TargetGroupArn: &group, Targets: targets})
	require.NoError(w, err)
}

func (w *world) health(group, id string) string {
	w.Helper()
	out, err := w.c.DescribeTargetHealth(w.Context(), &sdk.DescribeTargetHealthInput{TargetGroupArn: &group,
		Targets: []types.TargetDescription{{Id: &id}}})
	require.NoError(w, err)
	require.Len(w, out.TargetHealthDescriptions, 1)
	h := out.TargetHealthDescriptions[0].TargetHealth
	return fmt.Sprintf("%s %s", h.State, h.Reason)
}

func TestHealthTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register(w.blue, "10.0.0.1")
		time.Sleep(time.Hour)
		require.Equal(t, "unused Target.NotInUse", w.health(w.blue, "10.0.0.1"), "a group behind no listener is not checked")
		w.listen(443, forward(w.blue, 0, w.green, 1))
		require.Equal(t, "initial Elb.RegistrationInProgress", w.health(w.blue, "10.0.0.1"), "weight 0 is enough for checks")
		time.Sleep(5 * time.Second)
		require.Equal(t, "healthy ", w.health(w.blue, "10.0.0.1"))

		w.fake.SetHealth(w.blue, "", elb.Failing)
		time.Sleep(12 * time.Second)
		require.Equal(t, "healthy ", w.health(w.blue, "10.0.0.1"), "one failure is below the threshold")
		time.Sleep(10 * time.Second)
		require.Equal(t, "unhealthy Target.ResponseCodeMismatch", w.health(w.blue, "10.0.0.1"))
		w.register(w.blue, "10.0.0.2")
		time.Sleep(3 * time.Second)
		require.Equal(t, "initial Elb.InitialHealthChecking", w.health(w.blue, "10.0.0.2"))
		w.fake.SetHealth(w.blue, "10.0.0.1", elb.Check{})
		time.Sleep(20 * time.Second)
		require.Equal(t, "unhealthy Target.ResponseCodeMismatch", w.health(w.blue, "10.0.0.1"))
		time.Sleep(10 * time.Second)
		require.Equal(t, "healthy ", w.health(w.blue, "10.0.0.1"), "after three in a row")
		require.Equal(t, "unhealthy Target.ResponseCodeMismatch", w.health(w.blue, "10.0.0.2"))
	})
}

func TestTargetsDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listen(443, forward(w.blue, 1))
		_, err := w.c.ModifyTargetGroupAttributes(t.Context(), &sdk.ModifyTargetGroupAttributesInput{TargetGroupArn: &w.blue, Attributes: []types.TargetGroupAttribute{
			{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("60")}}})
		require.NoError(t, err)
		w.register(w.blue, "10.0.0.1", "10.0.0.2")
		time.Sleep(5 * time.Second)
		drop := func() {
			_, err := w.c.DeregisterTargets(t.Context(), &sdk.DeregisterTargetsInput{TargetGroupArn: &w.blue, Targets: []types.TargetDescription{{Id: aws.String("10.0.0.1")}, {Id: aws.String("10.9.9.9")}}})
			require.NoError(t, err)
		}
		drop()
		time.Sleep(59 * time.Second)
		require.Equal(t, "draining Target.DeregistrationInProgress", w.health(w.blue, "10.0.0.1"))
		drop()
		time.Sleep(time.Second)
		require.Equal(t, "unused Target.NotRegistered", w.health(w.blue, "10.0.0.1"))
		require.Equal(t, map[string]types.TargetHealthStateEnum{"10.0.0.2": "healthy"}, w.fake.Targets(w.blue))
	})
}

func TestActionsAreChecked(t *testing.T) {
	w := newWorld(t)
	l := w.listen(443, forward(w.blue, 1))
	modify := func(actions ...types.Action) error {
		_, err := w.c.ModifyListener(t.Context(), &sdk.ModifyListenerInput{ListenerArn: &l, DefaultActions: actions})
		return err
	}
	oidc := types.Action{Type: types.ActionTypeEnumAuthenticateOidc, Order: aws.Int32(1), AuthenticateOidcConfig: &types.AuthenticateOidcActionConfig{
		AuthorizationEndpoint: aws.String("https://a"), ClientId: aws.String("c"), Issuer: aws.String("https://i"), TokenEndpoint: aws.String("https://t"), UserInfoEndpoint: aws.String("https://u")}}
	second := forward(w.blue, 1)
	second.Order = aws.Int32(2)
	for text, actions := range map[string][]types.Action{
		"must be between 0 and 999":   {forward(w.blue, 5000)},
		"not found":                   {forward("arn:aws:nothing", 1)},
		"listed twice":                {forward(w.blue, 1, w.blue, 2)},
		"the order of every action":   {forward(w.blue, 1), forward(w.green, 1)},
		"the last action":             {{Type: types.ActionTypeEnumForward, Order: aws.Int32(1), TargetGroupArn: &w.blue}, second},
		"ClientSecret is required":    {oidc, second},
		"1 to 5 target groups, not 0": {{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{}}},
	} {
		require.ErrorContains(t, modify(actions...), text)
	}
	oidc.AuthenticateOidcConfig.ClientSecret = aws.String("hush")
	require.NoError(t, modify(oidc, second))
	out, err := w.c.DescribeListeners(t.Context(), &sdk.DescribeListenersInput{ListenerArns: []string{l}})
	require.NoError(t, err)
	back := out.Listeners[0].DefaultActions
	require.Nil(t, back[0].AuthenticateOidcConfig.ClientSecret, "a secret is never told")
	require.Equal(t, int32(1), *back[1].ForwardConfig.TargetGroups[0].Weight)
	require.Error(t, modify(back...))
	back[0].AuthenticateOidcConfig.UseExistingClientSecret = aws.Bool(true)
	require.NoError(t, modify(back...))

	other, err := w.c.CreateLoadBalancer(t.Context(), &sdk.CreateLoadBalancerInput{Name: aws.String("other")})
	require.NoError(t, err)
	_, err = w.c.CreateListener(t.Context(), &sdk.CreateListenerInput{LoadBalancerArn: other.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: []types.Action{forward(w.blue, 1)}})
	require.ErrorContains(t, err, "another load balancer")
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	l := w.listen(443, forward(w.blue, 1))
	for i := range 3 {
		_, err := w.c.CreateRule(t.Context(), &sdk.CreateRuleInput{ListenerArn: &l, Priority: aws.Int32(int32(30 - i)), Actions: []types.Action{forward(w.green, 1)},
			Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/a"}}}})
		require.NoError(t, err)
	}
	var rules []types.Rule
	pages := sdk.NewDescribeRulesPaginator(w.c, &sdk.DescribeRulesInput{ListenerArn: &l, PageSize: aws.Int32(3)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		rules = append(rules, out.Rules...)
	}
	require.Len(t, rules, 4)
	require.Equal(t, "28", *rules[0].Priority)
	require.Equal(t, "default", *rules[3].Priority)
	_, err := w.c.ModifyRule(t.Context(), &sdk.ModifyRuleInput{RuleArn: rules[0].RuleArn, Actions: []types.Action{forward(w.blue, 30, w.green, 70)}})
	require.NoError(t, err)
	_, err = w.c.ModifyRule(t.Context(), &sdk.ModifyRuleInput{RuleArn: rules[3].RuleArn, Actions: []types.Action{forward(w.green, 1)}})
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, "OperationNotPermitted", api.ErrorCode())
	changes := w.fake.Changes()
	require.Equal(t, map[string]int32{w.blue: 30, w.green: 70}, changes[len(changes)-1].Weights)

	_, err = w.c.DeleteTargetGroup(t.Context(), &sdk.DeleteTargetGroupInput{TargetGroupArn: &w.green})
	require.ErrorContains(t, err, "in use")
	groups, err := w.c.DescribeTargetGroups(t.Context(), &sdk.DescribeTargetGroupsInput{Names: []string{"blue"}})
	require.NoError(t, err)
	require.Equal(t, []string{w.lb}, groups.TargetGroups[0].LoadBalancerArns)
	_, err = w.c.DescribeTargetGroups(t.Context(), &sdk.DescribeTargetGroupsInput{Names: []string{"grey"}})
	require.ErrorContains(t, err, "not found")
}

func TestTargetsHaveTheGroupsType(t *testing.T) {
	w := newWorld(t)
	_, err := w.c.RegisterTargets(t.Context(), &sdk.RegisterTargetsInput{TargetGroupArn: &w.blue, Targets: []types.TargetDescription{{Id: aws.String("10.0.0.1")}, {Id: aws.String("i-1")}}})
	require.ErrorContains(t, err, "not valid")
	require.Empty(t, w.fake.Targets(w.blue), "all or none")
	g, err := w.c.CreateTargetGroup(t.Context(), &sdk.CreateTargetGroupInput{Name: aws.String("hosts"), Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp})
	require.NoError(t, err)
	hosts := g.TargetGroups[0].TargetGroupArn
	w.fake.Exists = func(id string) bool { return id == "i-1" }
	w.register(*hosts, "i-1")
	_, err = w.c.RegisterTargets(t.Context(), &sdk.RegisterTargetsInput{TargetGroupArn: hosts, Targets: []types.TargetDescription{{Id: aws.String("i-2")}}})
	require.ErrorContains(t, err, "cannot be registered")
}
