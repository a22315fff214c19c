package strategy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// mutants are planted bugs: deciders that are wrong in one place, each modelled on
// a way in which deployers have failed. The simulation must find every one.
var mutants = map[string]decider{
	"starts one unit more than there is room for": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if s.open && s.stop == nil && len(d.Start) > 0 && d.End == nil {
			d.Start = append(d.Start, s.another(d.Start)...)
		}
		return d
	},
	"counts units in progress as healthy": func(s *State, now time.Time) Decision {
		return withCounts(s, now, func(c *Counts) { c.Healthy += c.InProgress; c.StageHealthy += c.InProgress; c.InProgress = 0 })
	},
	"takes failed units for healthy": func(s *State, now time.Time) Decision {
		return withCounts(s, now, func(c *Counts) {
			c.Healthy += c.Failed
			c.StageHealthy += c.StageFailed
			c.Failed, c.StageFailed = 0, 0
		})
	},
	"forgets the minimum": func(s *State, now time.Time) Decision {
		return withPace(s, now, func(p *Pace) { p.MinHealthy = 0; p.Limit = 100 })
	},
	"rounds the minimum down": func(s *State, now time.Time) Decision {
		return withPace(s, now, func(p *Pace) { p.MinHealthy = max(0, p.MinHealthy-1); p.Limit++ })
	},
	"forgets the minimum of the zone": func(s *State, now time.Time) Decision {
		return withPace(s, now, func(p *Pace) { p.StageMin = 0; p.Limit = 100 })
	},
	"does not need all of a stage that needs all": func(s *State, now time.Time) Decision {
		return withPace(s, now, func(p *Pace) { p.All = false })
	},
	"succeeds although nothing did": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if d.End != nil && d.End.Verdict == DeploymentFailed {
			d.End = &End{Verdict: DeploymentSucceeded}
		}
		return d
	},
	"says failed without a reason": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if d.End != nil {
			d.End.Failure = nil
		}
		return d
	},
	"ends while steps run": func(s *State, now time.Time) Decision {
		if d := Next(s, now); s.running == 0 || s.counts.Failed == 0 {
			return d
		}
		return Decision{End: &End{Verdict: DeploymentFailed, Failure: &lifecycle.Failure{Code: lifecycle.HealthConstraints}}}
	},
	"leaves a hold at once": func(s *State, now time.Time) Decision {
		return Next(s, now.Add(1000*time.Hour))
	},
	"forgets holds": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		for i := range d.Note {
			if d.Note[i].Kind == lifecycle.Held {
				d.Note[i].Kind = lifecycle.Released
			}
		}
		return d
	},
	"waits for what never comes": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		d.Wake = time.Time{}
		return d
	},
	"skips an event": func(s *State, now time.Time) Decision {
		return withSteps(s, now, func(step *lifecycle.Step) {
			if step.Event == lifecycle.AfterInstall {
				step.Event = lifecycle.ApplicationStart
			}
		})
	},
	"shifts by one weight only": func(s *State, now time.Time) Decision {
		return withSteps(s, now, func(step *lifecycle.Step) {
			if step.Weight > 10 {
				step.Weight = 10
			}
		})
	},
	"retires originals too early": func(s *State, now time.Time) Decision {
		return withSteps(s, now, func(step *lifecycle.Step) {
			if step.Event == lifecycle.BeforeBlockTraffic {
				step.Event = lifecycle.Retire
			}
		})
	},
	"stops in the middle and says nothing": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if s.stop != nil {
			d.Note = nil
			if s.running == 0 {
				d.End = &End{Verdict: DeploymentStopped, Failure: &lifecycle.Failure{Code: lifecycle.ManualStop}}
			}
		}
		return d
	},
	"does not stop": func(s *State, now time.Time) Decision {
		stop := s.stop
		s.stop = nil
		d := Next(s, now)
		s.stop = stop
		if stop != nil && d.End == nil && len(d.Start) == 0 && s.running == 0 {
			d = Decision{}
		}
		return d
	},
	"abandons units when one fails": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if s.counts.StageFailed > 0 && s.stop == nil {
			d.Start = nil
		}
		return d
	},
	"starts a finished unit again": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		for i := range s.units {
			if u := s.units[i]; s.open && u.Status == Succeeded && len(d.Start) > 0 {
				m := s.plan.Stages[s.stage].Moves[0]
				d.Start = append(d.Start, lifecycle.Step{Deployment: s.plan.Deployment, Stage: s.stage, Unit: u.ID, Event: m.Event, Weight: m.Weight})
				break
			}
		}
		return d
	},
	"does the next thing to a unit before the last one has ended": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		for _, step := range s.Running() {
			moves := s.plan.Stages[step.Stage].Moves
			if i := slices.IndexFunc(moves, func(m Move) bool { return m.Event == step.Event }); s.open && step.Unit != "" && i >= 0 && i+1 < len(moves) {
				step.Event, step.Weight = moves[i+1].Event, moves[i+1].Weight
				d.Start = append(d.Start, step)
				break
			}
		}
		return d
	},
	"never begins": func(*State, time.Time) Decision { return Decision{} },
	"answers by chance": func(s *State, now time.Time) Decision {
		d := Next(s, now)
		if time.Now().UnixNano()%7 == 0 {
			slices.Reverse(d.Start)
			d.Start = d.Start[:len(d.Start)/2]
		}
		return d
	},
}

