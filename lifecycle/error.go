package lifecycle

import "strings"

// Code is the closed set of reasons for failure. Act on the code, not on the
// text. The comments name CodeDeploy's code where it has one.
type Code string

// The codes.
const (
	ScriptMissing       Code = "ScriptMissing"       // listed script is not in the revision (agent code 1)
	ScriptNotExecutable Code = "ScriptNotExecutable" // cannot be run: permission, interpreter, format, type (agent code 2, or 4)
	ScriptTimedOut      Code = "ScriptTimedOut"      // exceeded its timeout and was killed (agent code 3)
	ScriptFailed        Code = "ScriptFailed"        // exit status other than 0, or ended by a signal (agent code 4)
	OutputsLeftOpen     Code = "OutputsLeftOpen"     // a background child kept output open (agent code 6; here a note)
	RunAsInvalid        Code = "RunAsInvalid"        // the runas user cannot be used
	HookFailed          Code = "HookFailed"          // a Go hook or function returned an error
	Interrupted         Code = "Interrupted"         // the doer died in the middle of the step (agent code 7)

	AppSpecInvalid      Code = "AppSpecInvalid"      // missing or refused AppSpec (INVALID_REVISION)
	RevisionInvalid     Code = "RevisionInvalid"     // not an archive, damaged, hostile, too large
	RevisionUnavailable Code = "RevisionUnavailable" // cannot be fetched, or is no longer retained
	DigestMismatch      Code = "DigestMismatch"      // content is not what the deployment pinned
	PreviousUnavailable Code = "PreviousUnavailable" // the installed revision's scripts are lost or damaged
	InstallRefused      Code = "InstallRefused"      // the plan cannot be carried out; nothing was touched
	InstallFailed       Code = "InstallFailed"       // failed in the middle; everything was put back

	UnitLost        Code = "UnitLost"        // the unit is gone or cannot be reached
	IdentityChanged Code = "IdentityChanged" // the machine is not the one that is known by its address; nothing was sent to it
	UnitBusy        Code = "UnitBusy"        // another deployment works on it
	Unknown         Code = "Unknown"         // nobody can say whether the step was done; never success
	Unsupported     Code = "Unsupported"     // this platform or driver cannot do it
	TargetFailed    Code = "TargetFailed"    // the driver's own error: see the message
	Panicked        Code = "Panicked"        // a plug-in panicked

	ExternalChange   Code = "ExternalChange"   // somebody else changed the traffic meanwhile; nothing was overwritten
	TrafficUnhealthy Code = "TrafficUnhealthy" // the side that was to get traffic is not healthy, with its reasons
	Throttled        Code = "Throttled"        // the service refused for too many requests, longer than the step may wait
	Denied           Code = "Denied"           // credentials or permissions: the message names the action and the resource

	HealthConstraints        Code = "HealthConstraints"        // too many units failed (HEALTH_CONSTRAINTS)
	HealthConstraintsInvalid Code = "HealthConstraintsInvalid" // minimum healthy cannot be met (HEALTH_CONSTRAINTS_INVALID)
	StrategyInvalid          Code = "StrategyInvalid"          // the strategy's own numbers make no sense
	NoUnits                  Code = "NoUnits"                  // nothing to deploy to (NO_INSTANCES)
	ManualStop               Code = "ManualStop"               // somebody stopped it (MANUAL_STOP)
	AlarmActive              Code = "AlarmActive"              // an alarm fired (ALARM_ACTIVE)
	TimedOut                 Code = "TimedOut"                 // a deadline other than a script's (TIMEOUT)
	RollbackFailed           Code = "RollbackFailed"           // the automatic rollback failed as well
	Quarantined              Code = "Quarantined"              // the revision was rolled back before; deploying it again needs a word
	NoPreviousRevision       Code = "NoPreviousRevision"       // there is no last good revision to go back to
	JournalFailed            Code = "JournalFailed"            // a record could not be written; nothing was done after it
)

// Failure is why a step or a deployment failed, in the form that is recorded: it
// still matches after a restart.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`          // says what, and what to do about it
	Script  string `json:"script,omitempty"` // location as in the AppSpec; empty: no script involved
	Exit    int    `json:"exit,omitempty"`   // exit status; 0: none, or ended by a signal
	Signal  string `json:"signal,omitempty"` // name of the signal that ended the script, such as SIGKILL
	Log     string `json:"log,omitempty"`    // tail of the log, raw; escape before showing
}

// Error is the one error type that crosses packages: which event, on which unit,
// why. Match it with errors.AsType and act on its Code.
type Error struct {
	Step Step
	Failure
	Err error // cause, for errors.Is; nil after a restart. Its text is in Message
}

// Error reads as a path: deployment, event and unit, script, message.
func (e *Error) Error() string {
	var b strings.Builder
	if s := e.Step.String(); s != "" {
		b.WriteString(s + ": ")
	}
	if e.Script != "" {
		b.WriteString("script " + e.Script + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Unwrap returns the cause, if it is still known.
func (e *Error) Unwrap() error { return e.Err }
