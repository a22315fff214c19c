package strategy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Replacements that the target makes for the deployment are unknown when it is
// planned. The plan says how many, and its stages of replacements are empty. They are
// made once, by an event of the whole deployment, whose end is recorded with the
// units. From that record they are units like any other.

// toMake is how many replacements the target is to make: as many as there are
// originals that serve. CodeDeploy counts the healthy instances of the Auto Scaling
// group that it copies, not what was wished for.
func (in Input) toMake(originals []string) int {
	n := 0
	for _, id := range originals {
		if in.Before.recorded(id, 100) > 0 {
			n++
		}
	}
	if n == 0 {
		return len(originals) // nobody serves, and somebody said that it does not matter
	}
	return n
}

// retire removes replacements for good. It only tidies up.
func retire(made []string) Stage {
	return Stage{Name: "replacements: retire", Walk: lifecycle.RollbackReplacement, Role: lifecycle.ReplacementRole, Units: made,
		Moves: moves(lifecycle.Retire), Pace: Pace{Limit: len(made), Cleanup: true}, Fresh: true}
}

// made lists the replacements that were made for the deployment to roll back, as far
// as the target still has them.
func (in Input) made() []string {
	var ids []string
	for _, u := range in.Units {
		if u.Lost == "" && slices.Contains(in.Provisioned, u.ID) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// provisioned lets the replacements be made before what comes then. If that fails,
// what comes is the removal of what was made.
func (s *State) provisioned(then Decision) Decision {
	o, known := s.once[lifecycle.Provision]
	switch {
	case s.plan.Provision == 0 || known && !o.running:
		return then
	case o.running:
		return Decision{}
	default:
		return Decision{Start: []lifecycle.Step{{Deployment: s.plan.Deployment, Event: lifecycle.Provision}}}
	}
}

// CleansUp reports whether the deployment has failed before its first stage, since
// its replacements could not be made, and only removes what was made.
func (s *State) CleansUp() bool { return s.once[lifecycle.Provision].failure != nil }

// end is the verdict when all stages are done.
func (s *State) end() Decision {
	if f := s.once[lifecycle.Provision].failure; f != nil {
		why := *f
		why.Message = fmt.Sprintf("%s: %s; the originals were not touched", lifecycle.Provision, f.Message)
		return Decision{End: &End{Verdict: DeploymentFailed, Failure: &why}}
	}
	return s.doOnce(s.plan.Last, Decision{End: &End{Verdict: DeploymentSucceeded}})
}

// applyProvisioned adds the replacements that were made. After a failure all that is
// left to do is to remove them.
func (s *State) applyProvisioned(r lifecycle.Record) error {
	var units []lifecycle.Unit
	if len(r.Data) > 0 {
		if err := json.Unmarshal(r.Data, &units); err != nil {
			return fmt.Errorf("the units cannot be read: %w", err)
		}
	}
	if r.Failure == nil && len(units) != s.plan.Provision {
		return fmt.Errorf("%d replacements were made, not %d", len(units), s.plan.Provision)
	}
	ids := make([]string, len(units))
	for i, u := range units {
		ids[i] = u.ID
	}
	p := s.plan
	p.Units = append(slices.Clip(p.Units), units...)
	p.Stages = p.provisioned(ids, r.Failure != nil)
	index, err := p.check()
	if err != nil {
		return err
	}
	s.plan, s.index = p, index
	for _, u := range units {
		s.units = append(s.units, unit{Unit: Unit{Unit: u, Status: Pending}, made: true, traffic: p.begins(u.ID)})
	}
	return nil
}

// provisioned is what a plan's stages become when the replacements have a name.
func (p Plan) provisioned(made []string, failed bool) []Stage {
	switch {
	case failed && len(made) == 0:
		return nil
	case failed:
		return []Stage{retire(made)}
	}
	stages := slices.Clone(p.Stages)
	for i := range stages {
		if stages[i].Role == lifecycle.ReplacementRole && len(stages[i].Units) == 0 {
			stages[i].Units = made
		}
	}
	return stages
}

// Provisioned lists the replacements that were made for this deployment and are not
// retired.
func (s *State) Provisioned() []string {
	var ids []string
	for i := range s.units {
		if u := &s.units[i]; u.made && !u.retired() {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

func (u *unit) retired() bool { return u.Event == lifecycle.Retire && u.Status == Succeeded }

// Leftover lists the replacements that serve no purpose when the deployment ends, well
// or not, and that nobody has retired: those made for it, and for earlier ones of the group.
func (s *State) Leftover(good bool) []string {
	var left []string
	for _, id := range s.plan.Leftover {
		if i, ok := s.index[id]; !ok || !s.units[i].retired() {
			left = append(left, id)
		}
	}
	if good && s.plan.RollbackOf == "" {
		return left
	}
	return append(left, s.Provisioned()...)
}
