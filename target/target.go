package target

import (
	"context"
	"io"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Target is where a deployment goes: a fleet of hosts, an ECS service, a Lambda
// alias. The engine calls it; a driver implements it. Prove an implementation
// with package targettest.
type Target interface {
	// Units lists what there is to deploy to, now. Order is kept in the plan.
	// Ids are unique; an empty list is not an error here (the engine refuses it).
	Units(ctx context.Context) ([]lifecycle.Unit, error)

	// Perform does one step and returns when it is done: nil for success, else an
	// error, best a [*lifecycle.Error] with a code. It is called from many
	// goroutines, never twice at once for one unit.
	//
	// Steps are idempotent and absolute. The same step (by Step.Key) may come
	// again after a crash of the controller: one that had ended answers with its
	// recorded outcome, one that still runs is waited for, one that was cut off in
	// the middle answers with code Interrupted, unless Job.RerunInterrupted.
	//
	// Two failures are no outcomes, since nothing was changed: the step may come again
	// under the same key, and the world is then looked at anew. ExternalChange is asked
	// again while the deployment holds ([HoldForeign]). TrafficUnhealthy is in a
	// rollback, where the originals are to have their traffic back: it waits until they
	// are healthy.
	//
	// When ctx is cancelled, Perform abandons the step: it returns soon, with
	// context.Cause(ctx), and what it began may be asked for again.
	Perform(ctx context.Context, t Task) error
}

// Host is one machine.
type Host interface {
	Unit() lifecycle.Unit
	// Perform does one step on the host; the contract is that of Target.Perform.
	Perform(ctx context.Context, t Task) error
}

// Traffic sends requests to units. Weights are absolute: setting one again
// changes nothing.
type Traffic interface {
	// SetWeight returns when the unit has the weight, requests included: a unit
	// with weight 0 has drained, one with more is in service and healthy.
	SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error
	// Weight reads the present weight back.
	Weight(ctx context.Context, unit string) (lifecycle.Weight, error)
}

// Task is a step together with what its doer must know.
type Task struct {
	// Step says what is to be done. In a rollback the weight of an original is the one
	// that Job.Before shows; what it leaves goes to whoever had it then, and not to
	// the replacement.
	Step lifecycle.Step
	Job  *Job // shared by all tasks of a deployment; read only

	// Expect is the traffic that the unit has by the records: what the last step gave
	// it, or what the snapshot shows. It is given for BlockTraffic, AllowTraffic and
	// Retire. Nil: nobody knows. A driver that can compares before it writes: if the
	// unit has neither that nor what the step asks for, somebody else has changed it,
	// and Foreign says what to do.
	Expect *lifecycle.Weight
	// Foreign is AdoptForeign or OverwriteForeign; anything else means: change nothing
	// and fail with code ExternalChange, saying what was expected and what was found.
	// A driver that adopts or overwrites says so by Note.
	Foreign Foreign

	// Again says that the step was begun before a crash of the controller, which knows of
	// no end. A doer that keeps no outcomes of its own, and can do the step only once,
	// answers with code Interrupted, unless Job.RerunInterrupted.
	Again bool

	// Note, if not nil, takes warnings while the step runs. It may be called from
	// any goroutine, and not after Perform has returned.
	Note func(lifecycle.Note)

	// Output, if not nil, takes what the step's scripts print while they run, as the
	// host's log has it: raw, to be escaped before showing. A step that is asked for
	// again, after a crash or a lost connection, may give what it printed before. It is
	// for people who watch; what comes faster than it is taken may be left out. Writes
	// come one at a time, and not after Perform has returned. A driver need not have any.
	// A Write that blocks may hold the step up; what a Deployment makes of its Output
	// never blocks.
	Output io.Writer
}

// Job is what the steps of one deployment have in common.
type Job struct {
	Application string // CodeDeploy's application name
	Group       string // deployment group id: names the history on a host
	GroupName   string // deployment group name; empty: Group

	// BlueGreen and Rollback decide which revision supplies the scripts of the
	// traffic events (CodeDeploy: creator codeDeployRollback and type BLUE_GREEN).
	BlueGreen bool
	Rollback  bool
	// RollbackOf is the id of the deployment that is rolled back: what that has made is
	// known by it. Empty: this is no rollback.
	RollbackOf string

	Revision revision.Revision
	// Bundle is the revision's content. Nil: only units that have retained the
	// revision can deploy it (a rollback whose source is gone).
	Bundle *revision.Bundle

	AppSpec    string   // path of the AppSpec in the revision; empty: appspec.yml, else appspec.yaml
	FileExists string   // DISALLOW, OVERWRITE or RETAIN; empty: DISALLOW. The AppSpec's own setting wins
	Env        []string // added to the environment of scripts, "NAME=value"

	// PossibleEvents are all events that the deployment may have, events of one's own
	// included. A host then refuses to install an AppSpec with hooks for another
	// event, or without hooks for one of one's own, as CodeDeploy's local tool does.
	// Empty: unknown; hooks for unknown events are ignored, as by CodeDeploy itself.
	PossibleEvents []lifecycle.Event

	// Before is how the target was found before the deployment began; of a rollback,
	// before what it rolls back began. Nil: the target takes no snapshots.
	Before *Snapshot
	// LastGood is the digest of the revision to go back to; hosts keep it. Empty: none.
	LastGood string

	IgnoreStopFailures bool // failures of ApplicationStop, BeforeBlockTraffic and AfterBlockTraffic become notes
	RerunInterrupted   bool // a step that was cut off is done again instead of failing
	Strict             bool // what CodeDeploy silently ignores is refused
}
