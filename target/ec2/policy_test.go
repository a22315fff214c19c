package ec2_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/iam"
	"github.com/cutover-deploy/cutover/target/tags"
)

// allowed are the actions of a policy.
func allowed(t *testing.T, policy string) map[string]bool {
	t.Helper()
	var p iam.Policy
	require.NoError(t, json.Unmarshal([]byte(policy), &p))
	all := map[string]bool{}
	for _, s := range p.Statement {
		require.NotEmpty(t, s.Resource, s.Sid)
		require.NotEmpty(t, s.Action, s.Sid)
		for _, a := range s.Action {
			all[a] = true
		}
	}
	return all
}

// prefixes are the names of services in policies.
var prefixes = map[string]string{"Auto Scaling": "autoscaling", "Elastic Load Balancing": "elasticloadbalancing", "Elastic Load Balancing v2": "elasticloadbalancing", "SSM": "ssm"}

// setUp is what only tests call, to make their world.
var setUp = []string{"CreateTargetGroup", "CreateLoadBalancer", "CreateListener", "ModifyTargetGroupAttributes"}

// furnish gives a group one of all that may hang on it.
func (w *world) furnish(t *testing.T, group string) {
	t.Helper()
	name, some := &group, aws.String("some")
	_, err := w.AutoScaling.PutScalingPolicy(t.Context(), &autoscaling.PutScalingPolicyInput{AutoScalingGroupName: name, PolicyName: some})
	require.NoError(t, err)
	_, err = w.AutoScaling.PutScheduledUpdateGroupAction(t.Context(), &autoscaling.PutScheduledUpdateGroupActionInput{AutoScalingGroupName: name, ScheduledActionName: some, Recurrence: aws.String("0 0 1 1 *")})
	require.NoError(t, err)
	_, err = w.AutoScaling.PutNotificationConfiguration(t.Context(), &autoscaling.PutNotificationConfigurationInput{AutoScalingGroupName: name, TopicARN: some, NotificationTypes: []string{"autoscaling:TEST_NOTIFICATION"}})
	require.NoError(t, err)
	_, err = w.AutoScaling.EnableMetricsCollection(t.Context(), &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: name, Granularity: aws.String("1Minute"), Metrics: []string{"GroupTotalInstances"}})
	require.NoError(t, err)
	_, err = w.AutoScaling.PutWarmPool(t.Context(), &autoscaling.PutWarmPoolInput{AutoScalingGroupName: name})
	require.NoError(t, err)
	_, err = w.AutoScaling.PutLifecycleHook(t.Context(), &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: name, LifecycleHookName: aws.String(ec2.HookName),
		LifecycleTransition: aws.String("autoscaling:EC2_INSTANCE_TERMINATING")})
	require.NoError(t, err)
}

// unseen are actions that no call of the test below shows, and what they are for.
var unseen = map[string]string{
	"ec2:DescribeInstances": "asked of EC2, which is not behind the API here", "ec2:TerminateInstances": "the same",
	"ec2:RunInstances": "what Auto Scaling does in our name", "ec2:CreateTags": "the same", "iam:PassRole": "the same",
	"autoscaling:DescribeScalingActivities":           "says why nothing can be launched",
	"autoscaling:TerminateInstanceInAutoScalingGroup": "ends some of a group's instances",
	"ssm:GetCommandInvocation":                        "fetches answers that are long",
	"ssm:DescribeInstanceInformation":                 "asks after hosts that have not reported in",
}

