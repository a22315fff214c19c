package strategy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// outside is what is not the controller's doing: who else changes traffic, what the
// target makes, how it was found.
type outside struct {
	divided bool     // there is one stream of traffic, which the sides divide
	pool    bool     // replacements are made
	made    []*place // by it, all for one deployment
	blind   bool     // no snapshot is taken
	anyway  bool     // deployments begin whoever has the traffic

	// of the present deployment
	expects  map[string]known // by step key: the traffic that the unit had when it was asked for
	released map[string]bool  // steps that somebody said Continue about
}

// waiting stands for a step that changed nothing and is asked for again.
var waiting = &lifecycle.Failure{}

// disturb leaves traffic where it should not be, now and then, before anything begins.
func (s *sim) disturb() {
	s.blind, s.anyway = s.chance(0.2), s.chance(0.3)
	if s.places[0].unit.Role == "" || s.blind || !s.chance(0.1) {
		return
	}
	p := s.places[s.rng.IntN(len(s.places))]
	w := []lifecycle.Weight{0, 100, 40}[s.rng.IntN(3)]
	if !s.divided {
		w = min(100, w/40*100) // a host serves or it does not
	}
	s.others(p, w)
	for _, p := range s.places {
		p.foreign = false // it is how things are found
	}
}

// others is somebody else who gives a unit a weight.
func (s *sim) others(p *place, w lifecycle.Weight) {
	p.set(w)
	p.foreign = true
	if s.divided {
		for _, o := range s.places {
			if o != p {
				o.set(100 - w)
				o.foreign = true
			}
		}
	}
}

func (s *sim) snapshot() *Snapshot {
	if s.blind || s.places[0].unit.Role == "" {
		return nil
	}
	snap := &Snapshot{Weights: map[string]lifecycle.Weight{}}
	for _, p := range s.places {
		snap.Weights[p.unit.ID] = p.weight
	}
	return snap
}

// checkStart: G4, G19. A deployment that has begun found the traffic where it takes it
// from.
func (s *sim) checkStart(in Input) {
	if in.RollbackOf != "" || in.Before == nil || s.anyway {
		return
	}
	served := false
	for _, p := range s.places {
		served = served || p.unit.Role == lifecycle.OriginalRole && p.weight > 0
		if p.unit.Role == lifecycle.ReplacementRole && p.weight > 0 {
			s.violated(3, "%s began while %s had %d %%", in.Deployment, p.unit.ID, p.weight)
		}
	}
	if !served {
		s.violated(7, "%s began while no original served", in.Deployment)
	}
}

// interfere changes traffic in the middle of a deployment.
func (s *sim) interfere() {
	if s.plan.RollbackOf == "" && s.places[0].unit.Role != "" && s.chance(0.01) {
		p := s.places[s.rng.IntN(len(s.places))]
		w := lifecycle.Weight(100)
		if s.divided {
			w = lifecycle.Weight(s.rng.IntN(101))
		}
		if !p.gone && w != p.weight {
			s.others(p, w)
			s.verbose("somebody gives %s %d %%", p.unit.ID, w)
		}
	}
}

// sicken makes originals unfit for traffic before a rollback.
func (s *sim) sicken() {
	for _, p := range s.places {
		p.sick = p.unit.Role == lifecycle.OriginalRole && s.chance(0.1)
	}
}

// waits is what a driver and the engine do about a step of traffic that finds the world
// other than expected: nothing, until it is put right or somebody has decided.
func (s *sim) waits(step lifecycle.Step) *lifecycle.Failure {
	p := s.index[step.Unit]
	if step.Event == lifecycle.Retire && p.weight > 0 && p.foreign {
		return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "it has traffic"}
	}
	if step.Event != lifecycle.AllowTraffic && step.Event != lifecycle.BlockTraffic || p.unit.Role == "" {
		return nil
	}
	if s.plan.RollbackOf != "" {
		if !p.sick || step.Event == lifecycle.BlockTraffic {
			return nil
		}
		return s.hold(step, lifecycle.TrafficUnhealthy, func() { p.sick = false })
	}
	expect, ok := s.expects[step.Key()].weight()
	switch {
	case !ok || p.weight == expect || p.weight == step.Weight:
		return nil
	case !p.foreign:
		s.violated(3, "%s: by the records %s has %d %%, and it has %d %%", step, p.unit.ID, expect, p.weight)
	case s.st.Continued(step.Unit):
		if !s.released[step.Key()] {
			s.violated(11, "%s overwrites %d %% and nobody has said so", step, p.weight)
		}
		return nil
	}
	return s.hold(step, lifecycle.ExternalChange, func() { s.others(p, expect) })
}

