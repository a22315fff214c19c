package appspec

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNative(t *testing.T) {
	spec := clean(t, ecsText(okService+okNetwork+"CapacityProviderStrategy: [{CapacityProvider: FARGATE, Weight: 1}]\n",
		"Hooks:\n  - BeforeInstall: arn:aws:lambda:eu-central-1:123456789012:function:check\n  - AfterAllowTraffic: smoke\n"))
	n, notes, err := Native(spec, Group{Config: "CodeDeployDefault.ECSCanary10Percent5Minutes", Bake: 90 * time.Second, Approval: time.Hour,
		Rollback: true, Alarms: []string{"errors"}, TargetGroups: [2]string{"tg-1", "tg-2"}, Listener: "rule", Role: "role"})
	require.NoError(t, err)
	got, err := json.Marshal(n)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"taskDefinition": "shop:7",
		"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}},
		"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "base": 0, "weight": 1}],
		"loadBalancers": [{"targetGroupArn": "tg-1", "containerName": "web", "containerPort": 8080,
			"advancedConfiguration": {"alternateTargetGroupArn": "tg-2", "productionListenerRule": "rule", "roleArn": "role"}}],
		"deploymentController": {"type": "ECS"},
		"deploymentConfiguration": {"strategy": "CANARY", "bakeTimeInMinutes": 2, "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 5},
			"lifecycleHooks": [
				{"hookTargetArn": "arn:aws:lambda:eu-central-1:123456789012:function:check", "roleArn": "role", "lifecycleStages": ["PRE_SCALE_UP"], "targetType": "AWS_LAMBDA"},
				{"hookTargetArn": "smoke", "roleArn": "role", "lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"], "targetType": "AWS_LAMBDA"},
				{"lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"], "targetType": "PAUSE", "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "ROLLBACK"}}],
			"alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true},
			"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}`, string(got))
	all := lines(notes)
	for _, part := range []string{"Hooks[1].AfterAllowTraffic: ECS takes the ARN", "hookStatus", "one hour", "ContinueServiceDeployment", "Application Load Balancer", "history"} {
		require.Contains(t, all, part)
	}
	require.NotContains(t, all, "does not name the target groups")
	for _, p := range notes {
		require.True(t, errors.Is(p, ErrNotCarriedOver) && p.Severity == Warning)
	}
}

func TestNativeEveryHookHasAStage(t *testing.T) {
	require.Len(t, nativeStages, 5)
	for e := range nativeStages {
		_, errs, _ := check(t, ecsText(okService, "Hooks: [{"+string(e)+": a}]\n"), Options{})
		require.Empty(t, errs)
	}
}

func TestNativeTraffic(t *testing.T) {
	spec := clean(t, ecsText(okService, ""))
	for config, want := range map[string]string{
		"":                               `BLUE_GREEN`,
		"CodeDeployDefault.ECSAllAtOnce": `BLUE_GREEN`,
		"CodeDeployDefault.ECSCanary10Percent15Minutes":     `CANARY {"canaryPercent":10,"canaryBakeTimeInMinutes":15}`,
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": `LINEAR {"stepPercent":10,"stepBakeTimeInMinutes":1}`,
		"Linear1PercentEvery2000Minutes":                    `LINEAR {"stepPercent":3,"stepBakeTimeInMinutes":1440} steps of 1 percent become steps of 3, a wait of 2000 minutes`,
	} {
		n, notes, err := Native(spec, Group{Config: config})
		require.NoError(t, err)
		kind, rest, _ := strings.Cut(want, " ")
		require.Equal(t, kind, n.DeploymentConfiguration.Strategy)
		shape, err := json.Marshal(n.DeploymentConfiguration)
		require.NoError(t, err)
		body, texts, _ := strings.Cut(rest, "} ")
		require.Contains(t, string(shape), strings.TrimSuffix(body, "}"))
		for text := range strings.SplitSeq(texts, ", ") {
			require.Contains(t, lines(notes), text)
		}
		require.Contains(t, lines(notes), "does not name the target groups")
	}
	for _, config := range []string{"CodeDeployDefault.LambdaAllAtOnce", "CodeDeployDefault.OneAtATime", "Canary0Percent5Minutes", "x"} {
		_, _, err := Native(spec, Group{Config: config})
		require.ErrorIs(t, err, ErrEnum)
	}
	_, _, err := Native(clean(t, head), Group{})
	require.ErrorIs(t, err, ErrPlatformMismatch)
	spec.Service.PortText = "$PORT"
	_, _, err = Native(spec, Group{})
	require.ErrorIs(t, err, ErrPlaceholder)
}
