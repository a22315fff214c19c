package strategy

import (
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// begin is the moment at which a unit starts a step: what was in service may go
// out of it now.
func (s *sim) begin(step lifecycle.Step) {
	p := s.index[step.Unit]
	if step.Unit == "" {
		return
	}
	stage := s.plan.Stages[step.Stage]
	if p.stage != step.Stage {
		p.stage, p.moves = step.Stage, 0
	}
	_, done := s.done[step.Key()]
	if p.gone && !done {
		s.violated(14, "%s: the unit was retired", step)
	}
	if !done {
		if want := stage.Moves[min(p.moves, len(stage.Moves)-1)]; p.moves >= len(stage.Moves) || want.Event != step.Event || want.Weight != step.Weight {
			s.violated(4, "%s is move %d of the unit, which should be %s", step, p.moves, want)
		}
	}
	if step.Event != lifecycle.Start {
		s.touched[step.Unit] = true
	}
	if p.unit.Role == "" && p.serving && !done && step.Event != lifecycle.Start {
		s.takeOut(p, stage, step)
	}
}

// takeOut checks the minimum healthy before a unit leaves service by our doing.
func (s *sim) takeOut(p *place, stage Stage, step lifecycle.Step) {
	serving, inZone := 0, 0
	for _, o := range s.places {
		if o.serving && o.unit.Role == p.unit.Role {
			serving++
			if o.unit.Zone == p.unit.Zone {
				inZone++
			}
		}
	}
	healthy := false // as the deployment knows it: a unit that is not may be down already
	for _, u := range s.plan.Units {
		healthy = healthy || u.ID == p.unit.ID && u.Healthy
	}
	if healthy && (serving-1 < stage.Pace.MinHealthy || stage.Zone != "" && inZone-1 < stage.Pace.StageMin) {
		s.violated(1, "%s takes the unit out: %d serve, %d must, %d of %d in its zone", step, serving, stage.Pace.MinHealthy, inZone, stage.Pace.StageMin)
	}
	p.serving = false
}

// effect is what a step does to the world, once.
func (s *sim) effect(step lifecycle.Step) {
	s.effects[step.Key()]++
	if s.effects[step.Key()] > 1 {
		s.violated(13, "%s had its effect twice", step)
	}
	p := s.index[step.Unit]
	p.moves++
	switch step.Event {
	case lifecycle.Install:
		p.revision = s.plan.Revision.Digest
	case lifecycle.BlockTraffic:
		s.weigh(p, 0)
		s.checkBlocked(p)
	case lifecycle.AllowTraffic:
		s.weigh(p, step.Weight)
	case lifecycle.Retire:
		if p.weight > 0 {
			s.violated(7, "%s, which has %d %% of the traffic", step, p.weight)
		}
		s.checkRetired(p, step)
		p.gone, p.serving = true, false
	}
	if stage := s.plan.Stages[step.Stage]; p.moves == len(stage.Moves) && p.unit.Role == "" {
		p.serving = true
	}
}

// weigh gives a unit its share. In ECS and Lambda deployments the rest is the
// other side's, or goes back to whoever had it. In blue/green some side must always serve.
func (s *sim) weigh(p *place, w lifecycle.Weight) {
	forward, before := s.plan.RollbackOf == "", s.total()
	switch {
	case s.plan.Divided && p.unit.Role == lifecycle.ReplacementRole && forward && w < p.weight && !p.foreign && !s.anyway:
		s.violated(3, "the replacement's share falls from %d to %d", p.weight, w)
	case p.unit.Role == lifecycle.ReplacementRole && w > 0 && s.installs() && p.revision != s.plan.Revision.Digest:
		s.violated(7, "%s gets traffic with revision %q", p.unit.ID, p.revision)
	}
	p.set(w)
	if s.plan.Divided {
		for _, o := range s.places {
			if o != p {
				o.set(s.rest(o, w))
			}
		}
	}
	if before > 0 && s.total() == 0 && p.unit.Role != "" && !s.foundDark() {
		s.violated(7, "nobody has traffic after %s got %d", p.unit.ID, w)
	}
}

// foundDark says that a rollback gives back what there was when nobody had traffic.
func (s *sim) foundDark() bool {
	if s.plan.RollbackOf == "" || s.plan.Before == nil {
		return false
	}
	for _, w := range s.plan.Before.Weights {
		if w > 0 {
			return false
		}
	}
	return true
}

// rest is what the other side has when one has w.
func (s *sim) rest(o *place, w lifecycle.Weight) lifecycle.Weight {
	if s.plan.RollbackOf != "" && s.plan.Before != nil && w < 100 {
		return s.plan.Before.Weights[o.unit.ID]
	}
	return 100 - w
}

func (p *place) set(w lifecycle.Weight) { p.weight, p.serving, p.foreign = w, w > 0, false }

func (s *sim) total() (all lifecycle.Weight) {
	for _, p := range s.places {
		all += p.weight
	}
	return all
}

// installs reports whether the plan puts files or tasks in place.
func (s *sim) installs() bool {
	for _, st := range s.plan.Stages {
		for _, m := range st.Moves {
			if m.Event == lifecycle.Install {
				return true
			}
		}
	}
	return false
}

// onlyTouched: a rollback leaves alone what the deployment left alone, but for
// originals, whose traffic it restores, and for what was made and has to go.
func (s *sim) onlyTouched(before map[string]bool) {
	for id := range s.touched {
		if p := s.index[id]; !before[id] && p.unit.Role != lifecycle.OriginalRole && !slices.Contains(s.made, p) {
			s.violated(5, "the rollback touched %s, which the deployment had not", id)
		}
	}
}

// checkEnd: no unit is silently dark, and success is true of the world.
func (s *sim) checkEnd(end *End) {
	status := map[string]Unit{}
	for _, u := range s.st.Units() {
		status[u.ID] = u
	}
	got := 0
	for _, p := range s.places {
		u := status[p.unit.ID]
		if u.Status == InProgress {
			s.violated(2, "%s is still in progress at the end", p.unit.ID)
		}
		if u.Status == Succeeded && p.unit.Role != lifecycle.OriginalRole && s.plan.RollbackOf == "" {
			got++
			if s.installs() && p.revision != s.plan.Revision.Digest {
				s.violated(19, "%s succeeded with revision %q", p.unit.ID, p.revision)
			}
		}
		if p.unit.Role == "" && !p.serving && s.touched[p.unit.ID] && u.Status != Failed && u.Status != Skipped {
			s.violated(2, "%s is out of service and reported %s", p.unit.ID, u.Status)
		}
	}
	if end.Verdict == DeploymentSucceeded && s.plan.RollbackOf == "" && got == 0 {
		s.violated(19, "success without a unit that has the revision")
	}
	if end.Verdict == DeploymentSucceeded {
		s.checkStages()
	}
}

// checkStages: a deployment that succeeded has kept every minimum, and done all of
// every stage whose units must all succeed.
func (s *sim) checkStages() {
	for _, st := range s.plan.Stages {
		serving := 0
		for _, p := range s.places {
			if p.unit.Role == st.Role && p.serving {
				serving++
			}
		}
		if st.Role == "" && serving < st.Pace.MinHealthy {
			s.violated(1, "success with %d serving where %d must", serving, st.Pace.MinHealthy)
		}
		if !st.Pace.All {
			continue
		}
		for _, id := range st.Units {
			last := lifecycle.Step{Deployment: s.plan.Deployment, Stage: s.stageOf(st), Unit: id, Event: st.Moves[len(st.Moves)-1].Event, Weight: st.Moves[len(st.Moves)-1].Weight}
			if f, done := s.done[last.Key()]; !done || f != nil {
				s.violated(19, "success, and %s was not done", last)
			}
		}
	}
}

func (s *sim) stageOf(st Stage) int {
	for i := range s.plan.Stages {
		if s.plan.Stages[i].Name == st.Name {
			return i
		}
	}
	return -1
}
