package ec2_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/iam"
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

// Every call of a deployment is allowed by the policy, and it has no action that no
// deployment needs.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.Classic.Add("old", time.Second)
		require.NoError(t, w.Group(t.Context(), "web", 3, w.arn, "old"))
		w.pass(t, 3*time.Minute)
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
		w.allAllowed(t, policy, 0)
		require.NotContains(t, policy, `"Effect": "Deny"`)
		require.Contains(t, policy, "autoScalingGroupName/web-*")
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
