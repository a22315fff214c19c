package strategy_test

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

func ExampleInPlace_Plan() {
	in := strategy.Input{
		Deployment: "d-7", Group: "web",
		Revision: revision.Revision{Location: revision.Location{Kind: revision.KindDir, Path: "/builds/42"}},
		Units:    []lifecycle.Unit{{ID: "a", Healthy: true}, {ID: "b"}, {ID: "c", Healthy: true}},
	}
	plan, err := strategy.Percent(40).Plan(in)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan.Stages[0].Units, plan.Stages[0].Pace)
	fmt.Println(plan.Rules[0].Text)

	_, err = strategy.Percent(80).Plan(in)
	fmt.Println(err)
	// Output:
	// [b a c] at most 1 at once, at least 2 healthy
	// 40 % of 3, rounded up: at least 2 stay healthy, up to 1 at once
	// 80 % of 3, rounded up: at least 3 stay healthy, so none of the 3 may be taken out of service; lower the minimum, add hosts, or deploy one at a time
}

func ExampleParse() {
	for _, name := range []string{"half", "25%", "CodeDeployDefault.OneAtATime", "most"} {
		_, err := strategy.Parse(name)
		fmt.Println(name, err)
	}
	// Output:
	// half <nil>
	// 25% <nil>
	// CodeDeployDefault.OneAtATime <nil>
	// most strategy "most" is unknown: want all, half, one, a percentage such as 25%, a number such as count:3, or a name of CodeDeploy's such as CodeDeployDefault.OneAtATime
}
