package strategy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// BlueGreen is CodeDeploy's blue/green deployment to hosts: replacements are
// deployed to and tried, then traffic moves to them, then it leaves the originals.
// It needs a load balancer, and units of both roles. Where there are no replacements
// and the target is a pool, it makes them first: as many as there are originals that
// serve. A rollback retires those it made, after traffic is back.
type BlueGreen struct {
	Name    string // shown in the plan; empty: said by Minimum
	Minimum Minimum
	Ready   Wait // before traffic moves (deploymentReadyOption); zero: none
	// Termination is the wait before originals are retired
	// (terminationWaitTimeInMinutes); zero: none.
	Termination Wait
	KeepAlive   bool // originals are left running (action KEEP_ALIVE)
}

// Plan makes a plan of three stages, or four with Retire. Minimum counts the
// replacements; originals are deregistered all together, and each must succeed.
// Both are CodeDeploy's rules.
func (s BlueGreen) Plan(in Input) (Plan, error) {
	p := in.plan("blue/green, " + cmp.Or(s.Name, s.Minimum.String()))
	green, blue := in.role(lifecycle.ReplacementRole), in.role(lifecycle.OriginalRole)
	switch {
	case !in.Balanced:
		return Plan{}, refuse(lifecycle.StrategyInvalid, "a blue/green deployment moves traffic and needs a load balancer; the target has none")
	case in.RollbackOf != "":
		if gone := in.gone(lifecycle.OriginalRole); len(gone) > 0 {
			return Plan{}, refuse(lifecycle.NoPreviousRevision, "originals are gone (%s), so traffic cannot go back to them; it stays where it is, deploy a good revision", strings.Join(gone, ", "))
		}
		p.Stages = backByTraffic(green, in.served(blue))
		if made := in.made(); len(made) > 0 {
			p.Stages = append(p.Stages, retire(made))
		}
		p.Rules = []Rule{{"traffic returns to the originals before it leaves the replacements", "CodeDeploy: lifecycle event availability, rollback"}}
		return in.done(p)
	case len(blue) > 0 && len(green) == 0 && in.Pool:
		p.Provision = in.toMake(blue)
	case len(blue) == 0 || len(green) == 0:
		return Plan{}, refuse(lifecycle.NoUnits, "a blue/green deployment needs originals and replacements; %d and %d can be reached", len(blue), len(green))
	}
	if err := in.ready(false); err != nil {
		return Plan{}, err
	}
	pace, rule, err := s.Minimum.Pace(max(len(green), p.Provision))
	if err != nil {
		return Plan{}, err
	}
	events := lifecycle.Replacement.Events()
	install, allow := events[:len(events)-3], events[len(events)-3:]
	p.Stages = []Stage{
		{Name: "replacements: install", Walk: lifecycle.Replacement, Role: lifecycle.ReplacementRole, Units: green,
			Moves: moves(install...), Pace: pace, Fresh: true, Hold: s.Ready.hold(ReadyWait)},
		{Name: "replacements: allow traffic", Walk: lifecycle.Replacement, Role: lifecycle.ReplacementRole, Units: green,
			Moves: moves(allow...), Pace: pace, Fresh: true},
		{Name: "originals: block traffic", Walk: lifecycle.Original, Role: lifecycle.OriginalRole, Units: blue,
			Moves: moves(lifecycle.Original.Events()...), Pace: Pace{Limit: len(blue), All: true}, Hold: s.Termination.hold(TerminationWait)},
	}
	if !s.KeepAlive {
		p.Stages = append(p.Stages, Stage{Name: "originals: retire", Walk: lifecycle.Original, Role: lifecycle.OriginalRole,
			Units: blue, Moves: moves(lifecycle.Retire), Pace: Pace{Limit: len(blue), Cleanup: true}})
	}
	p.Rules = []Rule{rule,
		{"the minimum counts the replacements", "CodeDeploy: instance health"},
		{"originals are deregistered all together, and each must succeed", "CodeDeploy: deployment configurations"}}
	if s.KeepAlive {
		p.Rules = append(p.Rules, Rule{"originals are kept, out of traffic", "CodeDeploy: KEEP_ALIVE"})
	}
	if p.Provision > 0 {
		p.Rules = append(p.Rules, Rule{fmt.Sprintf("%d replacements are made first, as many as originals serve", p.Provision), "CodeDeploy: COPY_AUTO_SCALING_GROUP"})
	}
	return in.done(p)
}

// served leaves out what had no traffic before: a rollback gives it none.
func (in Input) served(units []string) []string {
	return slices.DeleteFunc(units, func(id string) bool { return in.Before.recorded(id, 100) == 0 })
}

// backByTraffic gives traffic back to the originals first, all of it, and takes it
// from the replacements only if that succeeded.
func backByTraffic(green, blue []string) []Stage {
	var stages []Stage
	for _, s := range []Stage{
		{Name: "originals: allow traffic", Walk: lifecycle.RollbackOriginal, Role: lifecycle.OriginalRole, Units: blue},
		{Name: "replacements: block traffic", Walk: lifecycle.RollbackReplacement, Role: lifecycle.ReplacementRole, Units: green},
	} {
		if len(s.Units) > 0 {
			s.Moves, s.Pace, s.Fresh = moves(s.Walk.Events()...), Pace{Limit: len(s.Units), All: true}, true
			stages = append(stages, s)
		}
	}
	return stages
}
