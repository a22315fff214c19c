package strategy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Snapshot is how the target was found before a deployment touched it: what
// package target calls a Snapshot, as the plan records it.
type Snapshot struct {
	// Weights is the traffic of each unit; those left out have none. Empty: unknown.
	Weights map[string]lifecycle.Weight `json:"weights,omitempty"`
	// Data is what the target needs to put things back, in a form of its own. Empty:
	// nothing.
	Data json.RawMessage `json:"data,omitempty"`
}

// weights is what a snapshot says about traffic, also if there is none.
func (s *Snapshot) weights() map[string]lifecycle.Weight {
	if s == nil {
		return nil
	}
	return s.Weights
}

// recorded is the traffic that a unit had before the deployment, or what is taken for
// it where nobody has looked.
func (s *Snapshot) recorded(unit string, otherwise lifecycle.Weight) lifecycle.Weight {
	if len(s.weights()) == 0 {
		return otherwise
	}
	return s.Weights[unit]
}

// ready refuses to begin where traffic is not where a forward deployment takes it
// from: it would leave it in a mix that nobody asked for, and could not go back to
// anything good. Each of the originals of ECS and Lambda has all of the traffic; of
// hosts one in traffic is enough.
func (in Input) ready(whole bool) error {
	w := in.Before.weights()
	if len(w) == 0 || in.RollbackOf != "" || in.AnyTraffic {
		return nil
	}
	var served bool
	for _, u := range in.Units {
		switch has := w[u.ID]; {
		case u.Role == lifecycle.ReplacementRole && has > 0:
			return refuse(lifecycle.StrategyInvalid, "%s is to replace what serves, and has %d %% of the traffic already (found: %s): %s", u.ID, has, in.traffic(), remedy)
		case u.Role == lifecycle.OriginalRole && whole && has != 100:
			return refuse(lifecycle.StrategyInvalid, "the original %s has %d %% of the traffic, not all of it (found: %s): %s", u.ID, has, in.traffic(), remedy)
		case u.Role == lifecycle.OriginalRole:
			served = served || has > 0
		}
	}
	if !served {
		return refuse(lifecycle.StrategyInvalid, "none of the originals has traffic (found: %s): %s", in.traffic(), remedy)
	}
	return nil
}

const remedy = "an earlier deployment ended in the middle, or somebody changed it; give the traffic to the original, or set OnForeignChange to overwrite"

// traffic says who has traffic, in short.
func (in Input) traffic() string {
	return shares(in.Units, in.Before.weights())
}

// shares lists the units that have traffic, but no more than people read.
func shares(units []lifecycle.Unit, w map[string]lifecycle.Weight) string {
	const most = 8
	var out []string
	for _, u := range units {
		if w[u.ID] > 0 {
			out = append(out, fmt.Sprintf("%s %d %%", printable(u.ID), w[u.ID]))
		}
	}
	for _, id := range others(units, w) {
		out = append(out, fmt.Sprintf("%s %d %%, which is not of this deployment", printable(id), w[id]))
	}
	switch n := len(out); {
	case n == 0:
		return "nobody has any"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(out[:most], ", "), n-most)
	default:
		return strings.Join(out, ", ")
	}
}

// others lists what has traffic and is no unit of the deployment.
func others(units []lifecycle.Unit, w map[string]lifecycle.Weight) []string {
	listed := make(map[string]bool, len(units))
	for _, u := range units {
		listed[u.ID] = true
	}
	var ids []string
	for id, has := range w {
		if has > 0 && !listed[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
