package function_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
)

// A hook that an AppSpec calls SmokeTest is Go code of this program.
func Example() {
	smokeTest := lifecycle.Func(func(ctx context.Context, env lifecycle.Env, out io.Writer) error {
		return errors.New("the front page is empty")
	})
	hooks := &function.Hooks{Caller: &function.Names{Named: map[string]function.Caller{"SmokeTest": function.Go(smokeTest)}}}

	step := lifecycle.Step{Deployment: "d-1", Unit: "7", Event: lifecycle.BeforeAllowTraffic}
	err := hooks.Run(context.Background(), target.Task{Step: step}, "SmokeTest")
	fmt.Println(err)
	// Output:
	// d-1: BeforeAllowTraffic on 7: the front page is empty
}
