// Package cutover deploys revisions the way AWS CodeDeploy does, inside your own
// process. There is no server, no database and nothing to install on the hosts.
//
// A [Deployment] takes a revision to the units of a group, in the order and at the
// pace of a strategy, runs the hooks of the revision's AppSpec, writes everything
// down before it does it, and goes back to the last good revision if it fails:
//
//	d := &cutover.Deployment{
//		Group:    "web",
//		Revision: revision.Dir("./app"),
//		Target:   &target.Fleet{Hosts: hosts},
//		Strategy: strategy.HalfAtATime(),
//		Rollback: rollback.Policy{OnFailure: true},
//		Journal:  &journal.File{Dir: "/var/lib/cutover"},
//	}
//	result, err := d.Run(ctx)
//
// # Words
//
// A unit is the smallest thing a deployment changes: a host, a task set, a version
// behind an alias. A step is one lifecycle event on one unit. A stage is a list of
// units that go through the same events at one pace, and a plan is the ordered
// stages. A record is one line of the journal. Everything else is called what AWS
// calls it.
//
// # The calls
//
// [Deployment.Plan] says what would be done, as data, and touches nothing.
// [Deployment.Run] does it, the rollback included, and returns a [Result]; that a
// deployment failed is a result and no error. [Deployment.Resume] goes on with a
// deployment whose process has died or whose context was cancelled.
// [Deployment.Stop] ends one, [Deployment.Continue] ends the hold that one is in.
// Deployment.Observe sees every record, Deployment.Watch the alarms that stop it,
// and each [Gate] is asked before a stage is entered.
//
// # Where things are
//
//   - lifecycle: events and the table of their order, steps, records, the error;
//     [lifecycle.Hook] and the [lifecycle.Runner] that runs scripts with hard
//     deadlines.
//   - revision: what is deployed. [revision.Dir] and [revision.Archive] open it,
//     and trust nothing in it.
//   - appspec: [appspec.Parse] reads an AppSpec and reports every problem at once.
//   - strategy: [strategy.HalfAtATime] and the others make a [strategy.Plan]; the
//     pure function [strategy.Next] decides what happens next, and
//     [strategy.Simulate] lets it decide in virtual time.
//   - rollback: [rollback.Policy] says when to go back, and to what.
//   - lifecycle/journal: [journal.File] and [journal.Memory] keep the records, and
//     lifecycle/journal/dynamodb keeps them where many controllers can.
//   - revision/s3 and revision/github: revisions from there.
//   - rollback/cloudwatch: alarms of CloudWatch.
//   - target: [target.Target] is what a deployment goes to, and [target.Fleet] is
//     one made of hosts. target/fake has hosts with faults for your tests;
//     target/targettest proves a target of your own.
//   - target/onprem: hosts of this machine, and hosts over SSH. target/inventory lists
//     them in a file; target/haproxy and target/command are what is in front of them.
//   - target/ec2, target/ecs, target/lambda: the targets of AWS. target/function runs
//     the functions that their AppSpecs name, and target/throttle keeps their calls
//     within the rates that AWS allows.
//   - target/agent: the half of a deployment that runs on a host.
//
// # What it promises
//
//   - Kill the process at any instant. Resume goes on where it was: a step that
//     had ended is not done again, a hook script that was cut off is reported as
//     interrupted, and run again only if Deployment.RerunInterrupted says so.
//   - What is not written down is not done. The journal is written first.
//   - Unknown is never success. A failure says which event on which unit, why, and
//     what to do; match it with errors.AsType and [lifecycle.Error], by its code.
//   - Traffic that somebody else has moved is not overwritten without a word: the
//     deployment holds ([Deployment.OnForeignChange]). A rollback gives traffic only to
//     what is healthy, and waits for it.
//   - Never below the minimum of healthy units, by CodeDeploy's arithmetic.
//   - Rollback goes to the last revision whose whole deployment succeeded, on the
//     units that were touched, and is never itself rolled back.
//   - One controller per group. A second one is refused while the first is alive.
//
// What differs from CodeDeploy, and why, is a table in the README. Why the library
// has the shape it has is in DESIGN.md.
//
// # Stability
//
// This is v0: exported names may still change between minor versions, each time
// with a line in CHANGELOG.md. A journal and the state of a host are read by later
// versions, or refused with a plain message; they are never misread.
package cutover
