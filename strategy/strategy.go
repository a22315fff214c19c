package strategy

import (
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Strategy makes plans. It is pure: same input, same plan.
type Strategy interface {
	// Plan refuses what cannot be carried out, with the arithmetic, before
	// anything is touched: a [*lifecycle.Error] with code NoUnits,
	// HealthConstraintsInvalid or StrategyInvalid.
	Plan(in Input) (Plan, error)
}

// Input is what a plan is made from.
type Input struct {
	Deployment string
	Group      string
	Revision   revision.Revision
	LastGood   *revision.Revision // of the group; nil: none
	Units      []lifecycle.Unit   // the whole group, Healthy and Revision filled in
	Balanced   bool               // a load balancer sends hosts their traffic
	TestRoute  bool               // ECS: there is a test listener
	Pool       bool               // the target can make replacements

	// Before is how the target was found; of a rollback, before what it rolls back
	// began. Nil: it takes no snapshots.
	Before *Snapshot
	// Weights is the traffic that units have by the records when a rollback begins.
	// Those left out: unknown. A forward deployment begins with Before.
	Weights map[string]lifecycle.Weight
	// AnyTraffic lets a deployment begin whoever has the traffic. Zero: one whose
	// originals do not have it, or whose replacements have some, is refused.
	AnyTraffic bool

	// RollbackOf is the deployment to roll back; empty: go forward.
	RollbackOf string
	// Touched names the units to deploy to: those that the deployment to roll back
	// has touched, or those that are outdated. Nil: all.
	Touched []string
	// Provisioned names the replacements that were made for the deployment to roll
	// back. They are retired in the end.
	Provisioned []string
	Overrides   []string
	Timeout     time.Duration   // of the deployment; zero: none
	First       lifecycle.Event // an event of its own before the first stage; empty: none
	Last        lifecycle.Event // and after the last
	Quarantine  []string
	LostBudget  int // units that may be lost without counting as failed; zero: none
}

// plan begins a plan with what all kinds have in common.
func (in Input) plan(strategy string) Plan {
	return Plan{
		Deployment: in.Deployment, Group: in.Group, Revision: in.Revision, LastGood: in.LastGood,
		RollbackOf: in.RollbackOf, Strategy: strategy, Units: in.Units, Overrides: in.Overrides, Timeout: in.Timeout,
		First: in.First, Last: in.Last, Quarantine: in.Quarantine, Before: in.Before, Weights: in.Weights,
	}
}

// done finishes a plan: what all its stages have in common, and the last checks.
func (in Input) done(p Plan) (Plan, error) {
	if in.LostBudget > 0 {
		p.Rules = append(p.Rules, Rule{fmt.Sprintf("up to %d units may be lost; each takes one off the minimum", in.LostBudget), "cutover: Deployment.LostBudget"})
	}
	for i := range p.Stages {
		p.Stages[i].Pace.LostBudget = in.LostBudget
	}
	if err := p.explain(); err != nil {
		return Plan{}, err
	}
	_, err := p.check()
	return p, err
}

// sources says where the holds come from. Those of a shift are explained with it.
var sources = map[string]string{
	ReadyWait:       "CodeDeploy: deploymentReadyOption",
	TerminationWait: "CodeDeploy: terminateBlueInstancesOnDeploymentSuccess",
	"monitor":       "CodeDeploy: zonalConfig",
	"wave":          "cutover: InPlace.WaveHold",
}

// explain adds the rules of the holds and of stages that only tidy up.
func (p *Plan) explain() error {
	for _, s := range p.Stages {
		if s.Hold.For < 0 {
			return refuse(lifecycle.StrategyInvalid, "the hold %s lasts %s: want 0 or more", s.Hold.Name, s.Hold.For)
		}
		rule := Rule{"hold " + s.Hold.String(), sources[s.Hold.Name]}
		if rule.Source != "" && !slices.Contains(p.Rules, rule) {
			p.Rules = append(p.Rules, rule)
		}
		if s.Pace.Cleanup {
			why := sources[TerminationWait]
			if s.Role == lifecycle.ReplacementRole {
				why = "cutover: a rollback removes what was made for the deployment"
			}
			p.Rules = append(p.Rules, Rule{string(s.Role) + "s are retired in the end, and a failure of that fails nothing", why})
		}
	}
	return nil
}

// role lists the reachable units that play a role, in their order.
func (in Input) role(r lifecycle.Role) []string {
	var ids []string
	for _, u := range in.Units {
		if u.Role == r && u.Lost == "" && in.touched(u.ID) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// gone lists the units of a role that were touched and cannot be reached.
func (in Input) gone(r lifecycle.Role) []string {
	var ids []string
	for _, u := range in.Units {
		if u.Role == r && u.Lost != "" && in.touched(u.ID) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

func (in Input) touched(id string) bool {
	if in.Touched == nil {
		return true
	}
	for _, t := range in.Touched {
		if t == id {
			return true
		}
	}
	return false
}

// moves gives events the weights that they end with: nothing after traffic is
// blocked, everything after it is allowed.
func moves(events ...lifecycle.Event) []Move {
	out := make([]Move, len(events))
	for i, e := range events {
		out[i].Event = e
		if e == lifecycle.AllowTraffic || e == lifecycle.AllowTestTraffic {
			out[i].Weight = 100
		}
	}
	return out
}

// Wait is a wait that a user may ask for between two stages.
type Wait struct {
	For time.Duration // zero without StopOnExpiry: no wait
	// StopOnExpiry waits for somebody to say Continue and stops the deployment if
	// nobody does in time (CodeDeploy: STOP_DEPLOYMENT). With For zero it waits for
	// ever.
	StopOnExpiry bool
}

func (w Wait) hold(name string) Hold {
	if w == (Wait{}) {
		return Hold{}
	}
	return Hold{Name: name, For: w.For, StopOnExpiry: w.StopOnExpiry}
}

// CodeDeploy's names for the two waits that can be continued.
const (
	ReadyWait       = "READY_WAIT"
	TerminationWait = "TERMINATION_WAIT"
)
