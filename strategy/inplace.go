package strategy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// InPlace updates hosts where they are, unhealthy ones first, and keeps a minimum
// of them healthy.
type InPlace struct {
	Name    string // shown in the plan; empty: said by Minimum
	Minimum Minimum
	// Zonal does one zone after the other. Nil: zones play no part. The rollback
	// of a zonal deployment is not zonal, as in CodeDeploy.
	Zonal *Zonal
	// Waves names units that go together, wave after wave, in place of CodeDeploy's
	// order. Units that no wave names go last. Not together with Zonal.
	Waves [][]string
	// WaveHold is the wait between two waves. Zero: none.
	WaveHold Wait
	// All needs every host to succeed, the last one too; the first failure ends it.
	// A rollback brings back as many as it can. Zero: CodeDeploy's rule, by which the
	// minimum is enough.
	All bool
}

// Zonal is CodeDeploy's zonal configuration.
type Zonal struct {
	Minimum      Minimum       // per zone (minimumHealthyHostsPerZone); zero: none
	Monitor      time.Duration // wait after every zone but the last; zero: none
	FirstMonitor time.Duration // wait after the first zone; zero: Monitor
	Order        []string      // of zones; those not named follow in the order in which they are found
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
func Percent(percent int) InPlace { return InPlace{Minimum: Minimum{Percent: percent}} }

// Count keeps at least n hosts healthy.
func Count(n int) InPlace { return InPlace{Minimum: Minimum{Count: n}} }

// Plan makes a plan of one stage, or one per zone or wave.
func (s InPlace) Plan(in Input) (Plan, error) {
	pace, rule, err := s.Minimum.Pace(len(in.Units))
	if err != nil {
		return Plan{}, err
	}
	if s.Zonal != nil && len(s.Waves) > 0 {
		return Plan{}, refuse(lifecycle.StrategyInvalid, "a deployment goes by zones or by waves, not both: drop Zonal or Waves")
	}
	p := in.plan(cmp.Or(s.Name, s.Minimum.String()))
	walk, why := lifecycle.InPlace, Rule{"no load balancer: no traffic events", "CodeDeploy: lifecycle event availability"}
	if in.Balanced {
		walk, why = lifecycle.InPlaceBalanced, Rule{"behind a load balancer: traffic is blocked first and allowed last", why.Source}
	}
	pace.All = s.All && in.RollbackOf == ""
	if pace.All {
		rule.Text += ", and all must succeed"
	}
	p.Rules = []Rule{rule, why, {"order: unhealthy units, then unknown, old and current revision", "CodeDeploy: instance health"}}
	fleet := Stage{Name: "fleet", Walk: walk, Units: p.order(in), Moves: moves(walk.Events()...), Pace: pace}
	switch {
	case len(fleet.Units) == 0:
		return Plan{}, refuse(lifecycle.NoUnits, "there is nothing to deploy to: %s", nobody(in))
	case in.RollbackOf != "":
		p.Rules = append(p.Rules, Rule{fmt.Sprintf("only the %d units that %s touched", len(in.Touched), in.RollbackOf), "cutover: a rollback leaves the rest alone"})
		p.Stages = []Stage{fleet}
	case s.Zonal != nil:
		err = s.zones(&p, fleet)
	case len(s.Waves) > 0:
		err = s.waves(&p, fleet)
	default:
		p.Stages = []Stage{fleet}
	}
	if err != nil {
		return Plan{}, err
	}
	return in.done(p)
}

// zones splits the fleet into a stage per zone. A zone's batch is the smaller of
// what the fleet and what the zone can spare.
func (s InPlace) zones(p *Plan, fleet Stage) error {
	if err := s.Zonal.Minimum.valid(); err != nil {
		return err
	}
	for i, zone := range s.Zonal.Order {
		if slices.Contains(s.Zonal.Order[:i], zone) {
			return refuse(lifecycle.StrategyInvalid, "the order of zones names %q twice: each zone goes once", zone)
		}
	}
	size, of := map[string]int{}, make(map[string]string, len(p.Units))
	order := slices.Clone(s.Zonal.Order)
	for _, u := range p.Units {
		size[u.Zone]++
		of[u.ID] = u.Zone
		if !slices.Contains(order, u.Zone) {
			order = append(order, u.Zone)
		}
	}
	for _, zone := range order {
		units := slices.DeleteFunc(slices.Clone(fleet.Units), func(id string) bool { return of[id] != zone })
		if len(units) == 0 {
			continue
		}
		least := s.Zonal.Minimum.Least(size[zone])
		if least >= size[zone] {
			return refuse(lifecycle.HealthConstraintsInvalid, "zone %q: %s, so none may be taken out of service; lower the minimum per zone",
				zone, s.Zonal.Minimum.rule(size[zone], least).Text)
		}
		stage := fleet
		stage.Name, stage.Zone, stage.Units, stage.Pace.StageMin = zoneName(zone), zone, units, least
		stage.Pace.Limit = min(fleet.Pace.Limit, size[zone]-least)
		stage.Hold = Wait{For: s.Zonal.Monitor}.hold("monitor")
		if len(p.Stages) == 0 && s.Zonal.FirstMonitor != 0 {
			stage.Hold = Wait{For: s.Zonal.FirstMonitor}.hold("monitor")
		}
		p.Rules = append(p.Rules, Rule{fmt.Sprintf("%s: up to min(%d, %d-%d) = %d of %d at once",
			stage.Name, fleet.Pace.Limit, size[zone], least, stage.Pace.Limit, size[zone]), "CodeDeploy: zonal configuration"})
		p.Stages = append(p.Stages, stage)
	}
	p.Stages[len(p.Stages)-1].Hold = Hold{} // nothing comes after it
	return nil
}

// zoneName is what a zone's stage is called.
func zoneName(zone string) string {
	if zone == "" {
		return "units without a zone"
	}
	return "zone " + zone
}

// waves splits the fleet into the stages that the user named.
func (s InPlace) waves(p *Plan, fleet Stage) error {
	left := map[string]bool{}
	for _, id := range fleet.Units {
		left[id] = true
	}
	known, named := make(map[string]bool, len(p.Units)), map[string]bool{}
	for _, u := range p.Units {
		known[u.ID] = true
	}
	add := func(name string, units []string) {
		if len(units) > 0 {
			stage := fleet
			stage.Name, stage.Units, stage.Hold = name, units, s.WaveHold.hold("wave")
			p.Stages = append(p.Stages, stage)
		}
	}
	for i, wave := range s.Waves {
		var units []string
		for _, id := range wave {
			if !known[id] {
				return refuse(lifecycle.StrategyInvalid, "wave %d names unit %q, which the target does not have", i+1, id)
			}
			if named[id] {
				return refuse(lifecycle.StrategyInvalid, "wave %d names unit %q again: a unit goes in one wave", i+1, id)
			}
			named[id] = true
			if left[id] {
				units = append(units, id)
				delete(left, id)
			}
		}
		add(fmt.Sprintf("wave %d", i+1), units)
	}
	add("the rest", slices.DeleteFunc(slices.Clone(fleet.Units), func(id string) bool { return !left[id] }))
	p.Stages[len(p.Stages)-1].Hold = Hold{}
	p.Rules = append(p.Rules, Rule{fmt.Sprintf("%d waves in the order given", len(p.Stages)), "cutover: InPlace.Waves"})
	return nil
}

// nobody says why a stage would have no units.
func nobody(in Input) string {
	switch {
	case in.Touched != nil && len(in.Touched) == 0 && in.RollbackOf == "":
		return "every unit has the revision already and is healthy"
	case in.Touched != nil && len(in.Touched) == 0:
		return "no unit was touched"
	default:
		n, u := len(in.Units), in.Units[0]
		if in.Touched != nil {
			n, u = len(in.Touched), lifecycle.Unit{ID: in.Touched[0], Lost: "the target does not list it"}
		}
		if i := slices.IndexFunc(in.Units, func(one lifecycle.Unit) bool { return one.ID == u.ID }); i >= 0 {
			u = in.Units[i]
		}
		return fmt.Sprintf("none of the %d unit(s) to deploy to can be reached (%s: %s)", n, u.ID, u.Lost)
	}
}

// order sorts the units that a stage starts: unhealthy, unknown, old, current.
// Units that cannot be reached are left out, and those that a rollback leaves
// alone.
func (p Plan) order(in Input) []string {
	rank := func(u *lifecycle.Unit) int {
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
	touched := make(map[string]bool, len(in.Touched))
	for _, id := range in.Touched {
		touched[id] = true
	}
	ids := make([]string, 0, len(p.Units))
	for next := range 4 {
		for i := range p.Units {
			u := &p.Units[i]
			if u.Lost == "" && rank(u) == next && (in.Touched == nil || touched[u.ID]) {
				ids = append(ids, u.ID)
			}
		}
	}
	return ids
}
