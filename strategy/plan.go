package strategy

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Plan is what a deployment will do: ordered stages, as pure data. It prints as a
// table, survives a round trip through JSON, and is the first thing that the
// journal records. Whoever holds a Plan may read it, and must not change it.
type Plan struct {
	Deployment string            `json:"deployment"`
	Group      string            `json:"group"`
	Revision   revision.Revision `json:"revision"`
	// LastGood is the revision of the group's last successful deployment, where a
	// rollback would go. Nil: there is none.
	LastGood *revision.Revision `json:"lastGood,omitempty"`
	// RollbackOf is the deployment that this one rolls back; empty: it goes forward.
	RollbackOf string           `json:"rollbackOf,omitempty"`
	Strategy   string           `json:"strategy"`
	Units      []lifecycle.Unit `json:"units"` // the whole group, as found at the start
	Stages     []Stage          `json:"stages"`
	// Before is how the target was found before the deployment touched it; of a
	// rollback, before what it rolls back began. Nil: it takes no snapshots.
	Before *Snapshot `json:"before,omitempty"`
	// Weights is the traffic that units had by the records when a rollback began; those
	// left out: unknown. A forward deployment begins with Before.
	Weights map[string]lifecycle.Weight `json:"weights,omitempty"`
	// Divided says that the sides divide one stream of traffic: what the replacement
	// has the original has not. Zero: each unit's traffic is its own, as that of hosts.
	Divided bool `json:"divided,omitempty"`
	// First and Last are events that happen once, before the first stage and after
	// the last; empty: none.
	First lifecycle.Event `json:"first,omitempty"`
	Last  lifecycle.Event `json:"last,omitempty"`
	// Provision is how many replacements the target makes before the first stage; the
	// stages of replacements list no units until then. Zero: none.
	Provision int    `json:"provision,omitempty"`
	Rules     []Rule `json:"rules"`
	// Quarantine lists the digests of revisions that were rolled back in this group
	// and have not succeeded since.
	Quarantine []string `json:"quarantine,omitempty"`
	// Leftover lists replacements that were made for earlier deployments of the group
	// and that nobody has retired yet.
	Leftover []string `json:"leftover,omitempty"`
	// Timeout is how long the deployment may take, counted from its first record, in
	// nanoseconds in JSON. When it is over nothing new is started, and the deployment
	// has failed. Zero: no limit.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Overrides names the relaxations that the caller asked for, so that the
	// journal shows them.
	Overrides []string `json:"overrides,omitempty"`
}

// Stage is a set of units that walk the same moves at one pace, and then a hold.
type Stage struct {
	Name  string         `json:"name"`
	Walk  lifecycle.Walk `json:"walk"`
	Role  lifecycle.Role `json:"role,omitempty"` // whose health the pace counts; empty: the whole group's
	Zone  string         `json:"zone,omitempty"`
	Units []string       `json:"units"` // in the order in which they are started
	Moves []Move         `json:"moves"`
	Pace  Pace           `json:"pace"`
	// Fresh says that the units are not in service yet, whatever they were before:
	// starting them takes nothing away.
	Fresh bool `json:"fresh,omitempty"`
	Hold  Hold `json:"hold,omitzero"` // after the stage; zero: none
}

// Hold is a wait after a stage. It counts from its record, so a restart neither
// shortens nor repeats it. Anybody may end it early by saying Continue.
type Hold struct {
	Name string `json:"name"` // such as READY or TERMINATION (CodeDeploy's wait types); empty: no hold
	// For is how long it lasts, in nanoseconds in JSON. Zero: until somebody says
	// Continue.
	For time.Duration `json:"for,omitempty"`
	// StopOnExpiry stops the deployment when the time is over. Zero: it goes on.
	StopOnExpiry bool `json:"stopOnExpiry,omitempty"`
}

// String says the hold in words.
func (h Hold) String() string {
	switch {
	case h.Name == "":
		return "none"
	case h.For == 0:
		return h.Name + ": until somebody says continue"
	case h.StopOnExpiry:
		return fmt.Sprintf("%s: stops after %s unless somebody says continue", h.Name, h.For)
	default:
		return fmt.Sprintf("%s: goes on after %s", h.Name, h.For)
	}
}

// Move is one event of a stage. Weight is the traffic that the unit has when the
// move is done; it matters for traffic events only.
type Move struct {
	Event  lifecycle.Event  `json:"event"`
	Weight lifecycle.Weight `json:"weight,omitempty"`
}

// String is the event, with its weight where it gives one.
func (m Move) String() string {
	if m.Weight == 0 {
		return string(m.Event)
	}
	return fmt.Sprintf("%s %d %%", m.Event, m.Weight)
}

// Rule is a decision of the plan, with the arithmetic, and where it comes from.
type Rule struct {
	Text   string `json:"text"`
	Source string `json:"source"`
}

