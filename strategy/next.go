package strategy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Decision is what Next says to do: append what is noted, append and then start
// the steps, and ask again when something has happened or at Wake.
type Decision struct {
	Note  []lifecycle.Record // without Seq and Time, which the journal's writer gives
	Start []lifecycle.Step
	Wake  time.Time // ask again then, even if nothing happens; zero: no need
	End   *End      // the deployment is over; nil: it is not
}

// End is the verdict on a deployment.
type End struct {
	Verdict Verdict
	Failure *lifecycle.Failure // nil on success
}

// Next decides what to do now. It is pure and deterministic, changes nothing, and
// costs no more than what it returns: no scan over the units. Its caller appends
// the notes, then a Started record per step, applies them all, does the steps, and
// applies an Ended record for each.
func Next(s *State, now time.Time) Decision {
	if s.index == nil || s.finished != nil {
		return Decision{}
	}
	d := s.decide(now)
	if s.plan.Timeout <= 0 || s.stop != nil || d.End != nil {
		return d
	}
	deadline := s.began.Add(s.plan.Timeout)
	if !now.Before(deadline) {
		return s.stopNow(Stop{Code: lifecycle.TimedOut, Reason: fmt.Sprintf("the deployment has not ended within %s", s.plan.Timeout)})
	}
	if d.Wake.IsZero() || deadline.Before(d.Wake) {
		d.Wake = deadline
	}
	return d
}

// decide is Next, but for the deployment's own time limit.
func (s *State) decide(now time.Time) Decision {
	switch {
	case s.stop != nil:
		return s.nextStopped()
	case s.stage >= len(s.plan.Stages):
		return s.end()
	case !s.open && s.stage == 0:
		return s.doOnce(s.plan.First, s.provisioned(Decision{Note: []lifecycle.Record{{Kind: lifecycle.StageOpen, Step: s.here()}}}))
	case !s.open:
		return Decision{Note: []lifecycle.Record{{Kind: lifecycle.StageOpen, Step: s.here()}}}
	}
	stage := s.plan.Stages[s.stage]
	holds, room := stage.Pace.Holds(s.counts), 0
	if holds {
		room = min(stage.Pace.Room(s.counts), len(s.order)-s.next)
	}
	d := Decision{Start: s.starting(room)}
	if len(d.Start) > 0 || s.counts.InProgress > 0 {
		return d
	}
	pace, c := stage.Pace, s.ahead(stage)
	if holds { // the minimum of the stage is kept, whatever comes
		pace.StageMin, c.StageHealthy = 0, c.Healthy
		if pace.Holds(c) && (pace.Met(s.counts) || s.more(stage)) {
			return s.stageDone(stage, now)
		}
	}
	return Decision{End: &End{Verdict: DeploymentFailed, Failure: s.unmet(pace, c)}}
}

// more reports whether later stages do to other units what this one did: then the
// one success that is needed may come there, and what is left counts as not started.
func (s *State) more(stage Stage) bool { return stage.Role == "" && s.stage+1 < len(s.plan.Stages) }

// ahead is how the group stands when a stage is done, with the units of later ones as
// those that are left to start. What cannot succeed is not waited for.
func (s *State) ahead(stage Stage) Counts {
	c := s.counts
	if !s.more(stage) || !s.held.IsZero() {
		return c
	}
	for _, later := range s.plan.Stages[s.stage+1:] {
		for _, id := range later.Units {
			switch u := &s.units[s.index[id]]; {
			case u.Status != Pending:
			case u.serving:
				c.PendingHealthy++
			default:
				c.PendingUnhealthy++
				c.Failed--
			}
		}
	}
	return c
}

// doOnce lets an event of the whole deployment happen before what comes then. If
// it fails, so does the deployment.
func (s *State) doOnce(e lifecycle.Event, then Decision) Decision {
	o, known := s.once[e]
	switch {
	case e == "" || known && !o.running && o.failure == nil:
		return then
	case o.running:
		return Decision{}
	case known:
		f := *o.failure
		f.Message = fmt.Sprintf("%s: %s", e, f.Message)
		return Decision{End: &End{Verdict: DeploymentFailed, Failure: &f}}
	default:
		return Decision{Start: []lifecycle.Step{{Deployment: s.plan.Deployment, Event: e}}}
	}
}

