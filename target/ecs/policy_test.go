package ecs_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/iam"
)

var prefixes = map[string]string{"ECS": "ecs", "Elastic Load Balancing v2": "elasticloadbalancing", "Application Auto Scaling": "application-autoscaling"}

// called are the IAM actions of calls, sorted.
func called(calls []awsfake.Call) []string {
	var out []string
	for _, c := range calls {
		out = append(out, prefixes[c.Service]+":"+c.Operation)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func allowed(t *testing.T, policy string) (actions []string, statements []iam.Statement) {
	t.Helper()
	var p iam.Policy
	require.NoError(t, json.Unmarshal([]byte(policy), &p))
	for _, s := range p.Statement {
		for _, a := range s.Action {
			require.False(t, slices.Contains(s.Resource, "*") && !strings.Contains(a, ":Describe") && s.Condition == nil, "%s is allowed on everything", a)
		}
		actions = append(actions, s.Action...)
	}
	slices.Sort(actions)
	return slices.Compact(actions), p.Statement
}

// The policy allows what deployments call, and nothing that none of them calls.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	var all []awsfake.Call
	var policy string
	for _, sc := range scenarios {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			before := len(w.api.Calls())
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			_, err := sc.prepare(ctx, w, &w.log).Run(ctx)
			require.NoError(t, err)
			all = append(all, w.api.Calls()[before:]...)
			policy, err = w.service().Policy(nil, nil)
			require.NoError(t, err)
		})
	}
	actions, _ := allowed(t, policy)
	require.Equal(t, called(all), actions)
}

func TestNativePolicyIsWhatIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nativeWorld(t)
		n := w.native(strategy.Shift{})
		policy, err := n.Policy(nil)
		require.NoError(t, err)
		actions, statements := allowed(t, policy)
		before := len(w.api.Calls())
		_, err = w.nativeDeployment(n).Run(t.Context())
		require.NoError(t, err)
		used := called(w.api.Calls()[before:])
		require.Subset(t, actions, used)
		rest := slices.DeleteFunc(actions, func(a string) bool { return slices.Contains(used, a) })
		require.Equal(t, []string{"ecs:ContinueServiceDeployment", "ecs:StopServiceDeployment", "iam:PassRole"}, rest, "for pauses, rollbacks, and ECS itself")
		require.Contains(t, statements[len(statements)-1].Resource, n.Group.Role)
	})
}

func TestPolicyNamesItsResources(t *testing.T) {
	blue, green := "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/blue/1", "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/green/2"
	rule := "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:listener-rule/app/web/1/2/3"
	w := &world{}
	s := &ecs.Service{ECS: w.ecs, ELB: w.elb, Cluster: "main", Name: "web", TargetGroups: [2]string{blue, green}, Production: ecs.Route{rule}}
	spec := &appspec.Spec{Functions: []appspec.FunctionHook{{Event: lifecycle.AfterAllowTraffic, Function: "smoke"}, {Event: lifecycle.BeforeInstall, Function: "smoke"}, {Event: lifecycle.AfterInstall, Function: "999999999999:function:theirs"}}}
	policy, err := s.Policy(spec, []string{"arn:aws-cn:iam::123456789012:role/task", ""})
	require.NoError(t, err)
	actions, statements := allowed(t, policy)
	require.NotContains(t, actions, "elasticloadbalancing:ModifyListener")
	require.NotContains(t, actions, "application-autoscaling:RegisterScalableTarget")
	byID := map[string]iam.Statement{}
	for _, st := range statements {
		byID[st.Sid] = st
	}
	require.Equal(t, []string{rule}, byID["ShiftByRule"].Resource)
	require.Equal(t, []string{"arn:aws-cn:ecs:cn-north-1:123456789012:service/main/web"}, byID["Service"].Resource)
	require.Equal(t, []string{"arn:aws-cn:ecs:cn-north-1:123456789012:task-set/main/web/*"}, byID["DeleteTaskSets"].Resource)
	require.Equal(t, []string{"arn:aws-cn:lambda:cn-north-1:123456789012:function:smoke", "arn:aws-cn:lambda:cn-north-1:999999999999:function:theirs"}, byID["Hooks"].Resource)
	require.Equal(t, map[string]map[string]string{"ArnEquals": {"ecs:cluster": "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/main"}}, byID["MakeTaskSets"].Condition)
	require.Equal(t, []string{"arn:aws-cn:iam::123456789012:role/task"}, byID["PassTaskRoles"].Resource)
	_, err = (&ecs.Service{}).Policy(nil, nil)
	require.Error(t, err)
}
