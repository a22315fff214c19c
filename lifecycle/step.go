package lifecycle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Weight is a share of traffic in percent, 0 to 100.
type Weight int

// Role is the part a unit plays in a blue/green deployment.
type Role string

// The roles. In-place deployments have none.
const (
	OriginalRole    Role = "original"    // serves now
	ReplacementRole Role = "replacement" // is to serve
)

// Unit is the smallest thing a deployment changes: a host, an ECS task set, a
// Lambda version behind an alias.
type Unit struct {
	ID   string `json:"id"`             // unique in its group, stable between deployments
	Zone string `json:"zone,omitempty"` // availability zone; empty: none
	Role Role   `json:"role,omitempty"` // in blue/green, ECS and Lambda deployments; empty: in-place

	// Healthy says that the last deployment to the unit succeeded (CodeDeploy's
	// meaning; load balancer checks play no part). The engine fills it in from
	// the journal. A unit that was never deployed to is not healthy.
	Healthy bool `json:"healthy,omitempty"`

	// Revision is the digest of the revision last deployed with success, filled
	// in by the engine; empty: unknown.
	Revision string `json:"revision,omitempty"`

	// Lost, if not empty, says why the unit cannot be reached (stopped, gone).
	// It counts like a failed one.
	Lost string `json:"lost,omitempty"`
}

// Step is one lifecycle event on one unit: the atom of a deployment. Its five
// fields are its identity: whoever does it recognises a repetition by [Step.Key].
type Step struct {
	Deployment string `json:"deployment,omitempty"`
	Stage      int    `json:"stage,omitempty"`
	Unit       string `json:"unit,omitempty"`
	Event      Event  `json:"event,omitempty"`
	Weight     Weight `json:"weight,omitempty"` // traffic the unit has afterwards; traffic events only
}

// Key names the step in one line, unique for all time as long as deployment ids
// are. Parts are quoted where they hold a separator, so no two steps share a key.
func (s Step) Key() string {
	return fmt.Sprintf("%s/%d/%s/%s/%d", keyPart(s.Deployment), s.Stage, keyPart(s.Unit), keyPart(string(s.Event)), s.Weight)
}

func keyPart(s string) string {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '/' || c == '"' || c >= 0x7f {
			return strconv.Quote(s)
		}
	}
	return s
}

// String is the step as errors and logs show it.
func (s Step) String() string {
	switch {
	case s.Unit == "" && s.Event == "":
		return s.Deployment
	case s.Event == "":
		return fmt.Sprintf("%s: %s", s.Deployment, s.Unit)
	case s.Unit == "":
		return fmt.Sprintf("%s: %s", s.Deployment, s.Event)
	default:
		return fmt.Sprintf("%s: %s on %s", s.Deployment, s.Event, s.Unit)
	}
}

// Kind says what a [Record] is about.
type Kind string

// The kinds of records. A deployment's first record is Planned, its last Finished.
const (
	Planned   Kind = "planned"  // Data: the plan, with the units found
	StageOpen Kind = "stage"    // Step.Stage is entered
	Started   Kind = "started"  // Step is about to be done, or done again after a crash
	Ended     Kind = "ended"    // Step was done; Failure is nil on success
	Joined    Kind = "joined"   // Data: units that came meanwhile, as a list of [Unit]
	Noted     Kind = "noted"    // Data: a [Note] about Step
	Skipped   Kind = "skipped"  // Step.Unit is not deployed to; Failure says why
	Stopped   Kind = "stopped"  // somebody asked to stop; Data: a [Note]
	Held      Kind = "held"     // a hold began; Data says until when or for whom
	Released  Kind = "released" // a hold ended
	Finished  Kind = "finished" // Data: the outcome; Failure is nil on success
)

// Record is one line of the journal: what was decided, started, ended. The state
// of a deployment is a fold of its records and of nothing else.
type Record struct {
	Seq     int64           `json:"seq"` // dense, from 1, within a deployment
	Time    time.Time       `json:"time"`
	Kind    Kind            `json:"kind"`
	Step    Step            `json:"step"`
	Failure *Failure        `json:"failure,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Note is something that a person should know and that fails nothing: a warning
// of the agent, drift that was found, output that was cut.
type Note struct {
	Code Code   `json:"code,omitempty"`
	Text string `json:"text"`
}