// String is the plan as a table for people. It has no escape sequences; names of
// units are quoted where they hold anything unprintable.
func (p Plan) String() string {
	var b strings.Builder
	what := "deploys " + p.Revision.String()
	if p.RollbackOf != "" {
		what = fmt.Sprintf("rolls back %s to %s", p.RollbackOf, p.Revision)
	}
	fmt.Fprintf(&b, "%s %s to group %s (%d units), %s\n", p.Deployment, what, p.Group, len(p.Units), p.Strategy)
	if p.First != "" {
		fmt.Fprintf(&b, "\nfirst: %s\n", p.First)
	}
	if p.Provision > 0 {
		fmt.Fprintf(&b, "\n%s: %d replacements, made by the target\n", lifecycle.Provision, p.Provision)
	}
	if w := p.Before.weights(); len(w) > 0 {
		fmt.Fprintf(&b, "\ntraffic before: %s\n", shares(p.Units, w))
	}
	for i, s := range p.Stages {
		fmt.Fprintf(&b, "\nstage %d: %s, %d units, %s\n", i, s.Name, p.size(s), s.Pace)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		p.rows(w, s)
		w.Flush()
		if s.Hold.Name != "" {
			fmt.Fprintf(&b, "  then hold %s\n", s.Hold)
		}
	}
	if p.Last != "" {
		fmt.Fprintf(&b, "\nlast: %s\n", p.Last)
	}
	b.WriteString("\nrules\n")
	for _, r := range p.Rules {
		fmt.Fprintf(&b, "  %s (%s)\n", r.Text, r.Source)
	}
	if len(p.Leftover) > 0 {
		fmt.Fprintf(&b, "  left over from earlier deployments, and not used: %s\n", names(p.Leftover))
	}
	if p.Timeout > 0 {
		fmt.Fprintf(&b, "  it may take %s in all (Deployment.Timeout)\n", p.Timeout)
	}
	for _, o := range p.Overrides {
		fmt.Fprintf(&b, "  override: %s\n", o)
	}
	return b.String()
}

// size is how many units a stage has, or will have.
func (p Plan) size(s Stage) int {
	if len(s.Units) == 0 && s.Role == lifecycle.ReplacementRole {
		return p.Provision
	}
	return len(s.Units)
}

func (p Plan) rows(w *tabwriter.Writer, s Stage) {
	byID := make(map[string]lifecycle.Unit, len(p.Units))
	for _, u := range p.Units {
		byID[u.ID] = u
	}
	if len(s.Units) > 0 {
		fmt.Fprintf(w, "  \tunit\tzone\thealth\tnow\n")
	}
	for i, id := range s.Units {
		u := byID[id]
		health := "unhealthy"
		if u.Healthy {
			health = "healthy"
		}
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", i+1, printable(id), u.Zone, health, p.age(u))
	}
	names := make([]string, len(s.Moves))
	for i, m := range s.Moves {
		names[i] = m.String()
	}
	fmt.Fprintf(w, "  events: %s\n", strings.Join(names, ", "))
}

// age is CodeDeploy's word for a unit's revision next to the group's.
func (p Plan) age(u lifecycle.Unit) string {
	switch {
	case u.Revision == "":
		return "unknown revision"
	case p.LastGood != nil && u.Revision == p.LastGood.Digest:
		return "current revision"
	default:
		return "old revision"
	}
}

// names lists units, but no more than people read.
func names(ids []string) string {
	const most = 8
	var out []string
	for _, id := range ids[:min(len(ids), most)] {
		out = append(out, printable(id))
	}
	if more := len(ids) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

func printable(s string) string {
	if q := fmt.Sprintf("%q", s); q[1:len(q)-1] != s {
		return q
	}
	return s
}

// check refuses a plan that is inconsistent, whoever made it, before anything is
// touched. It returns the position of each unit by its id.
func (p Plan) check() (map[string]int, error) {
	index := make(map[string]int, len(p.Units))
	for i, u := range p.Units {
		if index[u.ID] = i; u.ID == "" || len(index) != i+1 {
			return nil, refuse(lifecycle.TargetFailed, "the target lists the unit %q twice or without a name; unit ids must be unique", u.ID)
		}
	}
	last := make([]int, len(p.Units)) // the stage that listed a unit last, plus one
	for i, s := range p.Stages {
		if len(s.Moves) == 0 || s.Pace.Limit < 1 {
			return nil, refuse(lifecycle.TargetFailed, "stage %d (%s) has no events, or lets no unit start", i, s.Name)
		}
		for _, id := range s.Units {
			at, known := index[id]
			if !known || last[at] == i+1 {
				return nil, refuse(lifecycle.TargetFailed, "stage %d (%s) names unit %q, which the plan does not list or the stage lists twice", i, s.Name, id)
			}
			last[at] = i + 1
		}
	}
	return index, nil
}

func refuse(code lifecycle.Code, format string, args ...any) error {
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}
