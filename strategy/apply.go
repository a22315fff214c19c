package strategy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Apply folds one record into the state. A record that does not fit what came
// before is an error and changes nothing; a journal that holds one was written by
// something else.
func (s *State) Apply(r lifecycle.Record) error {
	if r.Seq != s.seq+1 {
		return fmt.Errorf("record %d follows record %d", r.Seq, s.seq)
	}
	if (r.Kind == lifecycle.Planned) != (s.index == nil) || s.finished != nil {
		return fmt.Errorf("record %d: a %s record cannot come here", r.Seq, r.Kind)
	}
	if err := s.take(r); err != nil {
		return fmt.Errorf("record %d (%s %s): %w", r.Seq, r.Kind, r.Step, err)
	}
	s.seq = r.Seq
	return nil
}

// take does what each kind of record does to a state.
func (s *State) take(r lifecycle.Record) error {
	switch r.Kind {
	case lifecycle.Started:
		return s.applyStarted(r)
	case lifecycle.Ended:
		return s.applyEnded(r)
	case lifecycle.Noted:
		return nil
	case lifecycle.Planned:
		return s.applyPlanned(r)
	case lifecycle.StageOpen:
		return s.applyStage(r)
	case lifecycle.Joined:
		return s.applyJoined(r)
	case lifecycle.Skipped:
		return s.applySkipped(r)
	case lifecycle.Stopped:
		return s.applyStopped(r)
	case lifecycle.Held:
		return s.applyHeld(r)
	case lifecycle.Released:
		return s.applyReleased(r)
	case lifecycle.Finished:
		return s.applyFinished(r)
	default:
		return fmt.Errorf("the kind is unknown: it was written by a newer version")
	}
}

func (s *State) applyPlanned(r lifecycle.Record) error {
	var p Plan
	if err := json.Unmarshal(r.Data, &p); err != nil {
		return fmt.Errorf("the plan cannot be read: %w", err)
	}
	return s.begin(p, r.Time)
}

// begin makes the state of a deployment that has a plan and nothing else.
func (s *State) begin(p Plan, now time.Time) error {
	index, err := p.check()
	if err != nil {
		return err
	}
	s.plan, s.began, s.index = p, now, index
	s.units = make([]unit, len(p.Units))
	for i := range s.units {
		u := &s.units[i]
		u.Unit.Unit, u.Status, u.serving, u.traffic = p.Units[i], Pending, p.Units[i].Healthy, p.begins(p.Units[i].ID)
		if u.Lost != "" {
			u.Status, u.Failure = Failed, &lifecycle.Failure{Code: lifecycle.UnitLost, Message: u.Lost}
		}
	}
	return nil
}

// applyJoined adds units that came meanwhile, in a stage of their own at the end. It
// is like the plan's last stage: they get what the others got.
func (s *State) applyJoined(r lifecycle.Record) error {
	var units []lifecycle.Unit
	if err := json.Unmarshal(r.Data, &units); err != nil || len(units) == 0 {
		return fmt.Errorf("the units cannot be read (%v)", err)
	}
	if s.stage < len(s.plan.Stages) || s.plan.Stages[0].Role != "" {
		return fmt.Errorf("units join an in-place deployment, after its last stage")
	}
	p := s.plan
	last := p.Stages[len(p.Stages)-1]
	last.Name, last.Zone, last.Pace.StageMin, last.Hold, last.Units = "joined", "", 0, Hold{}, nil
	for _, u := range units {
		last.Units = append(last.Units, u.ID)
	}
	p.Units = append(slices.Clip(p.Units), units...)
	p.Stages = append(slices.Clip(p.Stages), last)
	index, err := p.check()
	if err != nil {
		return err
	}
	s.plan, s.index = p, index
	for _, u := range units {
		s.units = append(s.units, unit{Unit: Unit{Unit: u, Status: Pending}, serving: u.Healthy})
	}
	return nil
}

func (s *State) applyStage(r lifecycle.Record) error {
	if s.open || r.Step.Stage != s.stage || s.stage >= len(s.plan.Stages) {
		return fmt.Errorf("stage %d cannot be entered now", r.Step.Stage)
	}
	s.open, s.next, s.ready, s.flight = true, 0, nil, nil
	s.order = s.order[:0]
	for _, id := range s.plan.Stages[s.stage].Units {
		s.order = append(s.order, s.index[id])
	}
	s.counts = s.count()
	return nil
}

