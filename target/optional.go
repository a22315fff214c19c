package target

import (
	"context"
	"encoding/json"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Checker is an optional power of a [Target] or a [Host]. Before a deployment touches
// anything, its engine asks a target that has it whether the revision in job can
// be deployed at all: the AppSpec is valid, the scripts are there.
type Checker interface {
	// Check reads job.Bundle and changes nothing. It returns what a person should
	// know, and an error, best a [*lifecycle.Error], if the revision is unfit.
	Check(ctx context.Context, job *Job) ([]lifecycle.Note, error)
}

// TestRouted is what a [Target] also is when it may have a second way in that only
// tests use: a test listener of an ECS service. The engine asks once, when it plans:
// such a target gets AllowTestTraffic and AfterAllowTestTraffic.
type TestRouted interface {
	TestRoute() bool
}

// Pool is an optional power of a [Target] that can make the units it deploys to, for
// blue/green deployments.
//
// The engine uses it when the strategy is blue/green and Units lists no replacement
// that can be reached: a target with replacements of its own (CodeDeploy:
// DISCOVER_EXISTING) lists them and is never asked. It asks for as many as there are
// originals that serve, after the deployment's first record and its Before hook, and
// before the first stage. What it was given is recorded. When the deployment is
// rolled back, all of it is retired, after traffic is back, as far as Units lists it
// with the role of a replacement. What is left of a deployment that failed without a
// rollback is not used again: it may still be listed.
type Pool interface {
	// Provision makes n units with the role of a replacement, out of traffic, and
	// returns them when they can be deployed to. It is known by the deployment's id:
	// asked again, as after a crash, it returns the same units, and makes what is
	// missing to n. Units of other deployments are never returned and never removed.
	//
	// If it fails for good, it returns what it has made so far beside the error, best a
	// [*lifecycle.Error]: the engine retires that and fails the deployment. Asked for
	// none, it makes none and returns what there is. With code Unknown it is asked
	// again. On cancel it returns soon, and what it has begun is
	// found again by the deployment's id.
	Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error)

	// Retire removes a unit for good. It refuses to remove one that takes traffic;
	// one that is gone already is success.
	//
	// The engine does not call it. It retires originals and replacements alike by a
	// step of event Retire, through Perform, where there are notes and the Job; for a
	// unit that is gone that is success too. Retire is what such a step comes
	// down to, for operators and tests that have no deployment.
	Retire(ctx context.Context, unit string) error
}

// Narrator is what a [Pool] also is when making units takes long, and there is something
// to tell meanwhile.
type Narrator interface {
	// ProvisionNoting is Provision. It calls note, which is not nil, with what a person
	// should know before it returns, such as launches that fail and are tried again.
	// The engine calls it in place of Provision, and records the notes.
	ProvisionNoting(ctx context.Context, deployment string, n int, note func(lifecycle.Note)) ([]lifecycle.Unit, error)
}

// Settler is what a [Target] also is when it holds something back for as long as a
// deployment lasts, such as auto scaling that is suspended.
type Settler interface {
	// Settle gives it back. The engine asks when a deployment has ended, in whatever
	// way, just before its last record; if it is rolled back, at the end of the
	// rollback. It asks again after a crash, and it asks also where nothing was held.
	// The job is the one that the steps had; succeeded says how the deployment, or the
	// rollback, has ended. An error becomes a note of the deployment.
	Settle(ctx context.Context, job *Job, succeeded bool) error
}

// Snapshotter is what a [Target] also is when its deployments change things that a
// rollback must put back as they were found: weights of traffic, the primary task
// set, auto scaling that was suspended.
type Snapshotter interface {
	// Snapshot reads how things stand, and changes nothing. The engine asks when it
	// plans, after Units, and the deployment's first record holds the answer; a rollback
	// gets the same one. It is the place for pre-flight checks: an error, best a
	// [*lifecycle.Error] that says what was found and what to do, refuses the
	// deployment before anything is touched. That the traffic is where it should be is
	// checked by the strategies, from Weights.
	Snapshot(ctx context.Context, job *Job) (Snapshot, error)
}

// Snapshot is how a target was found before a deployment touched it.
type Snapshot struct {
	// Weights is the traffic of each unit. Units without traffic may be left out. Empty:
	// the target does not say.
	Weights map[string]lifecycle.Weight `json:"weights,omitempty"`
	// Data is the driver's own: what else it needs to know to put things back, such as
	// the complete actions of a listener. It is kept in the journal, so it holds no
	// secrets. Empty: nothing.
	Data json.RawMessage `json:"data,omitempty"`
}

// Foreign says what to do about traffic that somebody else has changed since the
// deployment last set it.
type Foreign string

// The ways to deal with a foreign change.
const (
	// HoldForeign pauses the deployment and says who expected what. The step is asked
	// for again every 30 s, so it goes on by itself when the weight is back; Continue
	// overwrites, Stop ends the deployment. The zero value.
	HoldForeign Foreign = ""
	// StopForeign fails the step, and with it the deployment, by the rollback's policy.
	StopForeign Foreign = "stop"
	// AdoptForeign takes what is found as what was meant, and goes on from there: a
	// share of the replacement that is larger already stays, and so does what else
	// was changed.
	AdoptForeign Foreign = "adopt"
	// OverwriteForeign sets what the plan says. Rollbacks do that always.
	OverwriteForeign Foreign = "overwrite"
)
