package lambda_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// All calls of an alias move to a new version once its function has looked at it.
func Example() {
	dir, _ := os.MkdirTemp("", "lambda-")
	defer os.RemoveAll(dir)
	text := []byte(`version: 0.0
Resources:
  - checkout:
      Type: AWS::Lambda::Function
      Properties: {Name: checkout, Alias: live, CurrentVersion: "1", TargetVersion: "2"}
Hooks:
  - BeforeAllowTraffic: LooksBefore
`)
	if err := os.WriteFile(filepath.Join(dir, "appspec.yml"), text, 0o600); err != nil {
		fmt.Println(err)
		return
	}
	spec, _, err := appspec.Parse("appspec.yml", text, appspec.Options{Platform: lifecycle.Lambda})
	if err != nil {
		fmt.Println(err)
		return
	}
	api := &awsfake.API{} // in place of an account: the client is made from its configuration
	world := fakelambda.New(api)
	world.Create("checkout", "code 1")
	world.Publish("checkout", "code 2")
	world.Point("checkout", "live", "1", nil)
	world.On("LooksBefore", func(context.Context, []byte) ([]byte, error) { return []byte(`{"hookStatus":"SUCCEEDED"}`), nil })
	client := awslambda.NewFromConfig(api.Config())

	d := &cutover.Deployment{
		Group:    "checkout",
		Revision: revision.Dir(dir),
		Target:   &lambda.Alias{Client: client, Spec: spec, Hooks: &function.Hooks{Caller: &lambda.Functions{Client: client}}},
		Strategy: strategy.Lambda{},
	}
	result, err := d.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Status, world.Routing("checkout", "live"))
	// Output:
	// Succeeded map[2:1]
}