// count takes stock once, when a stage is entered; after that counts only move.
// Units that failed in an earlier stage take no part in this one.
func (s *State) count() Counts {
	var c Counts
	stage := s.plan.Stages[s.stage]
	if stage.Role == "" {
		c.Earlier = s.counts.Earlier + s.counts.Succeeded
	}
	inStage := make([]bool, len(s.units))
	for _, i := range s.order {
		if u := &s.units[i]; u.Status == Pending || u.Status == Succeeded {
			inStage[i] = true
			u.Status, u.move, u.serving = Pending, 0, u.serving && !stage.Fresh
		}
	}
	for i := range s.units {
		u := &s.units[i]
		switch {
		case stage.Role != "" && u.Role != stage.Role:
		case inStage[i] && u.serving:
			c.Healthy++
			c.StageHealthy++
			c.PendingHealthy++
		case inStage[i]:
			c.PendingUnhealthy++
		case u.serving:
			c.Healthy++
		default:
			c.Failed++
			if u.Failure != nil && u.Failure.Code == lifecycle.UnitLost {
				c.Lost++
			}
		}
	}
	return c
}

// onceState is how far an event of the whole deployment has come.
type onceState struct {
	running bool
	failure *lifecycle.Failure
}

// applyOnce takes in a record of an event that belongs to no unit.
func (s *State) applyOnce(r lifecycle.Record) error {
	e := r.Step.Event
	if e == "" || e != s.plan.First && e != s.plan.Last && (e != lifecycle.Provision || s.plan.Provision == 0) {
		return fmt.Errorf("the plan has no such event")
	}
	o, known := s.once[r.Step.Event]
	if r.Kind == lifecycle.Ended && (!known || !o.running) {
		return fmt.Errorf("the step was not started")
	}
	if r.Kind == lifecycle.Ended && e == lifecycle.Provision {
		if err := s.applyProvisioned(r); err != nil {
			return err
		}
	}
	if s.once == nil {
		s.once = map[lifecycle.Event]onceState{}
	}
	if r.Kind == lifecycle.Started && !o.running {
		s.running++
	}
	if r.Kind == lifecycle.Ended {
		s.running--
	}
	s.once[r.Step.Event] = onceState{running: r.Kind == lifecycle.Started, failure: r.Failure}
	if r.Failure != nil {
		s.first = &lifecycle.Error{Step: r.Step, Failure: *r.Failure}
	}
	return nil
}

func (s *State) applyStarted(r lifecycle.Record) error {
	if r.Step.Unit == "" {
		return s.applyOnce(r)
	}
	i, u, err := s.at(r.Step, s.expected())
	if err != nil {
		return err
	}
	if u.Status == Pending {
		s.leavePending(u)
		u.Status = InProgress
		s.counts.InProgress++
	}
	if !u.running {
		u.running = true
		s.running++
		s.launch(i)
	}
	u.Event, u.ready = r.Step.Event, false
	u.Touched = u.Touched || r.Step.Event != lifecycle.Start
	s.trim()
	return nil
}

func (s *State) applyEnded(r lifecycle.Record) error {
	if r.Step.Unit == "" {
		return s.applyOnce(r)
	}
	i, u, err := s.at(r.Step, s.oldest(r.Step.Unit))
	if err != nil {
		return err
	}
	if !u.running {
		return fmt.Errorf("the step was not started")
	}
	u.running = false
	s.running--
	s.shift(u, r.Step, r.Failure != nil)
	delete(s.continued, u.ID)
	if r.Failure != nil {
		s.fail(u, Failed, r.Failure)
		return nil
	}
	u.move++
	if u.move < len(s.plan.Stages[s.stage].Moves) {
		u.ready = true
		s.ready = append(s.ready, i)
		return nil
	}
	u.Status, u.serving = Succeeded, true
	s.counts.InProgress--
	s.counts.Healthy++
	s.counts.StageHealthy++
	s.counts.Succeeded++
	return nil
}

func (s *State) applySkipped(r lifecycle.Record) error {
	i, ok := s.index[r.Step.Unit]
	if !ok || r.Failure == nil {
		return fmt.Errorf("no such unit, or no reason given")
	}
	u := &s.units[i]
	switch {
	case u.Status == Pending:
		s.leavePending(u)
		s.counts.InProgress++ // fail takes it out again
	case u.Status != InProgress || u.running:
		return fmt.Errorf("the unit is %s and cannot be skipped", u.Status)
	}
	u.ready = false
	s.trim()
	s.fail(u, Skipped, r.Failure)
	return nil
}

