package lambda_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// gaps are what the emulator lacks or does otherwise. Each is tried against the fake,
// in the tests named. One that the emulator has learned makes TestEmulatorGaps fail: take
// it off the list then.
var gaps = []string{
	"provisioned concurrency is not there: TestProvisionedConcurrency…",
	"UpdateAlias takes any revision id, and it never changes: TestG17_…",
	"a weight of 1.5 is accepted: the fake refuses it",
	"functions and versions are active at once: TestG20_…, TestG18_Publish",
	"a dry run of Invoke takes a queued answer, and knows every function: TestG19_PreFlight",
	"calls are never really split; Invoke echoes or says what was queued: TestHooksAreFunctionsOfLambda",
}

// emulated is the driver's client for the emulator: it answers itself what that lacks.
type emulated struct{ *awslambda.Client }

func (emulated) GetProvisionedConcurrencyConfig(context.Context, *awslambda.GetProvisionedConcurrencyConfigInput, ...func(*awslambda.Options)) (*awslambda.GetProvisionedConcurrencyConfigOutput, error) {
	return nil, &types.ProvisionedConcurrencyConfigNotFoundException{}
}

// zipped is a zip file with one line of code in it, the same for the same line.
func zipped(t testing.TB, code string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("index.py")
	require.NoError(t, err)
	_, err = io.WriteString(f, code)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// home is the region of tests that are alone in their emulator.
const home = "eu-central-1"

// motoWorld is the function checkout with two versions, in a region of an emulator that
// has nothing there yet.
func motoWorld(t testing.TB, server *moto.Server, region string) *awslambda.Client {
	t.Helper()
	server.Post(t, "/moto-api/config", `{"lambda":{"use_docker":false}}`)
	c := awslambda.NewFromConfig(server.Config(), func(o *awslambda.Options) { o.Region = region })
	for _, name := range []string{"LooksBefore", "LooksAfter"} {
		create(t, server, c, name)
	}
	twoVersions(t, server, c, "checkout")
	return c
}

func create(t testing.TB, server *moto.Server, c *awslambda.Client, name string) {
	t.Helper()
	roles := iam.NewFromConfig(server.Config())
	role, err := roles.CreateRole(context.Background(), &iam.CreateRoleInput{RoleName: aws.String(name + "-" + c.Options().Region), AssumeRolePolicyDocument: aws.String("{}")})
	require.NoError(t, err)
	_, err = c.CreateFunction(context.Background(), &awslambda.CreateFunctionInput{FunctionName: &name, Role: role.Role.Arn, Runtime: types.RuntimePython312,
		Handler: aws.String("index.handler"), Publish: true, Code: &types.FunctionCode{ZipFile: zipped(t, "one")}})
	require.NoError(t, err)
}

// twoVersions makes a function whose alias leads to the first of two versions.
func twoVersions(t testing.TB, server *moto.Server, c *awslambda.Client, name string) {
	t.Helper()
	create(t, server, c, name)
	v, err := lambda.Publish(context.Background(), c, name, lambda.Code{Zip: zipped(t, "two")})
	require.NoError(t, err)
	require.Equal(t, "2", v)
	_, err = c.CreateAlias(context.Background(), &awslambda.CreateAliasInput{FunctionName: &name, Name: aws.String("live"), FunctionVersion: aws.String("1")})
	require.NoError(t, err)
}

func TestConformanceOverTheWire(t *testing.T) {
	server := moto.Start(t)
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		server.Post(t, "/moto-api/reset", "")
		return harness(t, emulated{motoWorld(t, server, home)}, nil)
	})
}

// The same deployments as in the process, over HTTP. Time is compressed by the
// strategies' own numbers: an hour is three seconds.
func TestDeployOverTheWire(t *testing.T) {
	t.Parallel() // it waits most of the time
	server := moto.Start(t)
	regions := []string{home, "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-north-1", "ap-south-1", "sa-east-1"}
	require.GreaterOrEqual(t, len(regions), len(scenarios))
	n := 0
	for name, s := range scenarios {
		region := regions[n]
		n++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := motoWorld(t, server, region)
			hour := 3 * time.Second
			if s.at > 0 {
				hour = 2 * time.Minute // there has to be time for something to happen
			}
			e := newEnv(c, emulated{c}, hour)
			e.watch(t, server, region)
			res, err := s.play(t, e, run(t))
			require.NoError(t, err)
			s.check(t, e, res)
		})
	}
}