// hold lets time pass, and then it is put right, or somebody says Continue or Stop.
func (s *sim) hold(step lifecycle.Step, code lifecycle.Code, right func()) *lifecycle.Failure {
	s.now = s.now.Add(30 * time.Second)
	failed := &lifecycle.Failure{Code: code, Message: "test"}
	switch dice := s.rng.Float64(); {
	case s.st.Stop() != nil:
		return failed
	case code == lifecycle.TrafficUnhealthy && s.st.Continued(step.Unit):
		return failed
	case dice < 0.3:
		right()
	case dice < 0.5 && !s.released[step.Key()]:
		s.released[step.Key()] = true
		s.write(lifecycle.Record{Kind: lifecycle.Released, Step: step})
	case dice < 0.6:
		s.write(lifecycle.Record{Kind: lifecycle.Stopped, Data: json.RawMessage(`{"reason":"test"}`)})
	}
	return waiting
}

// provision makes what is missing, and sometimes not all.
func (s *sim) provision(step lifecycle.Step) *lifecycle.Failure {
	n := s.plan.Provision
	fails := s.chance(0.1)
	if fails {
		n = s.rng.IntN(n)
	}
	for i := len(s.made); i < n; i++ {
		p := &place{unit: lifecycle.Unit{ID: fmt.Sprintf("new%d", i), Role: lifecycle.ReplacementRole}, stage: -1}
		s.places, s.index[p.unit.ID], s.made = append(s.places, p), p, append(s.made, p)
	}
	if len(s.made) > s.plan.Provision {
		s.violated(13, "%s made %d hosts, not %d", step, len(s.made), s.plan.Provision)
	}
	if fails {
		return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "test"}
	}
	return nil
}

func (s *sim) batch() json.RawMessage {
	units := make([]lifecycle.Unit, len(s.made))
	for i, p := range s.made {
		units[i] = p.unit
	}
	data, _ := json.Marshal(units) // plain data always marshals
	return data
}

// checkRetired: invariant 14. A host that the deployment has not made is retired only
// as an original that is replaced.
func (s *sim) checkRetired(p *place, step lifecycle.Step) {
	switch {
	case s.plan.Divided || slices.Contains(s.made, p):
	case p.unit.Role == lifecycle.ReplacementRole || s.plan.RollbackOf != "":
		s.violated(14, "%s, which was not made for the deployment", step)
	}
}

// checkBlocked: a rollback takes traffic from the replacements only when every original
// has back what it had.
func (s *sim) checkBlocked(p *place) {
	if s.plan.RollbackOf == "" || p.unit.Role != lifecycle.ReplacementRole {
		return
	}
	for _, o := range s.places {
		if o.unit.Role == lifecycle.OriginalRole && o.weight == 0 && s.plan.Before.recorded(o.unit.ID, 0) > 0 {
			s.violated(7, "%s lost its traffic before %s had it back", p.unit.ID, o.unit.ID)
		}
	}
}

// checkBack: H5, invariant 14. A rollback that succeeded has given the originals what
// they had, and has left nothing that was made.
func (s *sim) checkBack(before *Snapshot, in Input, end *End) {
	if end.Verdict != DeploymentSucceeded {
		return
	}
	for _, p := range s.places {
		if p.unit.Role != lifecycle.OriginalRole || before == nil || p.gone {
			continue
		}
		if had := before.Weights[p.unit.ID]; p.weight != had && had > 0 && !p.foreign {
			s.violated(3, "after the rollback %s has %d %%, it had %d %%", p.unit.ID, p.weight, had)
		}
	}
	s.checkGone(in.Provisioned)
}

// checkGone: nothing of what was made is left, unless it could not be removed.
func (s *sim) checkGone(made []string) {
	for _, id := range made {
		asked := slices.ContainsFunc(s.records, func(r lifecycle.Record) bool {
			return r.Kind == lifecycle.Ended && r.Step.Unit == id && r.Step.Event == lifecycle.Retire
		})
		if !s.index[id].gone && !asked && s.status(id) != Failed {
			s.violated(14, "%s was made for the deployment and nobody retired it", id)
		}
	}
}

// checkUnmade: G26. Where replacements could not be made, no original was touched, and
// what was made is gone.
func (s *sim) checkUnmade() {
	if !s.st.CleansUp() || s.st.Stop() != nil {
		return
	}
	var made []string
	for _, p := range s.made {
		made = append(made, p.unit.ID)
	}
	s.checkGone(made)
	for id := range s.touched {
		if s.index[id].unit.Role == lifecycle.OriginalRole {
			s.violated(7, "%s was touched, and there is nothing to replace it", id)
		}
	}
}

func (s *sim) status(id string) Status {
	for _, u := range s.st.Units() {
		if u.ID == id {
			return u.Status
		}
	}
	return ""
}