// mutants that concern what others do and what the target makes.
func init() {
	for name, m := range map[string]decider{
		"does not wait for its replacements": func(s *State, now time.Time) Decision {
			if o := s.once[lifecycle.Provision]; o.running {
				return Decision{Note: []lifecycle.Record{{Kind: lifecycle.StageOpen, Step: s.here()}}}
			}
			return Next(s, now)
		},
		"makes its replacements twice": func(s *State, now time.Time) Decision {
			d := Next(s, now)
			if o, known := s.once[lifecycle.Provision]; known && !o.running && s.stage == 1 && !s.open {
				d = Decision{Start: []lifecycle.Step{{Deployment: s.plan.Deployment, Event: lifecycle.Provision}}}
			}
			return d
		},
		"goes on although its replacements could not be made": func(s *State, now time.Time) Decision {
			d := Next(s, now)
			if s.CleansUp() && d.End != nil {
				d.End = &End{Verdict: DeploymentSucceeded}
			}
			return d
		},
		"leaves what it could not make all of": func(s *State, now time.Time) Decision {
			if d := s.end(); s.CleansUp() {
				return d
			}
			return Next(s, now)
		},
		"believes that traffic is where it was": func(s *State, now time.Time) Decision {
			for i := range s.units {
				s.units[i].traffic = s.plan.begins(s.units[i].ID)
			}
			return Next(s, now)
		},
		"says continue to itself": func(s *State, now time.Time) Decision {
			s.continued = map[string]bool{}
			for i := range s.units {
				s.continued[s.units[i].ID] = true
			}
			return Next(s, now)
		},
	} {
		mutants[name] = m
	}
}

// planners are planted bugs in plans.
var planners = map[string]planner{
	"begins whoever has the traffic": func(st Strategy, in Input) (Plan, error) {
		in.AnyTraffic = true
		return st.Plan(in)
	},
	"gives the original all, whatever it had": func(st Strategy, in Input) (Plan, error) {
		before := in.Before
		if in.RollbackOf != "" {
			in.Before = nil
		}
		p, err := st.Plan(in)
		p.Before = before
		return p, err
	},
	"takes traffic from the replacements first": onTheWayBack(func(p *Plan) { slices.Reverse(p.Stages) }),
	"goes back to nothing": onTheWayBack(func(p *Plan) {
		p.Stages = slices.DeleteFunc(p.Stages, func(s Stage) bool { return s.Role == lifecycle.OriginalRole })
	}),
	"retires before traffic is back": onTheWayBack(func(p *Plan) {
		if last := len(p.Stages) - 1; p.Stages[last].Moves[0].Event == lifecycle.Retire {
			p.Stages = append([]Stage{p.Stages[last]}, p.Stages[:last]...)
		}
	}),
	"leaves what was made for it": onTheWayBack(func(p *Plan) {
		p.Stages = slices.DeleteFunc(p.Stages, func(s Stage) bool { return s.Name == "replacements: retire" })
	}),
	"retires what was not made for it": onTheWayBack(func(p *Plan) {
		if green := reachable(p.Units, lifecycle.ReplacementRole); len(green) > 0 && !p.Divided {
			p.Stages = append(p.Stages, retire(green))
		}
	}),
}

