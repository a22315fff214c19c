// Package agent is the half of a deployment that runs on a machine: it does on one
// host what CodeDeploy's host agent does, as a library.
//
// An [Agent] has a state directory and does [target.Task]s in it, one at a time.
// Start with [Agent.Perform]:
//
//	a := &agent.Agent{Dir: "/var/lib/cutover"}
//	err := a.Perform(ctx, target.Task{Step: step, Job: job})
//
// What it does at which event:
//
//   - Start fetches the revision into a private place, checks its AppSpec and its
//     scripts, looks up the accounts they run as, and plans the install. Nothing
//     that runs is touched. A host that could not be deployed to says so here,
//     while it still serves.
//   - DownloadBundle makes the fetched revision the one of this deployment, and
//     drops old ones. Without Start it does Start's work first.
//   - Install puts the files into place, all or nothing, and makes the revision the
//     installed one of its deployment group.
//   - Every other event runs the scripts that the AppSpec lists for it.
//     BlockTraffic and AllowTraffic are no business of a host.
//
// ApplicationStop and the events before and after BlockTraffic run the scripts of
// the revision that is installed, not those of the one that is coming; see
// [Agent.History] for what that is. If it was lost, they are skipped with a note.
// If its ApplicationStop fails, so does the host, and the error names the way out.
//
// The AppSpec is read once, when the revision comes, and kept beside it: scripts
// may edit the revision's folder, but not what happens next. A script that was
// changed on the host is run with a note, or refused under Strict.
//
// Outcomes are kept under the step's key and written before Perform returns. A
// step that comes again is not done again. One that was cut off in the middle of
// a script fails with code Interrupted, after what the script left running was
// ended; with RerunInterrupted that script runs again, but none that had
// finished. The state directory survives a crash at any moment.
//
// An agent may be a process of its own, on this or another machine: a program that
// calls [Main] is one when it is started as one. A [Client] asks it for steps over
// a stream, a [Batch] is for hosts that have none; steps go on when either is gone.
// PROTOCOL.md in this directory says what passes between them.
//
// Scripts run with the revision's folder as working directory, in the environment
// that CodeDeploy's agent gives them, plus CUTOVER_ROOT, the host's root directory.
// Their output is in GROUP/DEPLOYMENT/logs/scripts.log below the state directory.
package agent
