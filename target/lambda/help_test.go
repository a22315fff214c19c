package lambda_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// TestMain lets the test binary be a controller that is killed.
func TestMain(m *testing.M) {
	beKilled()
	goleak.VerifyTestMain(m)
}

// appSpec moves the alias live of the function checkout from version 1 to 2.
const appSpec = `version: 0.0
Resources:
  - checkout:
      Type: AWS::Lambda::Function
      Properties:
        Name: checkout
        Alias: live
        CurrentVersion: "1"
        TargetVersion: "2"
Hooks:
  - BeforeAllowTraffic: LooksBefore
  - AfterAllowTraffic: LooksAfter
`

func parse(t testing.TB, text string) *appspec.Spec {
	t.Helper()
	spec, _, err := appspec.Parse("appspec.yml", []byte(text), appspec.Options{Platform: lifecycle.Lambda})
	require.NoError(t, err)
	return spec
}

// world is a function with two versions, whose alias leads to the first one, and two
// functions that say that all is well.
type world struct {
	*fakelambda.World
	api   *awsfake.API
	alias *lambda.Alias
}

func newWorld(t testing.TB) *world {
	api := &awsfake.API{}
	w := &world{World: fakelambda.New(api), api: api}
	w.Create("checkout", "code 1")
	w.Publish("checkout", "code 2")
	w.Point("checkout", "live", "1", nil)
	for _, name := range []string{"LooksBefore", "LooksAfter"} {
		w.says(name, `{"hookStatus":"SUCCEEDED"}`)
	}
	w.alias = w.newAlias(t)
	return w
}

// newAlias is the target of a controller that was started again.
func (w *world) newAlias(t testing.TB) *lambda.Alias {
	c := awslambda.NewFromConfig(w.api.Config())
	return &lambda.Alias{Client: c, Spec: parse(t, appSpec), Hooks: &function.Hooks{Caller: &lambda.Functions{Client: c}}}
}

func (w *world) says(name, answer string) {
	w.On(name, func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil })
}

// shares is how the alias leads, in the world itself.
func (w *world) shares() fakelambda.Routing { return w.Routing("checkout", "live") }

func (w *world) allow(unit string, weight lifecycle.Weight) target.Task {
	return target.Task{Job: &target.Job{}, Step: lifecycle.Step{Deployment: "d-1", Unit: unit, Event: lifecycle.AllowTraffic, Weight: weight}}
}

func codeOf(err error) lifecycle.Code {
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return e.Code
	}
	return ""
}

func weight(w lifecycle.Weight) *lifecycle.Weight { return &w }

// notes collects what a step has to tell.
type notes struct {
	mu  sync.Mutex
	all []lifecycle.Note
}

func (n *notes) take(note lifecycle.Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, note)
}
