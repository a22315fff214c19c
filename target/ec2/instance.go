package ec2

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Instance is a machine that can be deployed to: an EC2 instance, or another machine
// that Systems Manager knows.
type Instance struct {
	ID    string
	State string // as EC2 says it: running, stopped, …; of a machine elsewhere its ping status
	Zone  string // availability zone; empty: none
	Tags  map[string]string
	Group string // the Auto Scaling group that it is in; empty: none
}

// Instances finds instances and ends them. Package target/ec2/instances has one made
// of the EC2 client; it is a package of its own since that client takes a minute to
// compile.
type Instances interface {
	// Describe lists the instances that meet all of the query's terms, terminated
	// ones included for as long as EC2 knows them. Ids that EC2 does not know are no
	// error.
	Describe(ctx context.Context, q Query) ([]Instance, error)
	// Terminate ends instances. Ones that are gone already are no error.
	Terminate(ctx context.Context, ids []string) error
}

// Query says which instances to describe. The zero value is all of them.
type Query struct {
	IDs []string // empty: any
	// Tags are pairs of key and values, one of which an instance must have. No values:
	// any value will do.
	Tags map[string][]string
}

// Reach is how hosts are reached: [SSM], or [HostFunc].
type Reach interface {
	// Host returns the host that an instance is. It is called once per instance and
	// deployment, does not wait, and may be called from many goroutines.
	Host(i Instance) target.Host
}

// HostFunc is a [Reach] made of a function.
type HostFunc func(i Instance) target.Host

// Host calls the function.
func (f HostFunc) Host(i Instance) target.Host { return f(i) }

// lostStates says why an instance in a state cannot be deployed to. A stopped one
// belongs to the fleet nevertheless, and fails, as in CodeDeploy. One that is pending
// will run soon.
var lostStates = map[string]string{
	"stopping": "the instance is stopping", "stopped": "the instance is stopped: start it, or terminate it",
	"shutting-down": "the instance is shutting down", "terminated": "the instance is terminated",
	"ConnectionLost": "Systems Manager has lost the connection to the machine: look whether it runs, and its SSM agent; deregister it if it will not come back",
	"Inactive":       "Systems Manager has not heard of the machine for long: look at its SSM agent; deregister it if it will not come back",
}

// gone reports whether an instance no longer belongs to anything.
func (i Instance) gone() bool { return i.State == "terminated" || i.State == "shutting-down" }

func (i Instance) unit(role lifecycle.Role) lifecycle.Unit {
	return lifecycle.Unit{ID: i.ID, Zone: i.Zone, Role: role, Lost: lostStates[i.State]}
}
