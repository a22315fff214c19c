package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// An AppSpec of one's own, against an emulator, with a hook that calls nobody back but
// answers.
func TestOwnRevisionOverTheWire(t *testing.T) {
	server := moto.Start(t)
	server.Post(t, "/moto-api/config", `{"lambda":{"use_docker":false}}`)
	well := `"{\"hookStatus\":\"SUCCEEDED\"}"` // the emulator takes one for each call, also for those that only ask
	server.Post(t, "/moto-api/static/lambda-simple/response", `{"results":[`+strings.Join([]string{well, well, well}, ",")+`],"region":"eu-central-1"}`)
	role, err := iam.NewFromConfig(server.Config()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("lambda"), AssumeRolePolicyDocument: aws.String("{}")})
	require.NoError(t, err)
	c := awslambda.NewFromConfig(server.Config())
	for _, name := range []string{"checkout", "LooksBefore"} {
		_, err = c.CreateFunction(t.Context(), &awslambda.CreateFunctionInput{FunctionName: &name, Role: role.Role.Arn, Runtime: types.RuntimePython312,
			Handler: aws.String("index.handler"), Publish: true, Code: &types.FunctionCode{ZipFile: zipped(t, "1")}})
		require.NoError(t, err)
	}
	_, err = lambda.Publish(t.Context(), c, "checkout", lambda.Code{Zip: zipped(t, "2")})
	require.NoError(t, err)
	_, err = c.CreateAlias(t.Context(), &awslambda.CreateAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live"), FunctionVersion: aws.String("1")})
	require.NoError(t, err)

	dir, root := t.TempDir(), t.TempDir()
	text := `version: 0.0
Resources:
  - checkout:
      Type: AWS::Lambda::Function
      Properties: {Name: checkout, Alias: live, CurrentVersion: "1", TargetVersion: "2"}
Hooks:
  - BeforeAllowTraffic: LooksBefore
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(text), 0o600))
	args := []string{"-revision", dir, "-root", root, "-endpoint", server.URL, "-region", "eu-central-1", "-shift", "canary:10%/100ms", "-callbacks", "127.0.0.1:0"}
	status, out, errs := program(t.Context(), append(args, "-plan")...)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "arn:aws:lambda:eu-central-1:*:function:checkout:live")
	status, out, errs = program(t.Context(), args...)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "2 Lambda.UpdateAlias")
	alias, err := c.GetAlias(t.Context(), &awslambda.GetAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live")})
	require.NoError(t, err)
	require.Equal(t, "2", *alias.FunctionVersion)

	status, out, errs = program(t.Context(), append(args, "-resume")...)
	require.Equal(t, exitOK, status, errs)
	require.Contains(t, out, "0 API calls", "it tells how it ended")
	status, _, errs = program(t.Context(), args...)
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "nothing to deploy")
}

func zipped(t *testing.T, code string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("index.py")
	require.NoError(t, err)
	_, err = fmt.Fprint(f, code)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}
