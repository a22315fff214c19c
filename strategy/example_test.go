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

// What will the plan do, and what if 3 % of the hosts fail? Ask before running it.
func ExampleSimulate() {
	in := strategy.Input{Deployment: "d-7", Group: "web", Revision: revision.Revision{Digest: "sha256:42"}}
	for i := range 100 {
		in.Units = append(in.Units, lifecycle.Unit{ID: fmt.Sprintf("host-%02d", i), Healthy: true})
	}
	failing := strategy.Model{Fails: func(s lifecycle.Step) *lifecycle.Failure {
		if s.Event == lifecycle.Install && (s.Unit == "host-07" || s.Unit == "host-42" || s.Unit == "host-77") {
			return &lifecycle.Failure{Code: lifecycle.InstallFailed, Message: "disk full"}
		}
		return nil
	}}
	for _, s := range []strategy.Strategy{strategy.Percent(90), strategy.Percent(98)} {
		plan, err := s.Plan(in)
		if err != nil {
			fmt.Println(err)
			return
		}
		timeline, err := strategy.Simulate(plan, failing)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(timeline)
	}
	// Output:
	// Succeeded in 1m44s: 100 units touched, at most 10 at once, at least 90 healthy
	// Failed in 5m9s: 43 units touched, at most 2 at once, at least 98 healthy; HealthConstraints: 98 of 100 units are healthy and 98 must be, so no other may be taken out of service; 2 failed, 57 were not started; first failure: Install on host-07: disk full
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
