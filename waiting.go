package cutover

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// job says how a step is to be done: with which traffic its unit is expected, and
// what to do if it is another.
func (r *runner) jobs(st *strategy.State, steps []lifecycle.Step, again bool) []job {
	r.todo = r.todo[:0]
	for _, s := range steps {
		j := job{step: s, again: again, foreign: r.onForeign(st, s.Unit), expect: expected(st, s)}
		if s.Event == lifecycle.Provision {
			j.units = st.Plan().Provision
		}
		r.todo = append(r.todo, j)
	}
	return r.todo
}

// expected is the traffic that the unit has by the records, for steps that change
// traffic or need that there is none.
func expected(st *strategy.State, s lifecycle.Step) *lifecycle.Weight {
	switch s.Event {
	case lifecycle.AllowTraffic, lifecycle.BlockTraffic, lifecycle.Retire:
		if w, known := st.Weight(s.Unit); known {
			return &w
		}
	}
	return nil
}

// onForeign is what a step does about traffic that somebody else has changed. On the
// way back nobody is asked.
func (r *runner) onForeign(st *strategy.State, unit string) target.Foreign {
	f := r.d.OnForeignChange
	switch {
	case r.job.Rollback, st.Continued(unit):
		return target.OverwriteForeign
	case f == target.AdoptForeign, f == target.OverwriteForeign:
		return f
	default:
		return target.HoldForeign
	}
}

// askAgain is how long a step that waits for the world outside is left alone.
const askAgain = 30 * time.Second

// waiting are the steps that were begun and changed nothing, because the world
// outside is not as it should be. They are asked for again until it is, or until
// somebody says Continue or Stop. They have not ended, so a crash changes nothing:
// who resumes asks for them too. Entries stay while a step is asked for.
type waiting map[lifecycle.Step]*waiter

type waiter struct {
	failure *lifecycle.Failure
	next    time.Time // ask again then; zero: it is being asked for
}

// hear takes in that a step has failed, and reports whether it waits. The note says
// why, unless it was said already.
func (w *waiting) hear(step lifecycle.Step, f *lifecycle.Failure, hint string, again time.Time) (note *lifecycle.Note) {
	if *w == nil {
		*w = waiting{}
	}
	before := (*w)[step]
	(*w)[step] = &waiter{failure: f, next: again}
	if before != nil && before.failure.Message == f.Message {
		return nil
	}
	return &lifecycle.Note{Code: f.Code, Text: f.Message + "; " + hint}
}

// due takes out what is to be asked for now.
func (w waiting) due(now time.Time) (steps []lifecycle.Step) {
	for s, one := range w {
		if !one.next.IsZero() && !now.Before(one.next) {
			one.next = time.Time{}
			steps = append(steps, s)
		}
	}
	sortSteps(steps)
	return steps
}

// wake is the earlier of t and of when something is due; zero: never.
func (w waiting) wake(t time.Time) time.Time {
	for _, one := range w {
		if !one.next.IsZero() && (t.IsZero() || one.next.Before(t)) {
			t = one.next
		}
	}
	return t
}

// idle lists the steps that wait and are not being asked for.
func (w waiting) idle() (steps []lifecycle.Step) {
	for s, one := range w {
		if !one.next.IsZero() {
			steps = append(steps, s)
		}
	}
	sortSteps(steps)
	return steps
}

func sortSteps(steps []lifecycle.Step) {
	slices.SortFunc(steps, func(a, b lifecycle.Step) int { return cmp.Compare(a.Unit, b.Unit) })
}

// waits says what a step that failed waits for, in the words of its note; empty: it
// has failed.
//
// Traffic that somebody else has changed is left alone, if the deployment says so.
// A rollback gives no traffic to an original that is not healthy, and does not give
// up on it either. Once somebody has said Continue the next answer counts, whatever
// it is.
func (r *runner) waits(st *strategy.State, e event, f *lifecycle.Failure) (hint string) {
	switch {
	case f == nil || st.Stop() != nil || e.step.Unit == "":
		return ""
	case f.Code == lifecycle.ExternalChange && !r.job.Rollback && r.d.OnForeignChange == target.HoldForeign && e.foreign != target.OverwriteForeign:
		return "the deployment holds: it goes on by itself when that is put back, Continue overwrites it, Stop ends the deployment"
	case f.Code == lifecycle.TrafficUnhealthy && r.job.Rollback && e.step.Event == lifecycle.AllowTraffic && !st.Continued(e.step.Unit):
		return "the rollback holds, and traffic stays where it is: it goes on by itself when the unit is healthy; Continue asks once more and then gives up on it, Stop ends the rollback"
	default:
		return ""
	}
}

// release writes down that somebody said Continue: steps that wait are asked for once
// more, at once, and that answer counts.
func (r *runner) release(ctx context.Context, st *strategy.State, reason string) error {
	var records []lifecycle.Record
	for s, one := range r.waiting {
		if !one.next.IsZero() {
			one.next = r.now
		}
		if !st.Continued(s.Unit) {
			rec := noted(s, lifecycle.Note{Text: "continued: " + reason})
			rec.Kind = lifecycle.Released
			records = append(records, rec)
		}
	}
	slices.SortFunc(records, func(a, b lifecycle.Record) int { return cmp.Compare(a.Step.Unit, b.Step.Unit) })
	return r.append(ctx, st, records...)
}

// giveUp ends what waits, once the deployment is to stop.
func (r *runner) giveUp(st *strategy.State) error {
	if st.Stop() == nil {
		return nil
	}
	for _, s := range r.waiting.idle() {
		if err := r.add(st, lifecycle.Record{Kind: lifecycle.Ended, Step: s, Failure: r.waiting[s].failure}); err != nil {
			return err
		}
		delete(r.waiting, s)
	}
	return nil
}
