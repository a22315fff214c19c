//go:build unix

package cutover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// durable is a fake target that outlives its process: every effect is a line in a
// file, and a new process finds what an old one did by doing those lines again.
type durable struct {
	surface
	balanced, tests bool
	weights         func() map[string]lifecycle.Weight
	during          func(lifecycle.Step) // called before a step is done

	mu   sync.Mutex
	file *os.File
	done map[string]effect // by step key
}

// effect is a line of the file.
type effect struct {
	Step    lifecycle.Step
	Digest  string
	Failure *lifecycle.Failure `json:",omitempty"`
	Made    int                `json:",omitempty"`
}

func (w *durable) Balanced() bool  { return w.balanced }
func (w *durable) TestRoute() bool { return w.tests }

// Perform answers from the file what is in it. Everything else is done, and written
// down with its key; what a kill leaves undone between the two was in memory only.
func (w *durable) Perform(ctx context.Context, t target.Task) error {
	if w.during != nil {
		w.during(t.Step)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.done[t.Step.Key()]; ok {
		return e.err()
	}
	e := effect{Step: t.Step, Digest: t.Job.Revision.Digest}
	if err := w.surface.Perform(ctx, t); err != nil {
		le, ok := errors.AsType[*lifecycle.Error](err)
		if !ok {
			return err // it was cancelled: nothing was done
		}
		e.Failure = &le.Failure
	}
	if err := w.write(e); err != nil {
		return err
	}
	w.done[t.Step.Key()] = e
	return e.err()
}

// Provision makes hosts once, and writes that down as well.
func (w *durable) Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	units, err := w.surface.(target.Pool).Provision(ctx, deployment, n)
	e := effect{Step: lifecycle.Step{Deployment: deployment, Event: lifecycle.Provision}, Made: n}
	if _, done := w.done[e.Step.Key()]; err != nil || done {
		return units, err
	}
	w.done[e.Step.Key()] = e
	return units, w.write(e)
}

func (w *durable) Retire(ctx context.Context, unit string) error {
	return errors.New("hosts are retired by steps")
}

func (e effect) err() error {
	if e.Failure == nil {
		return nil
	}
	return &lifecycle.Error{Step: e.Step, Failure: *e.Failure}
}

func (w *durable) write(e effect) error {
	data, err := json.Marshal(e)
	if err == nil {
		_, err = w.file.Write(append(data, '\n'))
	}
	return err // a process that is killed loses nothing that it has written
}

// open reads the file and does its lines again, on a new world.
func (w *durable) open(dir string) error {
	effects, err := readEffects(dir)
	if err != nil {
		return err
	}
	w.done = map[string]effect{}
	for _, e := range effects {
		w.done[e.Step.Key()] = e
		if e.Step.Event == lifecycle.Provision {
			if _, err := w.surface.(target.Pool).Provision(context.Background(), e.Step.Deployment, e.Made); err != nil {
				return err
			}
			continue
		}
		job := &target.Job{Revision: revision.Revision{Digest: e.Digest}}
		if err := w.surface.Perform(context.Background(), target.Task{Step: e.Step, Job: job}); (err == nil) != (e.Failure == nil) {
			return errors.Join(errors.New("the world's file does not fit the world"), err)
		}
	}
	w.file, err = os.OpenFile(filepath.Join(dir, "world"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// readEffects reads the file of a world. A line that a kill cut short is no effect.
func readEffects(dir string) ([]effect, error) {
	f, err := os.Open(filepath.Join(dir, "world"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var effects []effect
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e effect
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		effects = append(effects, e)
	}
	return effects, lines.Err()
}

// inPlaceWorld is hosts, in zones where some are named.
func inPlaceWorld(n int, zones ...string) *durable {
	units := fakeUnits(n, zones)
	return &durable{surface: fake.FleetOf(units...), weights: func() map[string]lifecycle.Weight { return nil }}
}

func fakeUnits(n int, zones []string) []lifecycle.Unit {
	units := make([]lifecycle.Unit, n)
	for i := range units {
		units[i].ID = "host-" + string(rune('1'+i))
		if len(zones) > 0 {
			units[i].Zone = zones[i*len(zones)/n]
		}
	}
	return units
}

// blueGreenWorld is an original and a replacement that exists already.
func blueGreenWorld() *durable {
	b := &fake.Balancer{}
	units := fakeUnits(2, nil)
	for i := range units {
		units[i].Role = lifecycle.OriginalRole
		if i == 1 {
			units[i].Role = lifecycle.ReplacementRole
		}
	}
	return &durable{surface: fake.FleetOf(units...).Balance(b), balanced: true, weights: b.Weights}
}

// poolWorld is an original whose replacement is yet to be made.
func poolWorld() *durable {
	b := &fake.Balancer{}
	return &durable{surface: fake.NewBlueGreen(1, b), balanced: true, weights: b.Weights}
}

func ecsWorld() *durable {
	s := fake.NewService("web")
	return &durable{surface: s, tests: true, weights: s.Weights}
}

// normal is a step's key without the rollback's random id.
func (e effect) normal() string {
	if id := e.Step.Deployment; id != "d-it" && id != "d-past" {
		e.Step.Deployment = "rollback"
	}
	key := e.Step.Key()
	if e.Failure != nil {
		key += " " + string(e.Failure.Code)
	}
	return key
}
