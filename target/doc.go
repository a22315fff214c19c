// Package target is the border between the engine and what it deploys to.
//
// A [Target] is one deployment group: it lists its units and performs steps on
// them. The engine decides which step comes when; a target decides nothing. A
// [Task] is a step with what its doer must know, and the [Job] in it is what all
// tasks of a deployment share.
//
// For machines there is a target ready-made. [Fleet] takes one [Host] per machine
// and, if there is a load balancer, its [Traffic]:
//
//	fleet := &target.Fleet{Hosts: []target.Host{web1, web2}, Traffic: balancer}
//
// # A target of your own
//
// Write the two methods of [Target]. What they must keep, apart from doing the
// work:
//
//   - Units are unique and keep their ids from one deployment to the next.
//   - A step is known by its key, [lifecycle.Step.Key]. Asked for again, a step
//     that ended answers as it did then, and has its effect once.
//   - Verbs are absolute: weight 10 means "has 10 now".
//   - When ctx is cancelled, Perform returns soon, with context.Cause(ctx).
//   - A failure is a [lifecycle.Error] with a code. "It failed" and "nobody can
//     say" ([lifecycle.Unknown]) are different answers.
//   - Steps of different units run at the same time.
//
// Package targettest checks all of them in a test of a few lines. Further
// abilities are interfaces of their own that the engine looks for once, before it
// touches anything: [Balanced], [Checker], [TestRouted], [Snapshotter], [Settler], [Narrator]. A [Pool] makes
// the units that a blue/green deployment replaces others with.
package target
