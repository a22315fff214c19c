package targettest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Names of the rules.
const (
	UnitsUnique       = "units are unique"
	UnitsStable       = "units are stable"
	UnknownUnit       = "an unknown unit is an error"
	Succeeds          = "steps succeed"
	SameOutcome       = "the same step has the same outcome"
	OneEffect         = "the same step has its effect once"
	OutlivesRestart   = "outcomes outlive the controller"
	FailureHasCode    = "a failure carries a code"
	FailureRemembered = "a failure is remembered"
	CancelledBefore   = "a cancelled step does not begin"
	CancelledSoon     = "cancelling ends a step soon"
	CancelledAgain    = "a cancelled step can be asked for again"
	Concurrent        = "units do not wait for each other"
	WithoutNote       = "notes are optional"
	NotesInTime       = "notes end with the step"
	WeightAbsolute    = "weights are absolute"
	WeightOfUnit      = "weights are of one unit"
	SuccessIsHealth   = "success means healthy"
	SnapshotReads     = "a snapshot changes nothing"
	ForeignNoticed    = "a foreign change is not overwritten"
	ProvisionedOnce   = "replacements are made once"
	RetiredForGood    = "a retired unit is gone"
	NoGoroutine       = "no goroutine is left"
	NoPanic           = "nothing panics"
	Ends              = "every call ends"
)

// Rules lists the rules in the order in which they are checked.
func Rules() []Rule { return slices.Clone(rules()) }

func ruleNamed(name string) Rule {
	all := rules()
	return all[slices.IndexFunc(all, func(r Rule) bool { return r.Name == name })]
}

func rules() []Rule {
	return []Rule{
		{UnitsUnique, "the engine counts units by id; one that is listed twice counts twice, and its steps meet each other", checkUnique},
		{UnitsStable, "the history of a unit is kept under its id; one that changes its id is a stranger that was never deployed to", checkStable},
		{UnknownUnit, "a unit that left between plan and step must not pass as deployed to", checkUnknown},
		{Succeeds, "a suite in which nothing works proves nothing", checkSucceeds},
		{SameOutcome, "a controller that was restarted asks again for every step whose end it had not written down", checkSame},
		{OneEffect, "a hook that runs twice, or a second task set, is what the step's key is there to prevent", checkEffect},
		{OutlivesRestart, "the controller that asks again is another process than the one that asked first", checkRestart},
		{FailureHasCode, "what happens next is decided by the code, never by the text", checkCode},
		{FailureRemembered, "a step that failed and succeeds when it is asked for again was done twice", checkRemembered},
		{CancelledBefore, "whoever cancels wants nothing more to be touched, and tells why by the cause", checkCancelledBefore},
		{CancelledSoon, "a caller that cancels has to get its program back, and learns from the cause that the step was abandoned", checkCancelledSoon},
		{CancelledAgain, "a deployment that was abandoned is resumed, and asks for what was cut off; success, code Interrupted and code Unknown are honest answers", checkCancelledAgain},
		{Concurrent, "one host with a slow hook must not hold up the rest of the fleet", checkConcurrent},
		{WithoutNote, "Task.Note may be nil", checkWithoutNote},
		{NotesInTime, "the record of the step is closed when Perform returns; a later note is lost, or ends up in another step", func(r *run) error { return r.everything() }},
		{WeightAbsolute, "a weight is set again after a crash, and must then be the same", checkAbsolute},
		{WeightOfUnit, "taking one unit out of traffic must leave the others in it", checkOneUnit},
		{SuccessIsHealth, "traffic goes where the target says that all is well; a unit that is called healthy and is not gets requests and fails them", checkHealth},
		{SnapshotReads, "a plan is made to be looked at; one that changes what it looks at cannot be trusted", checkSnapshot},
		{ForeignNoticed, "somebody has moved the traffic for a reason; the deployment holds until that is put back, and then asks for the same step again", checkForeign},
		{ProvisionedOnce, "a controller that was restarted asks again, and must not pay for a second set of replacements", checkProvision},
		{RetiredForGood, "what was retired and is still listed is deployed to by the next deployment; and a controller that was restarted retires it again", checkRetire},
		{NoGoroutine, "a program that deploys many times would fill up with what each deployment left running", checkGoroutines},
		{NoPanic, "a panic in a driver takes the whole deployment down", func(r *run) error { return r.everything() }},
		{Ends, "a call that never returns holds the deployment until somebody kills it", func(r *run) error { return r.everything() }},
	}
}

func checkUnique(r *run) error {
	units, err := r.units()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, u := range units {
		switch {
		case u.ID == "":
			return fmt.Errorf("unit %d has no id", i)
		case seen[u.ID]:
			return fmt.Errorf("unit %q is listed twice", u.ID)
		}
		seen[u.ID] = true
	}
	return nil
}

