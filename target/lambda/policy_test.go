package lambda_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/iam"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// asked is what a call asks IAM for: the action and the resource. Aliases are asked for
// by the function's ARN.
func asked(t *testing.T, c awsfake.Call) (action, resource string) {
	arn := func(name, qualifier *string) string {
		s := "arn:aws:lambda:eu-central-1:123456789012:function:" + *name
		if qualifier != nil {
			s += ":" + *qualifier
		}
		return s
	}
	action = "lambda:" + c.Operation
	switch in := c.In.(type) {
	case *awslambda.GetAliasInput:
		return action, arn(in.FunctionName, nil)
	case *awslambda.UpdateAliasInput:
		return action, arn(in.FunctionName, nil)
	case *awslambda.GetFunctionConfigurationInput:
		return action, arn(in.FunctionName, in.Qualifier)
	case *awslambda.GetProvisionedConcurrencyConfigInput:
		return action, arn(in.FunctionName, in.Qualifier)
	case *awslambda.PutProvisionedConcurrencyConfigInput:
		return action, arn(in.FunctionName, in.Qualifier)
	case *awslambda.DeleteProvisionedConcurrencyConfigInput:
		return action, arn(in.FunctionName, in.Qualifier)
	case *awslambda.InvokeInput:
		return "lambda:InvokeFunction", arn(in.FunctionName, nil)
	case *awslambda.UpdateFunctionCodeInput:
		return action, arn(in.FunctionName, nil)
	case *awslambda.PublishVersionInput:
		return action, arn(in.FunctionName, nil)
	}
	require.Fail(t, "unknown call", "%T", c.In)
	return "", ""
}

// The policy allows every call that a deployment makes, forth and back, and nothing that
// none makes.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.alias.Provisioned = 3
		scope := lambda.Scope{Region: "eu-central-1", Account: "123456789012"}
		text, err := w.alias.Policy(scope, lambda.PublishStatement(scope, "checkout"))
		require.NoError(t, err)

		_, err = lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 2b")})
		require.NoError(t, err)
		_, err = w.alias.Units(t.Context())
		require.NoError(t, err)
		job := w.before(t)
		steps := []target.Task{w.hook(), w.allow("2", 10), w.allow("2", 100), w.hook(), w.allow("1", 0)}
		steps[3].Step.Event = lifecycle.AfterAllowTraffic
		for _, step := range steps {
			step.Job = job
			require.NoError(t, w.alias.Perform(t.Context(), step))
		}

		var policy iam.Policy
		require.NoError(t, json.Unmarshal([]byte(text), &policy))
		used := map[string]bool{}
		for _, c := range w.api.Calls() {
			action, resource := asked(t, c)
			i := slices.IndexFunc(policy.Statement, func(s iam.Statement) bool {
				return slices.Contains(s.Action, action) && slices.Contains(s.Resource, resource)
			})
			require.GreaterOrEqual(t, i, 0, "%s on %s is not allowed", action, resource)
			used[action] = true
			used[policy.Statement[i].Sid+resource] = true
		}
		for _, s := range policy.Statement {
			for _, action := range s.Action {
				require.True(t, used[action], "%s is allowed, and nobody needs it", action)
			}
			for _, r := range s.Resource {
				require.True(t, used[s.Sid+r] || strings.HasSuffix(r, ":live"), "%s is allowed on %s, and nobody needs it", s.Sid, r)
			}
		}
	})
}

func TestPolicyNames(t *testing.T) {
	w := newWorld(t)
	w.alias.Spec.Function.Name = "arn:aws-cn:lambda:cn-north-1:210987654321:function:checkout"
	w.alias.Spec.Functions[0].Function = "999999999999:function:LooksBefore"
	w.alias.Hooks.Caller = &function.Names{Named: map[string]function.Caller{"LooksAfter": function.Go(nil)}}
	text, err := w.alias.Policy(lambda.Scope{})
	require.NoError(t, err)
	require.Contains(t, text, `"arn:aws-cn:lambda:cn-north-1:210987654321:function:checkout:live"`)
	require.Contains(t, text, `"arn:aws:lambda:*:999999999999:function:LooksBefore"`)
	require.NotContains(t, text, "LooksAfter", "Go code needs no permission")
	require.NotContains(t, text, "PutProvisioned")
	w.alias.Client = nil
	_, err = w.alias.Policy(lambda.Scope{})
	require.Error(t, err)
}
