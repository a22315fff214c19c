package target_test

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// greeter is a host on which every step succeeds.
type greeter string

func (g greeter) Unit() lifecycle.Unit { return lifecycle.Unit{ID: string(g)} }

func (g greeter) Perform(_ context.Context, t target.Task) error {
	fmt.Println(g, "does", t.Step.Event)
	return nil
}

// A fleet sends each step to the host that it names.
func ExampleFleet() {
	ctx := context.Background()
	fleet := &target.Fleet{Hosts: []target.Host{greeter("web-1"), greeter("web-2")}}
	units, err := fleet.Units(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, u := range units {
		step := lifecycle.Step{Deployment: "d-1", Unit: u.ID, Event: lifecycle.Install}
		if err := fleet.Perform(ctx, target.Task{Step: step}); err != nil {
			fmt.Println(err)
		}
	}
	gone := lifecycle.Step{Deployment: "d-1", Unit: "web-9", Event: lifecycle.Install}
	fmt.Println(fleet.Perform(ctx, target.Task{Step: gone}))
	// Output:
	// web-1 does Install
	// web-2 does Install
	// d-1: Install on web-9: the fleet has no host "web-9": it was there when the deployment was planned; add it again, or deploy anew
}
