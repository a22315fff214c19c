package strategy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Shift is how traffic moves from the original to the replacement
// (trafficRoutingConfig). The zero Shift moves all of it at once.
type Shift struct {
	Percent int           // of traffic: the first part of a canary, each part of a linear shift; 1 to 99
	Every   time.Duration // between two parts; more than 0
	Linear  bool          // part after part; else the first part and then the rest
}

// Canary moves percent of the traffic, and after the wait the rest.
func Canary(percent int, wait time.Duration) Shift { return Shift{Percent: percent, Every: wait} }

// Linear moves percent of the traffic, and the same again after every wait.
func Linear(percent int, wait time.Duration) Shift {
	return Shift{Percent: percent, Every: wait, Linear: true}
}

// maxShift is how long CodeDeploy lets a shift take from its first part to its last.
const maxShift = 2880 * time.Minute

// Weights lists the weights that the replacement has one after the other. They
// rise, and end at exactly 100.
func (s Shift) Weights() []lifecycle.Weight {
	switch {
	case s == Shift{}:
		return []lifecycle.Weight{100}
	case !s.Linear:
		return []lifecycle.Weight{lifecycle.Weight(s.Percent), 100}
	}
	var ws []lifecycle.Weight
	for w := s.Percent; w < 100; w += s.Percent {
		ws = append(ws, lifecycle.Weight(w))
	}
	return append(ws, 100)
}

func (s Shift) valid() error {
	switch {
	case s == Shift{}:
		return nil
	case s.Percent < 1 || s.Percent > 99:
		return refuse(lifecycle.StrategyInvalid, "%s shifts %d %% of the traffic at a time: want 1 to 99, so that it rises and ends at 100", s, s.Percent)
	case s.Every <= 0:
		return refuse(lifecycle.StrategyInvalid, "%s waits %s between two parts: want more than 0", s, s.Every)
	}
	if n := len(s.Weights()) - 1; s.Every > maxShift/time.Duration(n) {
		return refuse(lifecycle.StrategyInvalid, "%s takes %d waits of %s: want %s at the most from the first part to the last", s, n, s.Every, maxShift)
	}
	return nil
}

// String says the shift in short.
func (s Shift) String() string {
	switch {
	case s == Shift{}:
		return "all at once"
	case s.Linear:
		return fmt.Sprintf("linear:%d%%/%s", s.Percent, s.Every)
	default:
		return fmt.Sprintf("canary:%d%%/%s", s.Percent, s.Every)
	}
}

// stages makes a stage for every weight: the first also does the events before the
// shift, the last those after it.
func (s Shift) stages(first Stage, before, after lifecycle.Event) []Stage {
	var out []Stage
	weights := s.Weights()
	for i, w := range weights {
		stage := first
		stage.Name = fmt.Sprintf("replacement: %d %% of the traffic", w)
		stage.Moves = []Move{{Event: lifecycle.AllowTraffic, Weight: w}}
		if i == 0 {
			stage.Moves = append(moves(before), stage.Moves...)
		}
		if i == len(weights)-1 {
			stage.Moves = append(stage.Moves, moves(after)...)
		} else {
			stage.Hold = Wait{For: s.Every}.hold("shift")
		}
		out = append(out, stage)
	}
	return out
}

// ECS replaces the task set of an ECS service.
type ECS struct {
	Name  string // shown in the plan; empty: said by Shift
	Shift Shift
	Ready Wait // before production traffic moves; zero: none
	// Termination is the wait before the original task set is deleted; zero: none.
	Termination Wait
}

// Plan makes a plan for one original and one replacement.
func (s ECS) Plan(in Input) (Plan, error) {
	p, one, err := s.Shift.begin(in, cmp.Or(s.Name, "ECS, "+s.Shift.String()), lifecycle.ECSReplacement)
	if err != nil {
		return Plan{}, err
	}
	green, blue := in.role(lifecycle.ReplacementRole), in.role(lifecycle.OriginalRole)
	if in.RollbackOf != "" {
		return in.done(s.back(p, green))
	}
	install := one
	install.Name, install.Hold = "replacement: install", s.Ready.hold(ReadyWait)
	install.Moves = moves(lifecycle.BeforeInstall, lifecycle.Install, lifecycle.AfterInstall)
	if in.TestRoute {
		install.Moves = append(install.Moves, moves(lifecycle.AllowTestTraffic, lifecycle.AfterAllowTestTraffic)...)
	}
	p.Stages = append([]Stage{install}, s.Shift.stages(one, lifecycle.BeforeAllowTraffic, lifecycle.AfterAllowTraffic)...)
	p.Stages[len(p.Stages)-1].Hold = s.Termination.hold(TerminationWait)
	p.Stages = append(p.Stages, Stage{Name: "original: retire", Walk: lifecycle.Original, Role: lifecycle.OriginalRole,
		Units: blue, Moves: moves(lifecycle.Retire), Pace: Pace{Limit: 1, Cleanup: true}})
	return in.done(p)
}

