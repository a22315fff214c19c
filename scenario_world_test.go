package cutover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// world is a fake target of any kind.
type world struct {
	surface
	plain    strategy.Strategy // the simplest one for the kind
	next     func(id string)   // makes the replacements of a deployment
	weights  func() map[string]lifecycle.Weight
	revision func(unit string) string
	units    func(...lifecycle.Unit) // nil: its list of units cannot be changed
}

type surface interface {
	target.Target
	On(fake.Match, ...fake.Fault)
	SetHealth(string, bool)
	Interfere(string, lifecycle.Weight)
	Revive(string)
	Done() []lifecycle.Step
}

// directives are the lines of a script, but for deploy.
var directives map[string]func(*scene, []string)

func init() { // they refer to each other
	directives = map[string]func(*scene, []string){
		"takes":    func(s *scene, w []string) { s.takes = s.duration(w[0]) },
		"brief":    func(s *scene, _ []string) { s.brief = true },
		"fleet":    (*scene).fleet,
		"strategy": func(s *scene, w []string) { s.d.Strategy = s.strategy(w) },
		"given":    (*scene).given,
		"fault":    (*scene).fault,
		"gate":     (*scene).gate,
		"hook":     (*scene).hook,
		"alarm":    (*scene).alarm,
		"lose":     func(s *scene, w []string) { s.change(w[0], func(u *lifecycle.Unit) { u.Lost = "stopped" }) },
		"revive": func(s *scene, w []string) {
			s.world.Revive(w[0])
			s.change(w[0], func(u *lifecycle.Unit) { u.Lost = "" })
		},
		"leave":   func(s *scene, w []string) { s.change(w[0], nil) },
		"join":    (*scene).join,
		"sick":    func(s *scene, w []string) { s.world.SetHealth(w[0], false) },
		"well":    func(s *scene, w []string) { s.world.SetHealth(w[0], true) },
		"weight":  func(s *scene, w []string) { s.world.Interfere(w[0], lifecycle.Weight(s.number(w[1]))) },
		"publish": func(s *scene, w []string) { s.world.next(w[0]) },
	}
}

func (s *scene) fleet(words []string) {
	n := 0
	if len(words) > 1 {
		n, _ = strconv.Atoi(words[1]) // an option is no number: none
	}
	switch kind := words[0]; kind {
	case "in-place":
		s.inPlace(n, words[2:])
	case "ec2":
		b := &fake.Balancer{}
		f := fake.NewBlueGreen(n, b)
		s.world = world{surface: f, plain: strategy.BlueGreen{}, weights: b.Weights, revision: f.Revision, units: f.SetUnits,
			next: func(id string) {
				_, err := f.Provision(s.t.Context(), id, n)
				require.NoError(s.t, err)
			}}
		if slices.Contains(words, "pool") { // deployments make their replacements
			s.world.next = func(string) {}
			f.On(fake.Match{Event: lifecycle.Provision}, fake.Delay(s.takes))
		}
	case "ecs":
		f := fake.NewService("web")
		if slices.Contains(words, "no-test-listener") {
			f.WithoutTestRoute()
		}
		s.world = world{surface: f, plain: strategy.ECS{}, weights: f.Weights, revision: f.Revision, next: func(string) {}}
	case "lambda":
		f := fake.NewAlias("v-0")
		made := 0
		s.world = world{surface: f, plain: strategy.Lambda{}, weights: f.Weights, revision: func(string) string { return "" },
			next: func(string) { made++; f.Publish(fmt.Sprintf("v-%d", made)) }}
	default:
		require.Fail(s.t, "unknown kind of fleet", kind)
	}
	s.d = Deployment{Group: "web", Target: s.world.surface, Strategy: s.world.plain, Journal: s.journal(), WorkDir: s.t.TempDir()}
	// No two units are ready at the same instant, so a trace has one order only. The
	// square is for one that starts late: it has fewer steps behind it, and catches up.
	for _, name := range []string{"host-%d", "web-%d", "v-%d"} {
		for i := range max(2*n+8, 16) {
			s.world.On(fake.Match{Unit: fmt.Sprintf(name, i)}, fake.Delay(s.takes+time.Duration(i)*time.Microsecond+time.Duration(i*i)))
		}
	}
}

func (s *scene) inPlace(n int, options []string) {
	units := make([]lifecycle.Unit, n)
	for i := range units {
		units[i].ID = fmt.Sprintf("host-%d", i+1)
	}
	f := fake.FleetOf()
	s.world = world{surface: f, plain: strategy.AllAtOnce(), revision: f.Revision, units: f.SetUnits, next: func(string) {},
		weights: func() map[string]lifecycle.Weight { return nil }}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "balanced":
			b := &fake.Balancer{}
			f.Balance(b)
			s.world.weights = b.Weights
		case "zones":
			zones := strings.Split(value, ",")
			for i := range units {
				units[i].Zone = zones[i*len(zones)/n]
			}
		case "lost":
			for unit := range strings.SplitSeq(value, ",") {
				units[slices.IndexFunc(units, func(u lifecycle.Unit) bool { return u.ID == unit })].Lost = "stopped"
			}
		default:
			require.Fail(s.t, "unknown option", o)
		}
	}
	f.SetUnits(units...)
}

