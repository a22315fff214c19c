package journaltest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// Harness is an empty journal ready to be checked.
type Harness struct {
	// Journal is the journal. Required.
	Journal journal.Journal

	// Reopen makes a second journal over the same storage, as another process
	// would. Nil: Journal itself is used again.
	Reopen func() (journal.Journal, error)
}

// Rule is one thing that the suite checks.
type Rule struct {
	Name string
	Why  string // what goes wrong when a journal breaks it

	check func(*run) error
}

// Violation says which rule a journal breaks, and how.
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
// rule.
func Run(t *testing.T, newHarness func(t *testing.T) *Harness) {
	t.Helper()
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			if err := rule.on(t.Context(), newHarness(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is [Run] outside of a test. It returns nil if all rules are kept, else
// every [*Violation], joined.
func Check(ctx context.Context, newHarness func() (*Harness, error)) error {
	var all []error
	for _, rule := range Rules() {
		h, err := newHarness()
		if err != nil {
			return errors.Join(append(all, fmt.Errorf("journaltest: cannot make a harness for rule %q: %w", rule.Name, err))...)
		}
		if err := rule.on(ctx, h); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func (rule Rule) on(ctx context.Context, h *Harness) (err error) {
	if h == nil || h.Journal == nil {
		return errors.New("journaltest: Harness.Journal is nil: there is nothing to check")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = &Violation{Rule: rule.Name, Why: rule.Why, Err: err}
		}
	}()
	return rule.check(&run{Harness: *h, ctx: ctx})
}