// back returns the traffic and then deletes the replacement, unless that had traffic
// before the deployment began: then it was there before, and has it again.
func (s ECS) back(p Plan, green []string) Plan {
	p.Stages = []Stage{allTraffic(p)}
	if len(green) > 0 && p.Before.recorded(green[0], 0) == 0 {
		p.Stages = append(p.Stages, Stage{Name: "replacement: retire", Walk: lifecycle.RollbackReplacement, Role: lifecycle.ReplacementRole,
			Units: green, Moves: moves(lifecycle.Retire), Pace: Pace{Limit: 1, Cleanup: true}, Fresh: true})
	}
	return p
}

// allTraffic gives the original the traffic that it had, also where only the
// replacement was touched: that had a share of what is the original's. Where nobody
// has looked before, it had all.
func allTraffic(p Plan) Stage {
	s := Stage{Name: "original: all traffic", Walk: lifecycle.RollbackOriginal, Role: lifecycle.OriginalRole,
		Units: reachable(p.Units, lifecycle.OriginalRole), Pace: Pace{Limit: 1, All: true}, Fresh: true}
	had := p.Before.recorded(s.Units[0], 100)
	if had == 0 {
		had = 100 // it was to be replaced while nobody served: then all is better than none
	}
	if had < 100 {
		s.Name = fmt.Sprintf("original: %d %% of the traffic, as before", had)
	}
	s.Moves = []Move{{Event: lifecycle.AllowTraffic, Weight: had}}
	return s
}

// Lambda moves a Lambda alias from one version to another.
type Lambda struct {
	Name  string // shown in the plan; empty: said by Shift
	Shift Shift
}

// Plan makes a plan for one original and one replacement.
func (s Lambda) Plan(in Input) (Plan, error) {
	p, one, err := s.Shift.begin(in, cmp.Or(s.Name, "Lambda, "+s.Shift.String()), lifecycle.LambdaReplacement)
	if err != nil {
		return Plan{}, err
	}
	if in.RollbackOf != "" {
		p.Stages = []Stage{allTraffic(p)}
		return in.done(p)
	}
	p.Stages = s.Shift.stages(one, lifecycle.BeforeAllowTraffic, lifecycle.AfterAllowTraffic)
	return in.done(p)
}

// begin checks what ECS and Lambda have in common, and makes the pattern of a
// stage of the replacement.
func (s Shift) begin(in Input, name string, walk lifecycle.Walk) (Plan, Stage, error) {
	if err := s.valid(); err != nil {
		return Plan{}, Stage{}, err
	}
	count := map[lifecycle.Role]int{}
	var green []string
	for _, u := range in.Units {
		if u.Lost == "" {
			count[u.Role]++
		}
		if u.Role == lifecycle.ReplacementRole {
			green = append(green, u.ID)
		}
	}
	switch {
	case in.RollbackOf != "" && count[lifecycle.OriginalRole] == 1: // the replacement need not be there
	case in.RollbackOf != "":
		return Plan{}, Stage{}, refuse(lifecycle.NoPreviousRevision, "traffic goes back to one original, and %d can be reached; it stays where it is, deploy a good revision", count[lifecycle.OriginalRole])
	case count[lifecycle.OriginalRole] != 1 || count[lifecycle.ReplacementRole] != 1:
		return Plan{}, Stage{}, refuse(lifecycle.NoUnits, "traffic shifts from one original to one replacement; the target has %d and %d",
			count[lifecycle.OriginalRole], count[lifecycle.ReplacementRole])
	}
	if err := in.ready(true); err != nil {
		return Plan{}, Stage{}, err
	}
	p := in.plan(name)
	p.Divided = true
	p.Rules = []Rule{{s.rule(), "CodeDeploy: trafficRoutingConfig"}}
	return p, Stage{Walk: walk, Role: lifecycle.ReplacementRole, Units: green, Pace: Pace{Limit: 1, All: true}, Fresh: true}, nil
}

// rule is the shift in numbers.
func (s Shift) rule() string {
	parts := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Weights()), " ", ", "), "[]")
	if s.Every > 0 {
		return fmt.Sprintf("traffic to the replacement: %s %%, %s apart", parts, s.Every)
	}
	return fmt.Sprintf("traffic to the replacement: %s %%", parts)
}

func reachable(units []lifecycle.Unit, r lifecycle.Role) []string {
	var ids []string
	for _, u := range units {
		if u.Role == r && u.Lost == "" {
			ids = append(ids, u.ID)
		}
	}
	return ids
}