// change changes a unit as the target lists it; nil takes it off the list.
func (s *scene) change(id string, how func(*lifecycle.Unit)) {
	units, err := s.world.Units(s.t.Context())
	require.NoError(s.t, err)
	i := slices.IndexFunc(units, func(u lifecycle.Unit) bool { return u.ID == id })
	require.GreaterOrEqual(s.t, i, 0, "no unit %s", id)
	if how == nil {
		units = slices.Delete(units, i, i+1)
	} else {
		how(&units[i])
	}
	s.world.units(units...)
}

func (s *scene) join(words []string) {
	units, err := s.world.Units(s.t.Context())
	require.NoError(s.t, err)
	s.world.units(append(units, lifecycle.Unit{ID: words[0]})...)
}

// fault reads which steps a fault hits, and what it is.
func (s *scene) fault(words []string) {
	var m fake.Match
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "unit":
			m.Unit = value
		case "event":
			m.Event = lifecycle.Event(value)
		case "deployment":
			m.Deployment = value
		case "nth":
			m.Nth, _ = strconv.Atoi(value) // no number never hits
		default:
			s.world.On(m, s.happening(w))
		}
	}
}

func (s *scene) happening(word string) fake.Fault {
	name, value, _ := strings.Cut(word, ":")
	switch name {
	case "fail":
		return fake.Fail(lifecycle.Code(value))
	case "takes":
		return fake.Delay(s.duration(value) - s.takes)
	case "delay":
		return fake.Delay(s.duration(value))
	case "hang":
		return fake.Hang()
	case "lose-reply":
		return fake.LoseReply()
	case "vanish":
		return fake.Vanish()
	case "interrupt":
		return fake.Interrupt()
	case "panic":
		return fake.Panic("a defect")
	}
	require.Fail(s.t, "unknown fault", word)
	return fake.Fault{}
}

// switchable is an alarm that a script switches: on, off, or unreadable.
type switchable struct{ says atomic.Pointer[string] }

func (a *switchable) Name() string    { return "errors" }
func (a *switchable) set(what string) { a.says.Store(&what) }

func (a *switchable) State(context.Context) (rollback.AlarmState, error) {
	switch *a.says.Load() {
	case "on":
		return rollback.AlarmFiring, nil
	case "off":
		return rollback.AlarmOK, nil
	default:
		return rollback.AlarmUnknown, errors.New("no answer")
	}
}

// alarm makes the alarm that watches all further deployments, or switches it.
func (s *scene) alarm(words []string) {
	if s.siren == nil {
		s.siren = &switchable{}
		s.d.Watch = rollback.Watch{Alarms: []rollback.Alarm{s.siren}, Every: 30 * time.Second}
	}
	s.siren.set(words[0])
	s.d.Watch.StartAnyway = slices.Contains(words, "start-anyway")
	s.d.Watch.IgnoreUnreadable = slices.Contains(words, "ignore-unreadable")
}

// approval is a gate that somebody opens, before one stage.
type approval struct {
	stage string // name of the stage
	open  atomic.Bool
}

func (a *approval) Ask(_ context.Context, q Question) (Answer, error) {
	return Answer{Open: a.open.Load() || q.Plan.Stages[q.Stage].Name != a.stage, Reason: "nobody has approved", Again: time.Minute}, nil
}

func (s *scene) gate(words []string) {
	switch words[0] {
	case "freeze": // for how long, and from when on
		from := time.Now()
		if len(words) > 2 {
			from = from.Add(s.duration(words[2]))
		}
		s.d.Gates = append(s.d.Gates, Freeze{{from, from.Add(s.duration(words[1]))}})
	case "approval": // its name, and before which stage
		a := &approval{stage: strings.Join(words[2:], " ")}
		s.approved[words[1]] = a
		s.d.Gates = append(s.d.Gates, a)
	default:
		require.Fail(s.t, "unknown gate", words[0])
	}
}

// hook sets one of the hooks that run once per deployment: where, and how it ends.
func (s *scene) hook(words []string) {
	h := lifecycle.Func(func(ctx context.Context, _ lifecycle.Env, _ io.Writer) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.takes):
		}
		if words[1] == "fails" {
			return errors.New("smoke test failed")
		}
		return nil
	})
	switch words[0] {
	case "before":
		s.d.Before = h
	case "after":
		s.d.After = h
	case "rollback":
		s.d.OnRollback = h
	default:
		require.Fail(s.t, "unknown hook", words[0])
	}
}
