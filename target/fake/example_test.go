package fake_test

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

func ExampleFleet() {
	ctx := context.Background()
	hosts := fake.NewFleet(2)
	hosts.On(fake.Match{Unit: "host-1", Event: lifecycle.Install}, fake.LoseReply())
	hosts.On(fake.Match{Event: lifecycle.Install, Nth: 2}, fake.Fail(lifecycle.InstallFailed))

	install := func(unit string) {
		step := lifecycle.Step{Deployment: "d-1", Unit: unit, Event: lifecycle.Install}
		fmt.Println(hosts.Perform(ctx, target.Task{Step: step}))
	}
	install("host-1")
	install("host-1") // asked again: it was done
	install("host-2")
	fmt.Println("done:", hosts.Done())
	// Output:
	// d-1: Install on host-1: the reply was lost: the step may have been done
	// <nil>
	// d-1: Install on host-2: fault: InstallFailed
	// done: [d-1: Install on host-1]
}

// A service splits its traffic between two task sets. What one has, the other has not.
func ExampleService() {
	ctx := context.Background()
	web := fake.NewService("web")
	perform := func(e lifecycle.Event, w lifecycle.Weight) {
		step := lifecycle.Step{Deployment: "d-1", Unit: "web-2", Event: e, Weight: w}
		if err := web.Perform(ctx, target.Task{Step: step}); err != nil {
			fmt.Println(err)
		}
	}
	perform(lifecycle.AllowTraffic, 10)
	perform(lifecycle.Install, 0)
	perform(lifecycle.AllowTraffic, 25)
	fmt.Println(web.Weights())
	// Output:
	// d-1: AllowTraffic on web-2: the task set does not exist: Install creates it
	// map[web-1:75 web-2:25]
}
