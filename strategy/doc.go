// Package strategy decides what a deployment does, and does nothing itself.
//
// A [Strategy] makes a [Plan]: ordered stages of units that walk lifecycle events
// at a [Pace], each with a [Hold] after it. Start with [AllAtOnce], [HalfAtATime],
// [OneAtATime], [Percent] or [Count] for hosts in place, with zones and waves by
// [InPlace]; with [BlueGreen] for hosts behind a load balancer; with [ECS] and
// [Lambda] and a [Canary] or [Linear] shift of traffic; or [Parse] a name. A plan is
// pure data: print it, store it, compare it, and ask [Simulate] what it will do.
//
// A [State] is the fold of a deployment's records, by [State.Apply] and by nothing
// else. [Next] looks at a state and the time and says what to note, what to start
// and when to ask again. Whoever drives it writes down first and acts second. So
// a crash, a resume, a stop and a dry run are no special cases: fold what was
// written, and ask Next.
//
// # Guarantees
//
// The arithmetic is CodeDeploy's: percentages become a number of hosts once, at the
// start, rounded up; unhealthy units come first; a healthy unit is taken out of
// service only if the minimum stays healthy without it; one success is needed
// always. Units in the middle of their events finish them when the deployment can
// no longer succeed: nothing new starts, and nothing is left half done.
//
// Where CodeDeploy's documents are silent the choice is the safe one. A minimum
// that leaves no unit free is refused in the plan, also for a group of one. On a
// group without any healthy unit, as many units are in progress as the minimum
// leaves, and the deployment ends when fewer than the minimum can still succeed.
//
// Nothing here reads a clock or has a goroutine. Functions are safe for concurrent
// use; a State is not.
package strategy
