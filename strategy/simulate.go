package strategy

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Model says what the world of a simulation does. It must answer the same for the
// same step.
type Model struct {
	// Start is the time at which the deployment begins. Zero: the zero time.
	Start time.Time
	// Took is how long a step takes. Nil: every step takes a second.
	Took func(lifecycle.Step) time.Duration
	// Fails is how a step fails; nil: it does not. Nil for all: nothing fails.
	Fails func(lifecycle.Step) *lifecycle.Failure
	// Continue is how long after the beginning of a hold somebody says Continue.
	// Less than zero, or nil: nobody does.
	Continue func(Hold) time.Duration
}

// Moment is how the group stands from a time on.
type Moment struct {
	At    time.Duration // since the start
	Stage int
	Counts
}

// Timeline is what a simulated deployment did.
type Timeline struct {
	Verdict Verdict // empty: it waits for somebody to say Continue, for ever
	Failure *lifecycle.Failure
	Took    time.Duration
	Moments []Moment           // one per change, in order
	Records []lifecycle.Record // the whole journal
	Touched []string           // the blast radius: units that may no longer be what they were
	Least   int                // fewest healthy units at any moment, of the group or of a stage's role
	Most    int                // most units in progress at once
}

// String sums the timeline up in a line.
func (t *Timeline) String() string {
	end := "Waits for ever, after " + t.Took.String()
	if t.Verdict != "" {
		end = fmt.Sprintf("%s in %s", t.Verdict, t.Took)
	}
	end += fmt.Sprintf(": %d units touched, at most %d at once, at least %d healthy", len(t.Touched), t.Most, t.Least)
	if t.Failure != nil {
		end += fmt.Sprintf("; %s: %s", t.Failure.Code, t.Failure.Message)
	}
	return end
}

// Simulate runs a plan in virtual time: the same Next, driven by an event loop
// over a model. It starts no goroutine, and ends with the deployment, or with a
// hold that nobody ends. An error means that the plan itself is at fault.
func Simulate(p Plan, m Model) (*Timeline, error) {
	sim := &simulation{model: m, st: &State{}, now: m.Start, out: &Timeline{}}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("the plan cannot be written: %w", err)
	}
	if err := sim.apply(lifecycle.Record{Kind: lifecycle.Planned, Step: lifecycle.Step{Deployment: p.Deployment}, Data: data}); err != nil {
		return nil, err
	}
	for done := false; !done; {
		if done, err = sim.step(); err != nil {
			return nil, err
		}
	}
	sim.out.Took = sim.now.Sub(m.Start)
	sim.out.Touched = sim.st.Touched()
	return sim.out, nil
}

type simulation struct {
	model Model
	st    *State
	now   time.Time
	queue ending
	n     int
	out   *Timeline
}

// step takes one decision and moves time to the next thing that happens.
func (s *simulation) step() (done bool, err error) {
	d := Next(s.st, s.now)
	records := d.Note
	for _, step := range d.Start {
		records = append(records, lifecycle.Record{Kind: lifecycle.Started, Step: step})
		s.n++
		heap.Push(&s.queue, end{s.now.Add(s.took(step)), s.n, step})
	}
	if d.End != nil {
		s.out.Verdict, s.out.Failure = d.End.Verdict, d.End.Failure
		data, _ := json.Marshal(Outcome{Verdict: d.End.Verdict}) // a plain field always marshals
		records = append(records, lifecycle.Record{Kind: lifecycle.Finished, Failure: d.End.Failure, Data: data})
	}
	if err := s.apply(records...); err != nil || d.End != nil {
		return true, err
	}
	switch {
	case len(records) > 0:
		return false, nil
	case len(s.queue) > 0:
		e := heap.Pop(&s.queue).(end)
		s.now = e.at
		return false, s.apply(s.ended(e.step))
	default:
		return s.wait(d.Wake)
	}
}

// wait passes the time of a hold, to its end or to the moment somebody says
// Continue.
func (s *simulation) wait(wake time.Time) (done bool, err error) {
	hold, since := s.st.Hold()
	if s.model.Continue != nil && hold.Name != "" {
		if after := s.model.Continue(hold); after >= 0 && (wake.IsZero() || since.Add(after).Before(wake)) {
			s.now = since.Add(after)
			return false, s.apply(lifecycle.Record{Kind: lifecycle.Released, Step: s.st.here()})
		}
	}
	if wake.IsZero() {
		return true, nil
	}
	s.now = wake
	return false, nil
}

func (s *simulation) took(step lifecycle.Step) time.Duration {
	if s.model.Took == nil {
		return time.Second
	}
	return s.model.Took(step)
}

// ended is the record of a step's end. Replacements are called new-1, new-2 and so on.
func (s *simulation) ended(step lifecycle.Step) lifecycle.Record {
	r := lifecycle.Record{Kind: lifecycle.Ended, Step: step, Failure: s.fails(step)}
	if step.Event == lifecycle.Provision && r.Failure == nil {
		units := make([]lifecycle.Unit, s.st.plan.Provision)
		for i := range units {
			units[i] = lifecycle.Unit{ID: fmt.Sprintf("new-%d", i+1), Role: lifecycle.ReplacementRole}
		}
		r.Data, _ = json.Marshal(units) // plain fields always marshal
	}
	return r
}

func (s *simulation) fails(step lifecycle.Step) *lifecycle.Failure {
	if s.model.Fails == nil {
		return nil
	}
	return s.model.Fails(step)
}

func (s *simulation) apply(records ...lifecycle.Record) error {
	for _, r := range records {
		r.Seq, r.Time = s.st.Seq()+1, s.now
		if r.Step.Deployment == "" {
			r.Step.Deployment = s.st.plan.Deployment
		}
		if err := s.st.Apply(r); err != nil {
			return err
		}
		s.out.Records = append(s.out.Records, r)
		s.sample()
	}
	return nil
}

// sample notes how the group stands, if that has changed.
func (s *simulation) sample() {
	if !s.st.open {
		return
	}
	m := Moment{At: s.now.Sub(s.model.Start), Stage: s.st.stage, Counts: s.st.counts}
	o := s.out
	if n := len(o.Moments); n == 0 {
		o.Least = m.Healthy
	} else if last := o.Moments[n-1]; last.Stage == m.Stage && last.Counts == m.Counts {
		return
	}
	o.Moments = append(o.Moments, m)
	o.Least, o.Most = min(o.Least, m.Healthy), max(o.Most, m.InProgress)
}

// end is a step that is going to end.
type end struct {
	at   time.Time
	n    int // order of starting, so that ties are always broken the same way
	step lifecycle.Step
}

// ending is a heap of steps by the time of their end.
type ending []end

func (e ending) Len() int      { return len(e) }
func (e ending) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e ending) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].n < e[j].n
}
func (e *ending) Push(x any) { *e = append(*e, x.(end)) }
func (e *ending) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}
