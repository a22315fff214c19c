// Package lifecycle holds the words that all of cutover shares, and runs the
// hooks of a deployment on one machine.
//
// # Words
//
// A [Unit] is the smallest thing a deployment changes. It walks through lifecycle
// events ([Event]); which ones, and in which order, is the table behind
// [Walk.Events], with one walk for each column of CodeDeploy's own table, and
// nothing else decides it. [Platform.Scriptable] says which of them take hooks.
// One event on one unit is a [Step], the atom of a deployment: whoever does it
// recognises a repetition by [Step.Key]. What was decided, started and ended is
// written down as [Record]s. What went wrong is an [Error] with a [Code] from a
// closed set; its [Failure] part is recorded and still matches after a restart.
//
// # Hooks
//
// A [Hook] runs at an event: a [Script] of the revision, or a [Func] in Go.
// [Runner.Run] runs the hooks of one event in order and stops at the first
// failure:
//
//	runner := lifecycle.Runner{Log: scriptsLog}
//	err := runner.Run(ctx, lifecycle.Env{Step: step, Vars: vars}, hooks)
//
// The log reads as the host agent writes it; a failure carries its last 2048 or so
// characters. Both are raw: pass them through [Escape] before showing them. What a
// person should know but fails nothing comes as a [Note].
//
// # What a script can rely on
//
//   - It is run as a file, never through a shell, so no character in its name
//     means anything. Only a file without an interpreter line goes to /bin/sh. On
//     Windows the end of its name decides; see below.
//   - It gets exactly the environment it is given. HOME, USER, LOGNAME and SHELL
//     follow the account if it has one, and CUTOVER_HOOK is added.
//   - Standard input is the null device; there is no terminal and no other open
//     descriptor; it leads a process group of its own, and a session where this
//     process has a terminal to be kept from.
//   - Its exit status decides, and nothing else does: not a child that holds its
//     output open, not what it prints.
//   - When it succeeds, what it left running goes on, also after this process has
//     ended.
//
// # What the caller can rely on
//
//   - Run returns at the time limit plus grace plus two seconds at the latest,
//     and so it does after a cancel, counted from there, as long as the log takes
//     what it is given. Limits are measured by a monotonic clock.
//   - When a script fails, times out or is cancelled, all that it started is
//     ended: TERM, the grace, KILL. All means, on Linux, its control group where
//     one can be made, its process group, whatever carries its mark in the
//     environment, and their kin (without a control group, one escapes that leaves
//     all of these and its parent behind); elsewhere on Unix its process group; on Windows its job
//     object, at once, since there is no TERM.
//   - Output of any amount and lines of any length pass in constant memory. The
//     log of an event is kept up to [Runner.MaxLog] bytes, what is left out is
//     counted.
//   - After a crash of this process [EndLeftovers] ends what an interrupted hook
//     left running (Linux). On Windows it ends with this process.
//   - Another account ([LookupAccount]) means its user id, group id and all its
//     supplementary groups, set in the child; su and sudo take no part, so limits
//     and sessions that they would set up do not apply. Unix only, and only root
//     can; elsewhere LookupAccount refuses.
//
// # Windows
//
// A script is put into a job object before its first instruction runs, so that all
// that it starts is in there too, except what it asks others to start for it: services,
// scheduled tasks, WMI. The job ends with this process, whatever it dies of; that of a
// script that succeeded is let go of first. Names that end with .exe and .com are run
// as they are; .ps1 by Windows PowerShell, with -NoProfile -NonInteractive
// -ExecutionPolicy Bypass -File; .bat and .cmd by cmd.exe, which is why their paths must
// not have a percent sign. Everything else is refused. SystemRoot is added to the
// environment where it is missing.
//
// This much was tried: it is built and vetted for Windows with every change, the
// command lines are tested everywhere, and the tests of jobs and batch files pass on
// Wine 8. PowerShell scripts, and Windows itself, have not been tried.
//
// The package reads no clock to decide anything, keeps no state of its own, and
// installs no signal handlers. A Func that ignores its context cannot be ended; it
// is waited for.
package lifecycle