// watch gives the deployment an alarm in the emulator's CloudWatch, which speaks an older
// protocol than the SDK does by itself.
func (e *env) watch(t *testing.T, server *moto.Server, region string) {
	c := awscloudwatch.NewFromConfig(server.Config(), func(o *awscloudwatch.Options) {
		o.Region, o.Protocol = region, awsjson.New10(schemas.GraniteServiceVersion20100801)
	})
	_, err := c.PutMetricAlarm(t.Context(), &awscloudwatch.PutMetricAlarmInput{AlarmName: aws.String("errors"), Namespace: aws.String("AWS/Lambda"), MetricName: aws.String("Errors"),
		EvaluationPeriods: aws.Int32(1), Period: aws.Int32(60), Threshold: aws.Float64(1), Statistic: cwtypes.StatisticSum, ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold})
	require.NoError(t, err)
	e.fire = func() {
		_, err := c.SetAlarmState(context.Background(), &awscloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: cwtypes.StateValueAlarm, StateReason: aws.String("test")})
		require.NoError(t, err)
	}
	e.alarms = (&cloudwatch.Alarms{Client: c, Names: []string{"errors"}}).List()
}

func TestPublishOverTheWire(t *testing.T) {
	c := motoWorld(t, moto.Start(t), home)
	for _, step := range []struct{ code, version string }{{"two", "2"}, {"three", "3"}, {"three", "3"}} {
		v, err := lambda.Publish(t.Context(), c, "checkout", lambda.Code{Zip: zipped(t, step.code), Description: "release"})
		require.NoError(t, err)
		require.Equal(t, step.version, v)
	}
}

// What functions answer is queued, since the emulator runs nothing.
func TestHooksOverTheWire(t *testing.T) {
	server := moto.Start(t)
	c := motoWorld(t, server, home)
	for answer, want := range map[string]lifecycle.Code{`{"hookStatus":"SUCCEEDED"}`: "", `{"hookStatus":"FAILED"}`: lifecycle.HookFailed, `{"statusCode":200}`: lifecycle.HookFailed} {
		body, err := json.Marshal(map[string]any{"results": []string{answer}, "region": "eu-central-1"})
		require.NoError(t, err)
		server.Post(t, "/moto-api/static/lambda-simple/response", string(body))
		alias := &lambda.Alias{Client: emulated{c}, Spec: parse(t, appSpec), Hooks: &function.Hooks{Caller: &lambda.Functions{Client: c}}}
		w := &world{alias: alias}
		require.Equal(t, want, codeOf(alias.Perform(t.Context(), w.hook())), answer)
	}
}

func TestEmulatorGaps(t *testing.T) {
	c := motoWorld(t, moto.Start(t), home)
	_, err := c.GetProvisionedConcurrencyConfig(t.Context(), &awslambda.GetProvisionedConcurrencyConfigInput{FunctionName: aws.String("checkout"), Qualifier: aws.String("1")})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "ProvisionedConcurrencyConfigNotFoundException", gaps[0])
	_, err = c.UpdateAlias(t.Context(), &awslambda.UpdateAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live"), RevisionId: aws.String("wrong")})
	require.NoError(t, err, gaps[1])
	_, err = c.UpdateAlias(t.Context(), &awslambda.UpdateAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 1.5}}})
	require.NoError(t, err, gaps[2])
	out, err := c.GetFunctionConfiguration(t.Context(), &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("checkout"), Qualifier: aws.String("2")})
	require.NoError(t, err)
	require.Equal(t, types.StateActive, out.State, gaps[3])
	echo, err := c.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("LooksBefore"), Payload: []byte(`{"a":1}`)})
	require.NoError(t, err)
	require.NotContains(t, strings.ToLower(string(echo.Payload)), "hookstatus", gaps[5])
}
