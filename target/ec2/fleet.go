package ec2

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// Fleet is a deployment group on EC2: a [target.Target] of the instances that a
// [Selection] chooses, reached by a [Reach], behind [Balancers]. Set the fields before
// first use; then it may be used from many goroutines. It must not be copied after use.
//
// While a deployment lasts, processes of its Auto Scaling groups are suspended that
// would work against it: AZRebalance, AlarmNotification, HealthCheck, ReplaceUnhealthy,
// ScheduledActions. What was suspended is written in a tag of the group first, and
// given back by [Fleet.Settle], also when another process finds it. That goes for the
// groups that the selection names: of instances that are only found by tags, the groups
// are left alone, so name them too if they have any.
type Fleet struct {
	Selection // which instances there are. Required

	// Green says where replacements come from, in blue/green deployments. Nil:
	// deployments are in place.
	Green *Green

	Instances   Instances   // EC2, or [Hybrid]. Required
	AutoScaling GroupClient // required with Auto Scaling groups; with Green also a [CopyClient]
	Reach       Reach       // how hosts are reached. Required
	Balancers   *Balancers  // nil: there are none

	// Watch is how often the state of instances is looked at while they are deployed
	// to, so that one that is terminated is noticed at once and not when its step has
	// timed out. All are looked at in one go. Zero: 15 s. Negative: never.
	Watch time.Duration
	// KeepProcesses leaves all processes of Auto Scaling groups as they are.
	KeepProcesses bool

	mu      sync.Mutex
	known   map[string]*member
	made    map[string]bool // groups that Provision made for the present deployment
	holding map[string]string
	holds   chan struct{} // has room for who suspends

	once    sync.Once
	lookups batch.Gatherer[string, string, Instance]
	states  batch.Shared[map[string]string]
	watched map[string]int
	retires batch.Gatherer[string, string, struct{}]
}

// member is an instance of the fleet with its host.
type member struct {
	Instance
	role lifecycle.Role
	host target.Host
}

var (
	_ target.Target      = (*Fleet)(nil)
	_ target.Balanced    = (*Fleet)(nil)
	_ target.Checker     = (*Fleet)(nil)
	_ target.Snapshotter = (*Fleet)(nil)
	_ target.Settler     = (*Fleet)(nil)
)

// init makes what the zero value lacks.
func (f *Fleet) init() {
	f.once.Do(func() {
		f.known, f.made, f.holding, f.watched = map[string]*member{}, map[string]bool{}, map[string]string{}, map[string]int{}
		f.holds = make(chan struct{}, 1)
		f.lookups.Window, f.lookups.Max, f.lookups.Send = 100*time.Millisecond, 1000, f.lookUp
		f.states.Read = f.readStates
		f.retires.Window, f.retires.Send = time.Second, f.retireAll
	})
}

// Balanced reports whether there are load balancers.
func (f *Fleet) Balanced() bool { return f.Balancers != nil }

// Check asks the way to the hosts, if that has the power of [target.Checker], else the
// first host that has it.
func (f *Fleet) Check(ctx context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if c, ok := f.Reach.(target.Checker); ok {
		return c.Check(ctx, job)
	}
	units, err := f.Units(ctx)
	if err != nil || len(units) == 0 {
		return nil, err
	}
	m, err := f.member(ctx, units[0].ID)
	if err != nil {
		return nil, err
	}
	if c, ok := m.host.(target.Checker); ok {
		return c.Check(ctx, job)
	}
	return nil, nil
}

// Perform does one step. Traffic goes through the load balancers, Retire ends
// instances, everything else is done on the host. A host whose instance stops or is
// terminated meanwhile is lost (UnitLost), whatever it was doing.
func (f *Fleet) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f.init()
	return ofStep(ctx, t.Step, f.perform(ctx, t))
}

func (f *Fleet) perform(ctx context.Context, t target.Task) error {
	if t.Step.Event == lifecycle.Retire {
		return f.retire(ctx, t.Step.Unit)
	}
	m, err := f.member(ctx, t.Step.Unit)
	if err != nil {
		return err
	}
	if err := f.hold(ctx, m.Group, t.Step.Deployment); err != nil {
		return err
	}
	switch t.Step.Event {
	case lifecycle.BlockTraffic:
		return f.shift(ctx, t, 0)
	case lifecycle.AllowTraffic:
		return f.shift(ctx, t, target.Full)
	default:
		return f.onHost(ctx, m, t)
	}
}

// shift gives a host its weight, unless somebody else has changed it.
func (f *Fleet) shift(ctx context.Context, t target.Task, w lifecycle.Weight) error {
	if f.Balancers == nil {
		return refuse(lifecycle.Unsupported, "the fleet has no load balancer: set Fleet.Balancers, or deploy without traffic events")
	}
	if t.Expect != nil {
		found, err := f.Balancers.Weight(ctx, t.Step.Unit)
		if err != nil {
			return err
		}
		ours := t.Again && found >= min(*t.Expect, w) && found <= max(*t.Expect, w) // cut off between two load balancers
		if found != *t.Expect && found != w && !ours {
			if t.Foreign != target.AdoptForeign && t.Foreign != target.OverwriteForeign {
				return refuse(lifecycle.ExternalChange, "%s is registered with %d %% of its load balancers and should be with %d %%: somebody else has changed that; put it back, or continue to overwrite it", t.Step.Unit, found, *t.Expect)
			}
			if t.Note != nil {
				t.Note(lifecycle.Note{Code: lifecycle.ExternalChange, Text: "somebody else changed the registration with load balancers; it was overwritten"})
			}
		}
	}
	return f.Balancers.set(ctx, t.Step.Unit, w, t.Note)
}

var errUnset = errors.New("ec2: a field of Fleet is not set")

// valid says what is missing.
func (f *Fleet) valid() error {
	switch {
	case f.Instances == nil, f.Reach == nil:
		return errors.Join(errUnset, errors.New("set Fleet.Instances and Fleet.Reach"))
	case f.Selection.empty():
		return errors.Join(errUnset, errors.New("set Fleet.Tags or Fleet.Groups: an empty selection would be every instance"))
	case f.Green != nil && f.Balancers == nil:
		return refuse(lifecycle.Unsupported, "blue/green deployments move traffic, and there is no load balancer: set Fleet.Balancers")
	case f.AutoScaling == nil && (len(f.Groups) > 0 || f.Green != nil && len(f.Green.Groups) > 0):
		return errors.Join(errUnset, errors.New("set Fleet.AutoScaling: there are Auto Scaling groups"))
	}
	return nil
}
