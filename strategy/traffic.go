package strategy

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// known is a weight that may be unknown, in a byte: the weight and one.
type known int8

func (k known) weight() (lifecycle.Weight, bool) { return lifecycle.Weight(k - 1), k > 0 }

func weighs(w lifecycle.Weight) known { return known(w + 1) }

// begins is the traffic that a unit has when the deployment begins.
func (p *Plan) begins(unit string) known {
	if p.RollbackOf != "" {
		if w, ok := p.Weights[unit]; ok {
			return weighs(w)
		}
		return 0
	}
	if w := p.Before.weights(); len(w) > 0 {
		return weighs(w[unit])
	}
	return 0
}

// shift takes in that a step of traffic has ended. One that failed leaves behind
// nobody knows what.
func (s *State) shift(u *unit, step lifecycle.Step, failed bool) {
	var now known
	switch {
	case step.Event != lifecycle.AllowTraffic && step.Event != lifecycle.BlockTraffic:
		return
	case failed:
	case step.Event == lifecycle.AllowTraffic && step.Weight == 0: // a host either serves or it does not
		now = weighs(100)
	default:
		now = weighs(step.Weight)
	}
	u.traffic = now
	if s.plan.Divided {
		s.divide(u, now)
	}
}

// divide gives the other side what this one does not have. There are two or three units.
func (s *State) divide(u *unit, now known) {
	for i := range s.units {
		if o := &s.units[i]; o.Role != u.Role {
			o.traffic = 0
			if w, ok := now.weight(); ok && (w == 100 || s.plan.RollbackOf == "") { // else it goes to whoever had it
				o.traffic = weighs(100 - w)
			}
		}
	}
}

// Weight is the traffic that a unit has by the records: what the snapshot shows, or
// what the last step gave it. It is unknown after a step that failed.
func (s *State) Weight(unit string) (w lifecycle.Weight, known bool) {
	i, ok := s.index[unit]
	if !ok {
		return 0, false
	}
	return s.units[i].traffic.weight()
}

// Weights is Weight of all units that it is known of.
func (s *State) Weights() map[string]lifecycle.Weight {
	all := map[string]lifecycle.Weight{}
	for i := range s.units {
		if w, ok := s.units[i].traffic.weight(); ok {
			all[s.units[i].ID] = w
		}
	}
	return all
}

// Continued reports whether somebody has said Continue about the step that the unit is
// doing: it waits no longer for the world outside.
func (s *State) Continued(unit string) bool { return s.continued[unit] }

// applyContinued takes in that somebody said Continue about a step that waits.
func (s *State) applyContinued(step lifecycle.Step) error {
	_, u, err := s.at(step, -1)
	if err != nil {
		return err
	}
	if !u.running {
		return fmt.Errorf("the step was not started")
	}
	if s.continued == nil {
		s.continued = map[string]bool{}
	}
	s.continued[step.Unit] = true
	return nil
}
