package onprem_test

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// Hosts over SSH. What is missing is found before anything is connected to.
func ExampleSSH() {
	agent.Main() // first thing in main: on the hosts, this program is the agent
	access := &onprem.Access{User: "deploy", Keys: []string{"~/.ssh/id_ed25519"}}
	host := &onprem.SSH{ID: "web-1", Address: "10.0.0.1", Access: access}
	fleet := &target.Fleet{Hosts: []target.Host{host}}

	_, err := fleet.Check(context.Background(), &target.Job{})
	fmt.Println(err)
	// Output:
	// host web-1: nothing says which keys hosts have: set Access.KnownHosts or Access.HostCAs; there is no way to do without, since whoever answers would get the revision and could run what it likes
}

// Two directories of this machine that stand for hosts.
func ExampleLocals() {
	hosts, err := onprem.Locals("/var/lib/fleet", 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range hosts {
		fmt.Println(h.Unit().ID, h.(*onprem.Local).Root)
	}
	_ = lifecycle.InPlace
	// Output:
	// host-1 /var/lib/fleet/host-1
	// host-2 /var/lib/fleet/host-2
}
