package strategy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Strategy makes plans. It is pure: same input, same plan.
type Strategy interface {
	// Plan refuses what cannot be carried out, with the arithmetic, before
	// anything is touched: a [*lifecycle.Error] with code NoUnits or
	// HealthConstraintsInvalid.
	Plan(in Input) (Plan, error)
}

// Input is what a plan is made from.
type Input struct {
	Deployment string
	Group      string
	Revision   revision.Revision
	LastGood   *revision.Revision // of the group; nil: none
	Units      []lifecycle.Unit   // the whole group, Healthy and Revision filled in
	Balanced   bool               // a load balancer sends the units their traffic

	// RollbackOf is the deployment to roll back; empty: go forward. Only units
	// named in Touched are deployed to then; nil: all.
	RollbackOf string
	Touched    []string
	Overrides  []string
}

// Minimum is CodeDeploy's rule of minimum healthy hosts.
type Minimum struct {
	Percent int // FLEET_PERCENT, 0 to 99
	Count   int // HOST_COUNT; used when Percent is 0
	single  bool
}

// InPlace updates hosts where they are, unhealthy ones first, and keeps a minimum
// of them healthy.
type InPlace struct {
	Name    string // shown in the plan; empty: said by Minimum
	Minimum Minimum
}

// AllAtOnce is CodeDeployDefault.AllAtOnce: no minimum; one success is enough.
func AllAtOnce() InPlace { return InPlace{Name: "CodeDeployDefault.AllAtOnce"} }

// HalfAtATime is CodeDeployDefault.HalfAtATime: half, rounded up, stays healthy.
func HalfAtATime() InPlace {
	return InPlace{Name: "CodeDeployDefault.HalfAtATime", Minimum: Minimum{Percent: 50}}
}

// OneAtATime is CodeDeployDefault.OneAtATime, CodeDeploy's default: one host after
// another; the first failure ends it, unless it is the last host's.
func OneAtATime() InPlace {
	return InPlace{Name: "CodeDeployDefault.OneAtATime", Minimum: Minimum{single: true}}
}

// Percent keeps at least percent of the hosts healthy, rounded up, 0 to 99.
func Percent(percent int) InPlace {
	return InPlace{Minimum: Minimum{Percent: percent}}
}

// Count keeps at least n hosts healthy.
func Count(n int) InPlace { return InPlace{Minimum: Minimum{Count: n}} }

// Pace turns the rule into numbers for a group of n units, once, at the start, as
// CodeDeploy does. A minimum that leaves no unit free is refused.
func (m Minimum) Pace(n int) (Pace, Rule, error) {
	switch {
	case n == 0:
		return Pace{}, Rule{}, refuse(lifecycle.NoUnits, "there is nothing to deploy to: the target has no units")
	case m.Percent < 0 || m.Percent > 99:
		return Pace{}, Rule{}, refuse(lifecycle.HealthConstraintsInvalid, "minimum healthy is %d %%: want 0 to 99", m.Percent)
	case m.Count < 0:
		return Pace{}, Rule{}, refuse(lifecycle.HealthConstraintsInvalid, "minimum healthy is %d hosts: want 0 or more", m.Count)
	case m.single:
		text := fmt.Sprintf("one at a time: %d of %d stay healthy", n-1, n)
		return Pace{MinHealthy: n - 1, Limit: 1, FailFirst: true}, Rule{text, "CodeDeploy: MOST_CONCURRENCY 1"}, nil
	}
	least, text, source := m.Count, fmt.Sprintf("at least %d of %d stay healthy", m.Count, n), "CodeDeploy: HOST_COUNT"
	if m.Percent > 0 {
		least = (n*m.Percent + 99) / 100
		text = fmt.Sprintf("%d %% of %d, rounded up: at least %d stay healthy", m.Percent, n, least)
		source = "CodeDeploy: FLEET_PERCENT"
	}
	if least >= n {
		return Pace{}, Rule{}, refuse(lifecycle.HealthConstraintsInvalid,
			"%s, so none of the %d may be taken out of service; lower the minimum, add hosts, or deploy one at a time", text, n)
	}
	return Pace{MinHealthy: least, Limit: n - least}, Rule{text + fmt.Sprintf(", up to %d at once", n-least), source}, nil
}

// String names the rule, as [Parse] reads it.
func (m Minimum) String() string {
	switch {
	case m.single:
		return "one"
	case m.Percent > 0:
		return fmt.Sprintf("%d%%", m.Percent)
	case m.Count > 0:
		return fmt.Sprintf("count:%d", m.Count)
	default:
		return "all"
	}
}

// Plan makes a plan of one stage.
func (s InPlace) Plan(in Input) (Plan, error) {
	pace, rule, err := s.Minimum.Pace(len(in.Units))
	if err != nil {
		return Plan{}, err
	}
	walk, why := lifecycle.InPlace, Rule{"no load balancer: no traffic events", "CodeDeploy: lifecycle event availability"}
	if in.Balanced {
		walk, why = lifecycle.InPlaceBalanced, Rule{"behind a load balancer: traffic is blocked first and allowed last", why.Source}
	}
	p := Plan{
		Deployment: in.Deployment, Group: in.Group, Revision: in.Revision, LastGood: in.LastGood,
		RollbackOf: in.RollbackOf, Strategy: s.name(), Units: in.Units, Overrides: in.Overrides,
		Rules: []Rule{rule, why,
			{"order: unhealthy units, then unknown, old and current revision", "CodeDeploy: instance health"}},
	}
	if in.RollbackOf != "" {
		p.Rules = append(p.Rules, Rule{fmt.Sprintf("only the %d units that %s touched", len(in.Touched), in.RollbackOf), "cutover: a rollback leaves the rest alone"})
	}
	p.Stages = []Stage{{Name: "fleet", Walk: walk, Units: p.order(in.Touched), Moves: moves(walk), Pace: pace}}
	if len(p.Stages[0].Units) == 0 {
		return Plan{}, refuse(lifecycle.NoUnits, "there is nothing to deploy to: %s", lostAll(in.Units))
	}
	return p, p.check()
}

func (s InPlace) name() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Minimum.String()
}

func lostAll(units []lifecycle.Unit) string {
	if len(units) > 0 && units[0].Lost != "" {
		return fmt.Sprintf("none of %d units can be reached (%s: %s)", len(units), units[0].ID, units[0].Lost)
	}
	return "no unit was touched"
}

// moves gives a walk's events the weights that hosts have: nothing after traffic
// is blocked, everything after it is allowed.
func moves(w lifecycle.Walk) []Move {
	var out []Move
	for _, e := range w.Events() {
		m := Move{Event: e}
		if e == lifecycle.AllowTraffic {
			m.Weight = 100
		}
		out = append(out, m)
	}
	return out
}

// order sorts the units that a stage starts: unhealthy, unknown, old, current.
// Units that cannot be reached are left out. Only those in touched count, if it
// is not nil.
func (p Plan) order(touched []string) []string {
	rank := func(u lifecycle.Unit) int {
		switch {
		case !u.Healthy:
			return 0
		case u.Revision == "":
			return 1
		case p.LastGood == nil || u.Revision != p.LastGood.Digest:
			return 2
		default:
			return 3
		}
	}
	units := slices.Clone(p.Units)
	slices.SortStableFunc(units, func(a, b lifecycle.Unit) int { return cmp.Compare(rank(a), rank(b)) })
	in := make(map[string]bool, len(touched))
	for _, id := range touched {
		in[id] = true
	}
	ids := make([]string, 0, len(units))
	for _, u := range units {
		if u.Lost == "" && (touched == nil || in[u.ID]) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}