// Every call of a deployment is allowed by the policy, and it has no action that no
// deployment needs.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.Classic.Add("old", time.Second)
		require.NoError(t, w.Group(t.Context(), "web", 3, w.arn, "old"))
		w.pass(t, 3*time.Minute)
		w.furnish(t, "web")
		before := len(w.API.Calls())
		fleet := func() *ec2.Fleet {
			f := w.managedFleet(ec2.Selection{Groups: []string{"web"}})
			f.Green = &ec2.Green{}
			f.Balancers.Classic = []string{"old"}
			return f
		}
		w.hosts.On(fake.Match{Event: lifecycle.ValidateService, Nth: 1}, fake.Fail(lifecycle.ScriptFailed))
		w.world.run(t, func() {
			for _, keep := range []bool{true, false} {
				d := w.deployment(t, fleet(), strategy.BlueGreen{Minimum: strategy.Minimum{Count: 1}, KeepAlive: keep})
				_, err := d.Run(t.Context())
				require.NoError(t, err)
			}
		})
		policy, err := fleet().Policy(ec2.Scope{Region: "eu-central-1", Account: "123456789012"})
		require.NoError(t, err)
		w.allAllowed(t, policy, before)
		require.NotContains(t, policy, `"Effect": "Deny"`)
		require.Contains(t, policy, "autoScalingGroupName/web-*")
		called := map[string]bool{}
		for _, c := range w.API.Calls()[before:] {
			called[prefixes[c.Service]+":"+c.Operation] = true
		}
		for action := range allowed(t, policy) {
			require.True(t, called[action] || unseen[action] != "", "%s is allowed, and nothing calls it", action)
		}
	})
}

// allAllowed checks that a policy allows what was called, from a call on.
func (w *world) allAllowed(t *testing.T, policy string, from int) {
	t.Helper()
	may := allowed(t, policy)
	for _, c := range w.API.Calls()[from:] {
		if !contains(setUp, c.Operation) {
			require.True(t, may[prefixes[c.Service]+":"+c.Operation], "%s is called, and the policy does not allow it", c.Name())
		}
	}
}

// What is done to instances is allowed for those that the selection names, where that
// can be said by tags.
func TestPolicyIsLimitedToTheFleet(t *testing.T) {
	pair := func(key, value string) tags.Group { return tags.Group{{Key: key, Value: value}} }
	for name, c := range map[string]struct {
		selection ec2.Selection
		green     *ec2.Green
		ends      []string // conditions of TerminateInstances; none: any instance
		sends     []string
	}{
		"a group": {ec2.Selection{Groups: []string{"web"}}, nil, nil,
			[]string{"StringEquals ssm:resourceTag/aws:autoscaling:groupName web", "StringLike ssm:resourceTag/aws:autoscaling:groupName web-*"}},
		"a copy": {ec2.Selection{Groups: []string{"web"}}, &ec2.Green{},
			[]string{"StringEquals aws:ResourceTag/aws:autoscaling:groupName web", "StringLike aws:ResourceTag/aws:autoscaling:groupName web-*"},
			[]string{"StringEquals ssm:resourceTag/aws:autoscaling:groupName web", "StringLike ssm:resourceTag/aws:autoscaling:groupName web-*"}},
		"tags, the group that can be said": {ec2.Selection{Tags: tags.Selection{Set: tags.Set{{{Key: "env"}}, pair("role", "web")}}},
			&ec2.Green{Selection: ec2.Selection{Groups: []string{"green"}}},
			[]string{"StringEquals aws:ResourceTag/role web"},
			[]string{"StringEquals ssm:resourceTag/role web", "StringEquals ssm:resourceTag/aws:autoscaling:groupName green"}},
		"either of two":        {ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}}}, nil, nil, []string{"StringEquals ssm:resourceTag/a 1", "StringEquals ssm:resourceTag/b 2"}},
		"what cannot be said":  {ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "a"}}}}, nil, nil, []string{""}},
		"half cannot be said":  {ec2.Selection{Groups: []string{"web"}, Tags: tags.Selection{Filters: tags.Group{{Value: "a"}}}}, nil, nil, []string{""}},
		"green cannot be said": {ec2.Selection{Groups: []string{"web"}}, &ec2.Green{Selection: ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "a"}}}}}, []string{"StringEquals aws:ResourceTag/aws:autoscaling:groupName web"}, []string{""}},
	} {
		f := &ec2.Fleet{Selection: c.selection, Green: c.green, Reach: &ec2.SSM{}}
		policy, err := f.Policy(ec2.Scope{})
		require.NoError(t, err)
		require.Equal(t, c.sends, conditions(t, policy, "ssm:SendCommand", "instance/*"), name)
		require.Equal(t, c.ends, conditions(t, policy, "ec2:TerminateInstances", "instance/*"), name)
	}
}