func checkStable(r *run) error {
	before, err := r.units()
	if err != nil {
		return err
	}
	if err := r.everything(); err != nil {
		return err
	}
	after, err := r.units()
	if err != nil {
		return err
	}
	if a, b := ids(before), ids(after); !slices.Equal(a, b) {
		return fmt.Errorf("Units listed %q, and after some steps %q", a, b)
	}
	return nil
}

func ids(units []lifecycle.Unit) []string {
	out := make([]string, len(units))
	for i, u := range units {
		out[i] = u.ID
	}
	return out
}

func checkUnknown(r *run) error {
	s, err := r.first()
	if err != nil {
		return err
	}
	s.Unit = "targettest-no-such-unit"
	err = r.perform(s)
	if err == nil {
		return fmt.Errorf("%s succeeded", s)
	}
	if broken(err) {
		return err
	}
	return hasCode(err)
}

func hasCode(err error) error {
	e, ok := errors.AsType[*lifecycle.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("the error is a %T, not a *lifecycle.Error: %w", err, err)
	case e.Code == "":
		return fmt.Errorf("the error has no code: %w", err)
	case e.Message == "":
		return fmt.Errorf("the error has code %s and no message", e.Code)
	}
	return nil
}

// everything does all events on all units.
func (r *run) everything() error {
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, u := range units {
		for _, s := range r.steps(u) {
			if err := r.perform(s); err != nil {
				return fmt.Errorf("%s should succeed: %w", s, err)
			}
		}
	}
	return nil
}

func checkSucceeds(r *run) error { return r.everything() }

// twice does every event on the first unit, each two times.
func (r *run) twice(then func(s lifecycle.Step, again error) error) error {
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, s := range r.steps(units[0]) {
		if err := r.perform(s); err != nil {
			return fmt.Errorf("%s should succeed: %w", s, err)
		}
		if err := then(s, r.perform(s)); err != nil {
			return err
		}
	}
	return nil
}

func checkSame(r *run) error {
	return r.twice(func(s lifecycle.Step, again error) error {
		if again != nil {
			return fmt.Errorf("%s succeeded, and failed when it was asked for again: %w", s, again)
		}
		return nil
	})
}

func checkEffect(r *run) error {
	if r.Effects == nil {
		return leftOut("Effects")
	}
	return r.twice(func(s lifecycle.Step, again error) error {
		if broken(again) {
			return again
		}
		return r.effects(s, 1)
	})
}

func checkRestart(r *run) error {
	if r.Reopen == nil {
		return leftOut("Reopen")
	}
	if err := r.everything(); err != nil {
		return err
	}
	second, err := r.Reopen()
	if err != nil {
		return fmt.Errorf("Reopen: %w", err)
	}
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, s := range r.steps(units[0]) {
		if err := r.performOn(r.ctx, second, s); err != nil {
			return fmt.Errorf("%s succeeded, and failed when the next controller asked for it: %w", s, err)
		}
		if err := r.effects(s, 1); err != nil {
			return err
		}
	}
	return nil
}

// failed arranges a failure and returns it.
func (r *run) failed() (s lifecycle.Step, failure, err error) {
	if r.Fail == nil {
		return s, nil, leftOut("Fail")
	}
	if s, err = r.first(); err != nil {
		return s, nil, err
	}
	r.Fail(s)
	failure = r.perform(s)
	switch {
	case failure == nil:
		err = fmt.Errorf("%s was made to fail and succeeded", s)
	case broken(failure):
		err = failure
	}
	return s, failure, err
}

func checkCode(r *run) error {
	_, failure, err := r.failed()
	if err != nil {
		return err
	}
	return hasCode(failure)
}

func checkRemembered(r *run) error {
	s, failure, err := r.failed()
	if err != nil {
		return err
	}
	again := r.perform(s)
	if again == nil {
		return fmt.Errorf("%s failed, and succeeded when it was asked for again", s)
	}
	first, ok1 := errors.AsType[*lifecycle.Error](failure)
	second, ok2 := errors.AsType[*lifecycle.Error](again)
	if ok1 && ok2 && first.Code != second.Code {
		return fmt.Errorf("%s failed with code %s, and then with code %s", s, first.Code, second.Code)
	}
	return nil
}

func checkWithoutNote(r *run) error {
	s, err := r.first()
	if err != nil {
		return err
	}
	err = r.answer("Perform of "+s.String(), func() error {
		return r.Target.Perform(r.ctx, target.Task{Step: s, Job: r.Job})
	})
	if errors.Is(err, errPanicked) {
		return fmt.Errorf("without a Note: %v", err) // this rule's own panic
	}
	return err
}
