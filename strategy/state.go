package strategy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Stop is the data of a Stopped record.
type Stop struct {
	// Code is ManualStop, AlarmActive or TimedOut; empty: ManualStop.
	Code     lifecycle.Code `json:"code,omitempty"`
	Reason   string         `json:"reason"`
	Rollback bool           `json:"rollback,omitempty"` // roll back, whatever the policy says
}

// Status is how one unit stands in a deployment, in CodeDeploy's words.
type Status string

// The statuses of units.
const (
	Pending    Status = "Pending"
	InProgress Status = "InProgress"
	Succeeded  Status = "Succeeded"
	Failed     Status = "Failed"
	Skipped    Status = "Skipped" // never started, or stopped between two events
)

// Verdict is how a deployment ended.
type Verdict string

// The verdicts. The zero Verdict: it has not ended.
const (
	DeploymentSucceeded Verdict = "Succeeded"
	DeploymentFailed    Verdict = "Failed"
	DeploymentStopped   Verdict = "Stopped"
)

// Outcome is the data of a Finished record.
type Outcome struct {
	Verdict  Verdict `json:"verdict"`
	Rollback string  `json:"rollback,omitempty"` // id of the deployment that rolls this one back; empty: none
}

// Unit is a unit as the records show it.
type Unit struct {
	lifecycle.Unit                    // as found at the start
	Status         Status             // Pending after the end means: never started
	Event          lifecycle.Event    // the last event started; empty: none
	Failure        *lifecycle.Failure // of the event that failed; nil: none
	// Touched says that an event other than Start was begun: the unit may no
	// longer be what it was.
	Touched bool
}

// unit is a Unit with what Next needs to know about it.
type unit struct {
	Unit
	move    int  // the move to do next, or being done
	running bool // a step of it was started and has not ended
	ready   bool // its next move may start now
	serving bool // it is in service, as far as the pace of the present stage is concerned
	made    bool // for this deployment, by the target's pool
	traffic known
}

// State is a deployment as far as its records tell it. Only [State.Apply] changes
// it. The zero State is that of a deployment without records. It is not safe for
// concurrent use.
type State struct {
	plan      Plan
	began     time.Time
	seq       int64
	index     map[string]int
	units     []unit
	stage     int
	open      bool
	order     []int // positions of the stage's units, in their order
	next      int   // position in order of the first one that may be pending
	flight    []int // units whose steps were started, oldest first; entries may be stale
	ready     []int // units whose next move may start, oldest first; entries may be stale
	running   int   // steps started and not ended
	counts    Counts
	once      map[lifecycle.Event]onceState
	first     *lifecycle.Error // first failure, for the verdict's message
	held      time.Time        // when the hold of the open stage began; zero: it has not
	continued map[string]bool  // units whose present step somebody said Continue about; mostly nil
	stop      *Stop
	finished  *Outcome
	failure   *lifecycle.Failure
}

// Begin makes a plan's first record, and the state that it leads to: the same as
// that of a zero State to which the record is applied, without reading it.
func Begin(p Plan, now time.Time) (*State, lifecycle.Record, error) {
	r := lifecycle.Record{Seq: 1, Time: now, Kind: lifecycle.Planned, Step: lifecycle.Step{Deployment: p.Deployment}}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, r, fmt.Errorf("%s: writing the plan: %w", p.Deployment, err)
	}
	r.Data = data
	s := &State{seq: r.Seq}
	return s, r, s.begin(p, now)
}

// Plan returns the plan, zero before the first record.
func (s *State) Plan() Plan { return s.plan }

// Seq is the number of the last record applied.
func (s *State) Seq() int64 { return s.seq }

// Counts is how the group stands in the present stage.
func (s *State) Counts() Counts { return s.counts }

// Outcome returns how the deployment ended and why it failed; nil: it has not
// ended.
func (s *State) Outcome() (*Outcome, *lifecycle.Failure) { return s.finished, s.failure }

// Stage is the number of the present stage.
func (s *State) Stage() int { return s.stage }

// Stop returns the first request to stop; nil: there was none.
func (s *State) Stop() *Stop { return s.stop }

// Units returns all units of the group, in the order of the plan.
func (s *State) Units() []Unit {
	out := make([]Unit, len(s.units))
	for i := range s.units {
		out[i] = s.units[i].Unit
	}
	return out
}

// Running returns the steps that were started and have no recorded end: after a
// crash these are to be done again.
func (s *State) Running() []lifecycle.Step {
	var steps []lifecycle.Step
	for _, e := range []lifecycle.Event{s.plan.First, lifecycle.Provision, s.plan.Last} {
		if s.once[e].running {
			steps = append(steps, lifecycle.Step{Deployment: s.plan.Deployment, Event: e})
		}
	}
	for i := range s.units {
		if s.units[i].running {
			steps = append(steps, s.step(i))
		}
	}
	return steps
}

// Touched returns the ids of the units that a rollback would have to go back to,
// in the order of the plan. What was made for the deployment and is retired already is
// none of them. Never nil.
func (s *State) Touched() []string {
	ids := []string{}
	for i := range s.units {
		if u := &s.units[i]; u.Touched && !(u.made && u.retired()) {
			ids = append(ids, s.units[i].ID)
		}
	}
	return ids
}

// step is the step that unit i does now or next.
func (s *State) step(i int) lifecycle.Step {
	m := s.plan.Stages[s.stage].Moves[s.units[i].move]
	return lifecycle.Step{Deployment: s.plan.Deployment, Stage: s.stage, Unit: s.units[i].ID, Event: m.Event, Weight: m.Weight}
}

// Joins reports whether units that have come meanwhile may join now: an in-place
// deployment that goes forward has done all its stages.
func (s *State) Joins() bool {
	return s.index != nil && s.finished == nil && s.stop == nil && s.plan.RollbackOf == "" &&
		s.stage >= len(s.plan.Stages) && len(s.plan.Stages) > 0 && s.plan.Stages[0].Role == ""
}

// Knows reports whether the plan lists the unit.
func (s *State) Knows(unit string) bool {
	_, ok := s.index[unit]
	return ok
}

// Hold returns the hold that the deployment is in and when it began; the zero Hold:
// it is in none.
func (s *State) Hold() (Hold, time.Time) {
	if s.held.IsZero() {
		return Hold{}, time.Time{}
	}
	return s.plan.Stages[s.stage].Hold, s.held
}
