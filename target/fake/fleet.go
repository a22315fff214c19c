package fake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Fleet is a [target.Target] of hosts that exist in memory only. Every step
// succeeds at once unless a fault says otherwise. All methods may be called from
// many goroutines, faults may be added while a deployment runs, and a Fleet
// starts no goroutine of its own.
//
// It remembers outcomes by step key as a real host does, so the same Fleet can be
// given to one controller after another, to see what they do after a crash.
//
// With units of both roles it is a blue/green fleet; see [NewBlueGreen].
type Fleet struct {
	doer
	units    []lifecycle.Unit
	ids      map[string]bool // what steps may be asked of: the units, and replacements that are no longer listed
	revision map[string]string
	balancer *Balancer

	made    int                         // hosts that were ever named by number
	batches map[string][]lifecycle.Unit // by deployment: the replacements provisioned for it
}

var (
	_ target.Target      = (*Fleet)(nil)
	_ target.Balanced    = (*Fleet)(nil)
	_ target.Pool        = (*Fleet)(nil)
	_ target.Snapshotter = (*Fleet)(nil)
)

// NewFleet makes n hosts called host-1, host-2 and so on, without zones.
func NewFleet(n int) *Fleet {
	f := FleetOf()
	f.SetUnits(f.number(n, "")...)
	return f
}

// NewBlueGreen makes a fleet for blue/green deployments: n originals called host-1,
// host-2 and so on, in traffic behind b. Replacements come from [Fleet.Provision]:
// a deployment calls it, unless a test has done so before.
func NewBlueGreen(n int, b *Balancer) *Fleet {
	f := FleetOf().Balance(b)
	f.SetUnits(f.number(n, lifecycle.OriginalRole)...)
	return f
}

// FleetOf makes a host for every unit. Ids that occur twice stay so: a target
// with a defect can be wanted.
func FleetOf(units ...lifecycle.Unit) *Fleet {
	f := &Fleet{revision: map[string]string{}, batches: map[string][]lifecycle.Unit{}}
	f.init(f)
	f.SetUnits(units...)
	return f
}

// number makes units with the next n names that are free.
func (f *Fleet) number(n int, role lifecycle.Role) []lifecycle.Unit {
	units := make([]lifecycle.Unit, 0, n)
	for len(units) < n {
		f.made++
		if id := fmt.Sprintf("host-%d", f.made); !f.ids[id] {
			units = append(units, lifecycle.Unit{ID: id, Role: role})
		}
	}
	return units
}

// Balance puts the hosts behind b, and returns the fleet. Those with the role of an
// original are in traffic from then on. Without it the fleet is not balanced and
// refuses traffic events.
func (f *Fleet) Balance(b *Balancer) *Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.balancer = b
	f.serve()
	return f
}

// serve puts originals in traffic that the balancer does not know yet. The lock is
// held.
func (f *Fleet) serve() {
	if f.balancer == nil {
		return
	}
	for _, u := range f.units {
		if u.Role == lifecycle.OriginalRole {
			f.balancer.begin(u.ID, target.Full)
		}
	}
}

// Balanced implements [target.Balanced].
func (f *Fleet) Balanced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.balancer != nil
}

// Units implements [target.Target]. Vanished hosts are listed as lost.
func (f *Fleet) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	units := slices.Clone(f.units)
	for i := range units {
		if why := f.lost[units[i].ID]; why != "" {
			units[i].Lost = why
		}
	}
	return units, nil
}

// SetUnits replaces the list of hosts, for hosts that join or leave. What is known
// about a host by its id stays known.
func (f *Fleet) SetUnits(units ...lifecycle.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units = slices.Clone(units)
	f.ids = make(map[string]bool, len(units))
	for _, u := range units {
		f.ids[u.ID] = true
	}
	f.serve()
}

// Revision returns the digest of the revision that the last successful Install
// put on the host; empty: none.
func (f *Fleet) Revision(unit string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision[unit]
}

// Snapshot implements [target.Snapshotter]. A fleet without roles says nothing about
// traffic: its hosts are deployed to wherever they are.
func (f *Fleet) Snapshot(ctx context.Context, _ *target.Job) (target.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.balancer == nil || !slices.ContainsFunc(f.units, func(u lifecycle.Unit) bool { return u.Role != "" }) {
		return target.Snapshot{}, context.Cause(ctx)
	}
	return f.balancer.snapshot(ctx)
}

// Interfere is somebody else who gives a host a weight.
func (f *Fleet) Interfere(host string, w lifecycle.Weight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.balancer.set(0, share{host, w})
}

func (f *Fleet) has(unit string) (lifecycle.Weight, bool) {
	if f.balancer == nil {
		return 0, false
	}
	return f.balancer.now(unit), true
}

func (f *Fleet) missing(unit string) string {
	if f.ids[unit] {
		return ""
	}
	return "the fake fleet has no host of that name"
}

// effect is what a step changes on the hosts and the balancer.
func (f *Fleet) effect(t target.Task, stale time.Duration) error {
	switch t.Step.Event {
	case lifecycle.Install:
		if t.Job != nil {
			f.revision[t.Step.Unit] = t.Job.Revision.Digest
		}
	case lifecycle.BlockTraffic, lifecycle.AllowTraffic:
		if f.balancer == nil {
			return failure(t.Step, lifecycle.Unsupported, "the fake fleet has no balancer: call Balance")
		}
		f.balancer.set(stale, share{t.Step.Unit, weightOf(t.Step)})
	case lifecycle.Retire:
		if err := f.remove(t.Step.Unit); err != nil {
			return failure(t.Step, lifecycle.TargetFailed, err.Error())
		}
	}
	return nil
}