// conditions are those of the statements that allow an action on resources that end so.
func conditions(t *testing.T, policy, action, end string) (all []string) {
	t.Helper()
	var p iam.Policy
	require.NoError(t, json.Unmarshal([]byte(policy), &p))
	for _, s := range p.Statement {
		if !slices.Contains(s.Action, action) || !strings.HasSuffix(s.Resource[0], end) {
			continue
		}
		text := ""
		for op, keys := range s.Condition {
			for k, v := range keys {
				text = op + " " + k + " " + v
			}
		}
		all = append(all, text)
	}
	return all
}

// Copying a group launches instances, with their role and their tags.
func TestPolicyToCopy(t *testing.T) {
	f := &ec2.Fleet{Selection: ec2.Selection{Groups: []string{"web"}}, Green: &ec2.Green{}, Reach: ec2.HostFunc(nil)}
	policy, err := f.Policy(ec2.Scope{Region: "eu-central-1", Account: "123456789012"})
	require.NoError(t, err)
	require.Contains(t, policy, `"arn:aws:iam::123456789012:role/*"`)
	require.Equal(t, []string{"StringEquals iam:PassedToService ec2.amazonaws.com"}, conditions(t, policy, "iam:PassRole", ""))
	require.Equal(t, []string{"StringEquals ec2:CreateAction RunInstances"}, conditions(t, policy, "ec2:CreateTags", ""))
	require.Equal(t, []string{"StringEquals aws:RequestedRegion eu-central-1"}, conditions(t, policy, "ec2:RunInstances", ""))
	policy, err = f.Policy(ec2.Scope{Roles: []string{"arn:aws:iam::123456789012:role/web"}})
	require.NoError(t, err)
	require.NotContains(t, policy, "role/*")
	require.Equal(t, []string{""}, conditions(t, policy, "ec2:RunInstances", ""))
}

// The same, where a green fleet is there already.
func TestPolicyForAnExistingGreenFleet(t *testing.T) {
	for name, tc := range map[string]struct {
		blue, green ec2.Selection
		actions     int
	}{
		"groups": {ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green"}}, 19},
		"tags":   {color("blue"), color("green"), 11},
		"mixed":  {color("blue"), ec2.Selection{Groups: []string{"green"}}, 11},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.scaled(t, "blue", 3)
			require.NoError(t, w.Group(t.Context(), "green", 3))
			w.pass(t, 3*time.Minute)
			for _, group := range []string{"blue", "green"} {
				for _, id := range w.Groups.Members(group) {
					w.Machines.Tag(id, map[string]string{"color": group})
				}
			}
			before := len(w.API.Calls())
			f := w.discovering(tc.blue, tc.green)
			w.run(t, func() {
				res, err := w.deployment(t, f, strategy.BlueGreen{}).Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%s: %+v", name, res)
			})
			policy, err := f.Policy(ec2.Scope{})
			require.NoError(t, err)
			w.allAllowed(t, policy, before)
			require.Len(t, allowed(t, policy), tc.actions, "%s: %s", name, policy)
			if name == "groups" { // held while they get load balancers
				require.Equal(t, 2, strings.Count(policy, "autoScalingGroupName/green"), policy)
			}
		})
	}
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}

// A fleet needs no more than it uses.
func TestPolicyOfATaggedFleetIsSmall(t *testing.T) {
	policy, err := (&ec2.Fleet{Selection: webTag, Reach: ec2.HostFunc(nil), Balancers: &ec2.Balancers{TargetGroups: []string{"web"}}}).Policy(ec2.Scope{})
	require.NoError(t, err)
	require.Len(t, allowed(t, policy), 6, policy)
	require.NotContains(t, policy, "autoscaling")
	require.NotContains(t, ec2.HostPolicy(), "s3:")
}

// Balancers that name none need nothing: a statement without actions is refused by IAM.
func TestPolicyWithoutBalancersHasNoEmptyStatement(t *testing.T) {
	policy, err := (&ec2.Fleet{Selection: webTag, Reach: ec2.HostFunc(nil), Balancers: &ec2.Balancers{}}).Policy(ec2.Scope{})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"ec2:DescribeInstances": true}, allowed(t, policy))
}