func (s *State) here() lifecycle.Step {
	return lifecycle.Step{Deployment: s.plan.Deployment, Stage: s.stage}
}

// starting returns the next steps of units that are in the middle of their events,
// and then the first steps of as many pending units as there is room for. The
// former go on whatever became of the others: half-done is the worst place to stop.
func (s *State) starting(room int) []lifecycle.Step {
	if len(s.ready)+room == 0 {
		return nil
	}
	steps := make([]lifecycle.Step, 0, len(s.ready)+room)
	for _, i := range s.ready {
		if s.units[i].ready {
			steps = append(steps, s.step(i))
		}
	}
	for n := s.next; n < len(s.order) && room > 0; n++ {
		if i := s.order[n]; s.units[i].Status == Pending {
			steps = append(steps, s.step(i))
			room--
		}
	}
	return steps
}

// stageDone leaves the stage, after its hold if it has one.
func (s *State) stageDone(stage Stage, now time.Time) Decision {
	note := func(kind lifecycle.Kind) Decision {
		return Decision{Note: []lifecycle.Record{{Kind: kind, Step: s.here()}}}
	}
	until := s.held.Add(stage.Hold.For)
	switch {
	case stage.Hold.Name == "":
		return note(lifecycle.Released)
	case s.held.IsZero():
		return note(lifecycle.Held)
	case stage.Hold.For == 0:
		return Decision{} // until somebody says Continue
	case now.Before(until):
		return Decision{Wake: until}
	case stage.Hold.StopOnExpiry:
		return s.stopNow(Stop{Reason: fmt.Sprintf("nobody said continue within %s (%s)", stage.Hold.For, stage.Hold.Name)})
	default:
		return note(lifecycle.Released)
	}
}

func (s *State) stopNow(stop Stop) Decision {
	data, _ := json.Marshal(stop) // plain fields always marshal
	return Decision{Note: []lifecycle.Record{{Kind: lifecycle.Stopped, Step: s.here(), Data: data}}}
}

// nextStopped lets steps that run come to their end, starts nothing, and writes
// down every unit that is left between two events.
func (s *State) nextStopped() Decision {
	if s.running > 0 {
		return Decision{}
	}
	why := &lifecycle.Failure{Code: lifecycle.ManualStop, Message: "stopped: " + s.stop.Reason}
	if s.stop.Code != "" {
		why.Code = s.stop.Code
	}
	var d Decision
	for _, i := range s.ready {
		if s.units[i].ready {
			step := lifecycle.Step{Deployment: s.plan.Deployment, Stage: s.stage, Unit: s.units[i].ID}
			f := *why
			f.Message = fmt.Sprintf("stopped after %s: %s", s.units[i].Event, s.stop.Reason)
			d.Note = append(d.Note, lifecycle.Record{Kind: lifecycle.Skipped, Step: step, Failure: &f})
		}
	}
	if len(d.Note) == 0 {
		d.End = &End{Verdict: DeploymentStopped, Failure: why}
		if why.Code == lifecycle.TimedOut {
			d.End.Verdict = DeploymentFailed // nobody asked for it
		}
	}
	return d
}

// unmet says why the stage failed, with the arithmetic and the first cause. Where one
// unit takes all the traffic there is nothing to count: its failure is the deployment's
// (CodeDeploy: HOOK_EXECUTION_FAILURE on ECS and Lambda, HEALTH_CONSTRAINTS on EC2).
func (s *State) unmet(p Pace, c Counts) *lifecycle.Failure {
	if s.plan.Divided && s.first != nil {
		f := s.first.Failure
		f.Message = fmt.Sprintf("%s on %s: %s", s.first.Step.Event, s.first.Step.Unit, f.Message)
		return &f
	}
	f := &lifecycle.Failure{Code: lifecycle.HealthConstraints, Message: p.unmet(c)}
	if s.first != nil {
		f.Message += fmt.Sprintf("; first failure: %s on %s: %s", s.first.Step.Event, s.first.Step.Unit, s.first.Message)
		f.Script = s.first.Script
	}
	return f
}
