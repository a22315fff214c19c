package target

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Balanced is what a [Target] also is when it may have its units behind a load
// balancer. The engine asks once, when it plans: units of a balanced target go
// out of traffic before ApplicationStop and back in after ValidateService.
type Balanced interface {
	Balanced() bool
}

// Full is the weight of a unit that takes all the traffic meant for it.
const Full lifecycle.Weight = 100

// Fleet is a [Target] made of hosts. Steps go to the host that they name;
// BlockTraffic and AllowTraffic go to the balancer. Set the fields before first
// use and leave them; then it may be used from many goroutines. It must not be
// copied after use.
type Fleet struct {
	Hosts []Host // at least one; ids must differ
	// Traffic is the load balancer. A host gets all of its traffic when it is done, also
	// one that somebody had taken out by hand before: leave that out of Hosts. Nil: there
	// is none.
	Traffic Traffic

	once sync.Once
	byID map[string]Host
}

var (
	_ Target   = (*Fleet)(nil)
	_ Balanced = (*Fleet)(nil)
	_ Checker  = (*Fleet)(nil)
)

// Units lists the hosts in their order. Two hosts with one id, a host without an
// id and a nil host are errors: what is meant by them is anybody's guess.
func (f *Fleet) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	units := make([]lifecycle.Unit, len(f.Hosts))
	at := make(map[string]int, len(f.Hosts))
	for i, h := range f.Hosts {
		if h == nil {
			return nil, fmt.Errorf("fleet: host %d is nil: leave it out", i)
		}
		u := h.Unit()
		if u.ID == "" {
			return nil, fmt.Errorf("fleet: host %d has no id: give it one that stays the same between deployments", i)
		}
		if before, twice := at[u.ID]; twice {
			return nil, fmt.Errorf("fleet: hosts %d and %d are both called %q: list each host once, under an id of its own", before, i, u.ID)
		}
		at[u.ID], units[i] = i, u
	}
	return units, nil
}

// Balanced reports whether there is a load balancer.
func (f *Fleet) Balanced() bool { return f.Traffic != nil }

// Check asks the first host that has the power of [Checker]: what makes a revision
// unfit is the same for all. What differs between hosts is found by each of them
// at its Start event, while it still serves.
func (f *Fleet) Check(ctx context.Context, job *Job) ([]lifecycle.Note, error) {
	for _, h := range f.Hosts {
		if c, ok := h.(Checker); ok {
			return c.Check(ctx, job)
		}
	}
	return nil, nil
}

// Perform does BlockTraffic and AllowTraffic through the balancer, and gives
// everything else to the host. AllowTraffic with weight 0 in the step means
// [Full]: a host either serves or it does not.
func (f *Fleet) Perform(ctx context.Context, t Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	h := f.host(t.Step.Unit)
	if h == nil {
		return refuse(t.Step, lifecycle.UnitLost, fmt.Sprintf("the fleet has no host %q: it was there when the deployment was planned; add it again, or deploy anew", t.Step.Unit))
	}
	switch t.Step.Event {
	case lifecycle.BlockTraffic:
		return f.setWeight(ctx, t.Step, 0)
	case lifecycle.AllowTraffic:
		if t.Step.Weight == 0 {
			return f.setWeight(ctx, t.Step, Full)
		}
		return f.setWeight(ctx, t.Step, t.Step.Weight)
	default:
		return h.Perform(ctx, t)
	}
}

// host finds a host in the same time however many there are.
func (f *Fleet) host(id string) Host {
	f.once.Do(func() {
		f.byID = make(map[string]Host, len(f.Hosts))
		for _, h := range f.Hosts {
			if h != nil {
				f.byID[h.Unit().ID] = h
			}
		}
	})
	return f.byID[id]
}

func (f *Fleet) setWeight(ctx context.Context, step lifecycle.Step, w lifecycle.Weight) error {
	if f.Traffic == nil {
		return refuse(step, lifecycle.Unsupported, "the fleet has no load balancer: set Fleet.Traffic, or deploy without traffic events")
	}
	err := f.Traffic.SetWeight(ctx, step.Unit, w)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if _, ok := errors.AsType[*lifecycle.Error](err); ok {
		return err
	}
	return &lifecycle.Error{Step: step, Err: err, Failure: lifecycle.Failure{
		Code: lifecycle.TargetFailed, Message: fmt.Sprintf("cannot set traffic weight %d: %v", w, err)}}
}

func refuse(step lifecycle.Step, code lifecycle.Code, message string) error {
	return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: code, Message: message}}
}