// flawed are planted bugs in what controllers stand on, and the invariant that each breaks.
var flawed = map[string]struct {
	flaws
	breaks int
}{
	"the journal takes a stale number":                  {flaws{anyNumber: true}, 15},
	"the journal takes a record of a former owner":      {flaws{anyOwner: true}, 11},
	"the journal begins a deployment twice":             {flaws{anyID: true}, 17},
	"the journal reads half a record as a whole":        {flaws{readsHalf: true}, 15},
	"the journal drops a record before a torn tail":     {flaws{dropsMore: true}, 15},
	"the journal gives the group to two":                {flaws{sharesGroup: true}, 10},
	"a former owner starts steps before it has written": {flaws{startsFirst: true}, 18},
	"units forget what they have answered":              {flaws{forgets: true}, 13},
}

func onTheWayBack(change func(*Plan)) planner {
	return func(st Strategy, in Input) (Plan, error) {
		p, err := st.Plan(in)
		if err == nil && in.RollbackOf != "" && len(p.Stages) > 0 && p.Stages[0].Role != "" {
			change(&p)
		}
		return p, err
	}
}

// another finds a pending unit that is not being started.
func (s *State) another(starting []lifecycle.Step) []lifecycle.Step {
	for n := s.next; n < len(s.plan.Stages[s.stage].Units); n++ {
		i := s.index[s.plan.Stages[s.stage].Units[n]]
		step := s.step(i)
		if s.units[i].Status == Pending && !slices.Contains(starting, step) {
			return []lifecycle.Step{step}
		}
	}
	return nil
}

func withCounts(s *State, now time.Time, change func(*Counts)) Decision {
	c := s.counts
	change(&s.counts)
	defer func() { s.counts = c }()
	return Next(s, now)
}

func withPace(s *State, now time.Time, change func(*Pace)) Decision {
	if s.stage >= len(s.plan.Stages) {
		return Next(s, now)
	}
	p := s.plan.Stages[s.stage].Pace
	change(&s.plan.Stages[s.stage].Pace)
	defer func() { s.plan.Stages[s.stage].Pace = p }()
	return Next(s, now)
}

func withSteps(s *State, now time.Time, change func(*lifecycle.Step)) Decision {
	d := Next(s, now)
	for i := range d.Start {
		change(&d.Start[i])
	}
	return d
}

// Every planted bug is found: by an invariant, by a state that refuses the record,
// or, for one, by a trace that is not the same twice.
func TestSimulationFindsPlantedBugs(t *testing.T) {
	require.GreaterOrEqual(t, len(mutants)+len(planners), 30)
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			find(t, name == "answers by chance", func(seed uint64) *sim { return newSim(seed, mutant) })
		})
	}
	for name, mutant := range planners {
		t.Run(name, func(t *testing.T) {
			find(t, false, func(seed uint64) *sim {
				s := newSim(seed, Next)
				s.planner = mutant
				return s
			})
		})
	}
	for name, f := range flawed {
		t.Run(name, func(t *testing.T) {
			v := find(t, false, func(seed uint64) *sim {
				s := newSim(seed, Next)
				s.ledger.flaws = f.flaws
				return s
			})
			require.Contains(t, v, fmt.Sprintf("invariant %d:", f.breaks))
		})
	}
}

// find returns the invariant that the first seeds find to be violated.
func find(t *testing.T, random bool, world func(seed uint64) *sim) string {
	last := uint64(20_000)
	if testing.Short() {
		last = 200
	}
	for seed := uint64(1); seed <= last; seed++ {
		s := world(seed)
		if v := try(s); v != "" {
			t.Logf("found by seed %d: %s", seed, v)
			return v
		}
		if random {
			again := world(seed)
			if v := try(again); v != "" || s.trace != again.trace {
				return v
			}
		}
	}
	if testing.Short() {
		t.Skipf("SKIPPED in short mode: what %d seeds do not find", last)
	}
	t.Fatalf("%d seeds did not find it", last)
	return ""
}
