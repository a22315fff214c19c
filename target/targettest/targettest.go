package targettest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Harness is a target ready to be checked, and what the suite may do to it.
type Harness struct {
	// Target is the target, with at least one unit. Required.
	Target target.Target

	// Events are steps that succeed on every unit when they are done in this
	// order. Empty: [lifecycle.Start] alone.
	Events []lifecycle.Event

	// Walk returns the steps of one unit, as Events does for all: for targets whose
	// units differ, as an original and a replacement do. Nil: Events for all.
	Walk func(lifecycle.Unit) []lifecycle.Event

	// Job goes with every task. Nil: one with Application, Group and nothing else.
	Job *target.Job

	// Traffic is the target's load balancer. Nil: rules about traffic are left out.
	Traffic target.Traffic

	// Slow arranges that the step takes much longer than Patience unless it is
	// cancelled. Nil: cancelling in the middle is left out.
	Slow func(lifecycle.Step)

	// Fail arranges that the step fails. Nil: rules about failures only ask for
	// units that do not exist.
	Fail func(lifecycle.Step)

	// Sick arranges that the unit fails its health checks, whatever is deployed to
	// it. Nil: that success means healthy is left out.
	Sick func(unit string)

	// Pool is the target's power to make units. Nil: rules about it are left out.
	Pool target.Pool

	// Compares says that the target compares traffic before it writes ([target.Task]'s
	// Expect), and that a unit that is about to be given traffic has none. Zero: that
	// foreign changes are noticed is left out.
	Compares bool

	// Effects counts how often the step had its effect. Nil: only answers are
	// compared.
	Effects func(lifecycle.Step) int

	// Reopen makes a second target for the same units, as a controller does that
	// was started again. Nil: that outcomes outlive the controller is left out.
	Reopen func() (target.Target, error)

	// Close gives back what the harness holds; the suite calls it once, after
	// the check and before it looks for goroutines. Nil: nothing to do.
	Close func()

	// Patience is how long one step may take, and how soon "soon" is. Zero: 10 s.
	Patience time.Duration
}

// Rule is one thing that the suite checks.
type Rule struct {
	Name string
	Why  string // what goes wrong when a target breaks it

	check func(*run) error
}

// Violation says which rule a target breaks, and how.
type Violation struct {
	Rule string
	Why  string
	Err  error // what was seen
}

// Error names the rule, what was seen, and what the rule is for.
func (v *Violation) Error() string { return fmt.Sprintf("rule %q: %v (why: %s)", v.Rule, v.Err, v.Why) }

// Unwrap returns what was seen.
func (v *Violation) Unwrap() error { return v.Err }

// Run checks every rule in a subtest of its own. NewHarness is called once per
// rule and makes a target that nothing was done to. The subtests run one after
// another, and no other test should run beside them: the suite counts goroutines.
func Run(t *testing.T, newHarness func(t *testing.T) *Harness) {
	t.Helper()
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			err := rule.on(t.Context(), newHarness(t))
			switch {
			case errors.Is(err, errLeftOut):
				t.Skipf("SKIPPED rule %s: %v", rule.Name, err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// Check is [Run] outside of a test. It returns nil if all rules are kept, else
// every [*Violation], joined. A panic or an error of newHarness ends it.
func Check(ctx context.Context, newHarness func() (*Harness, error)) error {
	var all []error
	for _, rule := range Rules() {
		h, err := newHarness()
		if err != nil {
			return errors.Join(append(all, fmt.Errorf("targettest: cannot make a harness for rule %q: %w", rule.Name, err))...)
		}
		if err := rule.on(ctx, h); err != nil && !errors.Is(err, errLeftOut) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// errLeftOut marks a rule that the harness gives no means to check.
var errLeftOut = errors.New("the harness does not offer it")

func leftOut(field string) error { return fmt.Errorf("Harness.%s is nil: %w", field, errLeftOut) }

// on checks one rule on a fresh harness.
func (rule Rule) on(ctx context.Context, h *Harness) error {
	if h == nil || h.Target == nil {
		return errors.New("targettest: Harness.Target is nil: there is nothing to check")
	}
	r := newRun(ctx, h)
	defer r.cancel()
	err := r.guard(rule.check)
	r.Close()
	if late := r.late(); late != nil && !broken(err) {
		rule, err = ruleNamed(NotesInTime), late
	}
	switch {
	case err == nil || errors.Is(err, errLeftOut):
		return err
	case errors.Is(err, errPanicked):
		rule = ruleNamed(NoPanic)
	case errors.Is(err, errBlocked):
		rule = ruleNamed(Ends)
	}
	return &Violation{Rule: rule.Name, Why: rule.Why, Err: err}
}
