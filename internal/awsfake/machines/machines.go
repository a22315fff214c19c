// Package machines is the machines of a fake EC2: what instances there are, in which
// zone and state, with which tags. It knows no client and no wire format, so whatever
// launches or lists instances can share one [World] without the EC2 client, which takes
// a minute to compile.
//
// States follow from the time: a launched machine is pending for [World.Boot] and then
// running, a terminated one shuts down for [World.Shutdown]. Nothing runs in the
// background, so a World is fit for testing/synctest.
package machines

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// State is a state of an instance, in EC2's words.
type State string

// The states.
const (
	Pending      State = "pending"
	Running      State = "running"
	ShuttingDown State = "shutting-down"
	Terminated   State = "terminated"
	Stopping     State = "stopping"
	Stopped      State = "stopped"
)

// Machine is an instance as it is now.
type Machine struct {
	ID       string
	Zone     string
	Tags     map[string]string
	State    State
	Launched time.Time
}

// World holds machines. The zero value is empty and ready. All methods may be called
// from many goroutines.
type World struct {
	Boot     time.Duration // from launch to running; zero: at once
	Shutdown time.Duration // from shutting-down to terminated; zero: at once

	mu       sync.Mutex
	machines map[string]*machine
	order    []string
}

type machine struct {
	Machine
	since time.Time // of State
}

// Launch makes a machine and returns its id.
func (w *World) Launch(zone string, tags map[string]string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.machines == nil {
		w.machines = map[string]*machine{}
	}
	id := fmt.Sprintf("i-%017x", len(w.order)+1)
	now := time.Now()
	w.machines[id] = &machine{Machine{id, zone, maps.Clone(tags), Pending, now}, now}
	w.order = append(w.order, id)
	return id
}

// Terminate ends machines. Those that are gone already, or never were, are no error
// here.
func (w *World) Terminate(ids ...string) { w.to(ShuttingDown, ids...) }

// Stop stops machines; Start starts them again.
func (w *World) Stop(ids ...string) { w.to(Stopped, ids...) }

// Start starts stopped machines.
func (w *World) Start(ids ...string) { w.to(Pending, ids...) }

func (w *World) to(s State, ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if m := w.machines[id]; m != nil && w.state(m) != ShuttingDown && w.state(m) != Terminated {
			m.State, m.since = s, time.Now()
		}
	}
}

// state lets the time that has passed take effect.
func (w *World) state(m *machine) State {
	since := time.Since(m.since)
	switch {
	case m.State == Pending && since >= w.Boot:
		m.State = Running
	case m.State == ShuttingDown && since >= w.Shutdown:
		m.State = Terminated
	}
	return m.State
}

// Tag sets tags of a machine.
func (w *World) Tag(id string, tags map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.machines[id]; m != nil {
		if m.Tags == nil {
			m.Tags = map[string]string{}
		}
		maps.Copy(m.Tags, tags)
	}
}

// Get returns a machine; ok is false if there never was one of that id.
func (w *World) Get(id string) (got Machine, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.machines[id]
	if m == nil {
		return Machine{}, false
	}
	w.state(m)
	return m.copy(), true
}

// List returns all machines, in the order of their launch, terminated ones too.
func (w *World) List() []Machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Machine, 0, len(w.order))
	for _, id := range w.order {
		m := w.machines[id]
		w.state(m)
		list = append(list, m.copy())
	}
	return list
}

// Up reports whether a machine is running.
func (w *World) Up(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.machines[id]
	return m != nil && w.state(m) == Running
}

// IDs returns the ids of machines that are not terminated.
func (w *World) IDs() []string {
	var ids []string
	for _, m := range w.List() {
		if m.State != Terminated && m.State != ShuttingDown {
			ids = append(ids, m.ID)
		}
	}
	return slices.Clip(ids)
}

func (m *machine) copy() Machine {
	c := m.Machine
	c.Tags = maps.Clone(c.Tags)
	return c
}