func (s *State) applyStopped(r lifecycle.Record) error {
	var stop Stop
	if err := json.Unmarshal(r.Data, &stop); err != nil {
		return fmt.Errorf("the request to stop cannot be read: %w", err)
	}
	if s.stop == nil {
		s.stop = &stop
	}
	return nil
}

func (s *State) applyFinished(r lifecycle.Record) error {
	var o Outcome
	if err := json.Unmarshal(r.Data, &o); err != nil || o.Verdict == "" {
		return fmt.Errorf("the outcome cannot be read (%v)", err)
	}
	s.finished, s.failure = &o, r.Failure
	return nil
}

// at finds the unit of a step and refuses a step that is not the unit's present one.
// It is looked for at position guess first; a guess below 0 is none.
func (s *State) at(step lifecycle.Step, guess int) (int, *unit, error) {
	i, ok := guess, guess >= 0 && s.units[guess].ID == step.Unit
	if !ok {
		i, ok = s.index[step.Unit]
	}
	if !ok || !s.open || s.units[i].move >= len(s.plan.Stages[s.stage].Moves) || s.step(i) != step {
		return 0, nil, fmt.Errorf("this is not the unit's next step")
	}
	if st := s.units[i].Status; st != Pending && st != InProgress {
		return 0, nil, fmt.Errorf("the unit is %s already", st)
	}
	return i, &s.units[i], nil
}

// leavePending takes a unit out of the pending counts and moves the stage's
// cursor past units that have left.
func (s *State) leavePending(u *unit) {
	if u.serving {
		s.counts.PendingHealthy--
		s.counts.Healthy--
		s.counts.StageHealthy--
	} else {
		s.counts.PendingUnhealthy--
	}
	u.Status, u.serving = InProgress, false
	for s.next < len(s.order) && s.units[s.order[s.next]].Status != Pending {
		s.next++
	}
}

func (s *State) fail(u *unit, as Status, f *lifecycle.Failure) {
	u.Status, u.Failure = as, f
	s.counts.InProgress--
	s.counts.Failed++
	s.counts.StageFailed++
	if f.Code == lifecycle.UnitLost {
		s.counts.Lost++
		s.counts.StageLost++
	}
	if s.first == nil && as == Failed {
		s.first = &lifecycle.Error{Step: lifecycle.Step{Unit: u.ID, Event: u.Event}, Failure: *f}
	}
}

// expected is the position of the unit that most likely starts a step next: Next
// names those in the middle of their events first, oldest first.
func (s *State) expected() int {
	switch {
	case len(s.ready) > 0:
		return s.ready[0]
	case s.next < len(s.order):
		return s.order[s.next]
	default:
		return -1
	}
}

// launch remembers in which order steps were started.
func (s *State) launch(i int) {
	if len(s.flight) > 2*s.running+16 { // one runs long and the others have passed it
		s.flight = slices.DeleteFunc(s.flight, func(i int) bool { return !s.units[i].running })
	}
	s.flight = append(s.flight, i)
}

// oldest looks for a unit among those whose steps were started first: they mostly
// end in that order. It is a guess that spares looking the unit up by its name.
func (s *State) oldest(id string) int {
	for len(s.flight) > 0 && !s.units[s.flight[0]].running {
		s.flight = s.flight[1:]
	}
	for n, i := range s.flight[:min(len(s.flight), 8)] {
		if s.units[i].ID == id {
			s.flight[n] = s.flight[0]
			s.flight = s.flight[1:]
			return i
		}
	}
	return -1
}

// trim drops entries from the front of the ready queue that have been started.
func (s *State) trim() {
	for len(s.ready) > 0 && !s.units[s.ready[0]].ready {
		s.ready = s.ready[1:]
	}
}

func (s *State) applyHeld(r lifecycle.Record) error {
	if !s.open || !s.held.IsZero() {
		return fmt.Errorf("no stage is open, or it is held already")
	}
	s.held = r.Time
	return nil
}

// applyReleased leaves the stage. Somebody may say Continue before or after the
// hold's own end; a stage that is not held, or has work left, cannot be left.
//
// About a step it means that the step waits no longer.
func (s *State) applyReleased(r lifecycle.Record) error {
	if r.Step.Unit != "" {
		return s.applyContinued(r.Step)
	}
	if !s.open || s.counts.InProgress > 0 || s.counts.PendingHealthy+s.counts.PendingUnhealthy > 0 {
		return fmt.Errorf("the stage is not done")
	}
	s.open, s.held = false, time.Time{}
	s.stage++
	return nil
}
