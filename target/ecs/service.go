package ecs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Service is an ECS service behind a load balancer, with two target groups that take
// turns: a [target.Target] for [strategy.ECS]. Fill in the fields; they must not change
// while it is used. All methods may be called from many goroutines.
type Service struct {
	ECS     ECSAPI     // required
	ELB     ELBAPI     // required
	Scaling ScalingAPI // nil: the service's auto scaling is left alone

	Cluster string // name or ARN; required
	Name    string // of the service; required
	// TargetGroups are the ARNs of the pair. Which of them serves is found anew each
	// time: their roles swap with every deployment. Required.
	TargetGroups [2]string
	// Production is what users' requests come through. Required.
	Production Route
	// Test is what test requests come through. Empty: there is no such way, and no
	// AllowTestTraffic.
	Test Route

	// Hooks runs the functions that the AppSpec names. Nil: an AppSpec that names some
	// is refused.
	Hooks Hooks

	// Healthy is how many of its tasks, in percent rounded up, must be healthy behind
	// the load balancer before a side gets traffic. Zero: all.
	Healthy int
	// Crashes is how many tasks of a new task set may end by themselves before Install
	// fails. Zero: half the desired count, at least 3, at most 200: what ECS's own
	// circuit breaker does.
	Crashes int
	// InstallWithin is how long a new task set may take to become steady and healthy,
	// and an old one to go. Zero: an hour, CodeDeploy's limit.
	InstallWithin time.Duration
	// SettleWithin is how long a change of traffic may take to show, and a side to be
	// healthy that is to get traffic. Zero: 5 minutes, CodeDeploy's limit.
	SettleWithin time.Duration
	// Poll is how often task sets and targets are looked at. Zero: 15 s.
	Poll time.Duration
	// Reads is how many times in a row a change of traffic must be read back, and
	// ReadEvery the time between. Zero: 3, and a second.
	Reads     int
	ReadEvery time.Duration

	// RemoveStale lets Install delete task sets that other deployments have left in the
	// target group that it is about to use, once that is seen to have no traffic. Zero: a
	// deployment is refused while there are such.
	RemoveStale bool
	// TryCodeDeploy lets services of the CODE_DEPLOY controller pass. The calls for task
	// sets are documented for the EXTERNAL controller; whether ECS takes them from
	// anybody but CodeDeploy on such a service is not known. Zero: refused.
	TryCodeDeploy bool
}

// Hooks runs the functions that an AppSpec names for lifecycle events; those of package function do.
// Where it has a method Check(ctx, functions...) as well, that is asked before a deployment
// whether they could be called.
type Hooks interface {
	// Run runs the function, a name or an ARN, for the event of t.Step, and returns nil
	// only if it has succeeded. After a crash it may be asked for the same step again;
	// t.Step.Key tells. On cancel it returns context.Cause(ctx) soon.
	Run(ctx context.Context, t target.Task, function string) error
}

var (
	_ target.Target      = (*Service)(nil)
	_ target.Checker     = (*Service)(nil)
	_ target.TestRouted  = (*Service)(nil)
	_ target.Snapshotter = (*Service)(nil)
	_ target.Settler     = (*Service)(nil)
)

// TestRoute implements [target.TestRouted].
func (s *Service) TestRoute() bool { return len(s.Test) > 0 }

// Units lists the two target groups by name, in the order of TargetGroups. The one of
// the service's primary task set is the original.
func (s *Service) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := s.valid(); err != nil {
		return nil, err
	}
	svc, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	blue, err := s.primary(svc)
	if err != nil {
		return nil, err
	}
	units := make([]lifecycle.Unit, 0, len(s.TargetGroups))
	for _, g := range s.TargetGroups {
		u := lifecycle.Unit{ID: groupName(g), Role: lifecycle.ReplacementRole}
		if g == groupOf(blue) {
			u.Role = lifecycle.OriginalRole
		}
		units = append(units, u)
	}
	return units, nil
}

// work is a step with what is known for it.
type work struct {
	target.Task
	before *before
	side   string // ARN of the unit's target group
	other  string // and of the other one
}

func (w *work) note(code lifecycle.Code, format string, args ...any) {
	if w.Note != nil {
		w.Note(lifecycle.Note{Code: code, Text: fmt.Sprintf(format, args...)})
	}
}

// original reports whether the step is one of the side that served before.
func (w *work) original() bool { return w.side == w.before.Group }

// Perform implements [target.Target]. It keeps no books: each step looks at how things
// are and does what is missing, so it can be asked for again by any process.
func (s *Service) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return located(ctx, t.Step, s.perform(ctx, t))
}

func (s *Service) perform(ctx context.Context, t target.Task) error {
	if err := s.valid(); err != nil {
		return err
	}
	i := slices.IndexFunc(s.TargetGroups[:], func(g string) bool { return groupName(g) == t.Step.Unit })
	if i < 0 {
		return fail(lifecycle.UnitLost, "service %s has no target group called %q: it has %s and %s", s.Name, t.Step.Unit, groupName(s.TargetGroups[0]), groupName(s.TargetGroups[1]))
	}
	b, err := readBefore(t.Job)
	if err != nil {
		return err
	}
	w := &work{Task: t, before: b, side: s.TargetGroups[i], other: s.TargetGroups[1-i]}
	e := t.Step.Event
	switch {
	case e == lifecycle.Retire:
		return s.retire(ctx, w)
	case e == lifecycle.AllowTraffic && w.original():
		return s.restore(ctx, w)
	case w.original() && slices.Contains(lifecycle.RollbackOriginal.Events(), e):
		return nil // the AppSpec's functions try what is new
	case w.original() || !slices.Contains(lifecycle.ECSReplacement.Events(), e):
		return fail(lifecycle.Unsupported, "there is no %s on %s", e, t.Step.Unit)
	case e == lifecycle.Install:
		return s.install(ctx, w)
	case e == lifecycle.AllowTestTraffic:
		return s.shiftTest(ctx, w)
	case e == lifecycle.AllowTraffic:
		return s.shift(ctx, w)
	}
	if err := s.hook(ctx, w); err != nil || e != lifecycle.AfterAllowTraffic {
		return err
	}
	return s.promote(ctx, w)
}

// hook runs the function of the step's event, if there is one.
func (s *Service) hook(ctx context.Context, w *work) error {
	for _, h := range w.before.Spec.Functions {
		if h.Event != w.Step.Event {
			continue
		}
		if s.Hooks == nil {
			return fail(lifecycle.HookFailed, "the AppSpec names the function %s for %s, and Service.Hooks is nil", h.Function, h.Event)
		}
		return s.Hooks.Run(ctx, w.Task, h.Function)
	}
	return nil
}
