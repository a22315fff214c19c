// Package fake is a world in memory to test deployments against: hosts, services and
// aliases, load balancers, and faults.
//
// There is a target for every kind of deployment:
//
//   - [NewFleet]: hosts, deployed to in place. [Fleet.Balance] puts a [Balancer] in
//     front.
//   - [NewBlueGreen]: hosts that are replaced by others. [Fleet.Provision] makes the
//     replacements.
//   - [NewService]: an ECS service, with one task set that replaces another.
//   - [NewAlias]: an alias of a Lambda function, with two versions.
//
// A fake is a target like any other:
//
//	hosts := fake.NewFleet(4)
//	hosts.On(fake.Match{Event: lifecycle.Install, Nth: 3}, fake.Fail(lifecycle.InstallFailed))
//	// deploy to hosts, then look at hosts.Calls()
//
// # Faults
//
// [Fleet.On] scripts faults: [Fail], [Delay], [Hang], [Stick], [LoseReply], [Vanish],
// [Interrupt], [Throttle], [StaleRead], [Panic]. [Fleet.Randomize] throws them by seed.
// [Fleet.SetHealth] makes a unit sick, so that it is given no traffic. [Service] and
// [Alias] have the same methods.
//
// # What they keep
//
// They keep the contract of [target.Target] to the letter: they know finished steps by
// their key and do not do them twice. They also refuse what would be a mistake in the
// real world: a unit with traffic is not retired, a task set that does not exist gets
// none, and events that the kind does not have are not done. They start no goroutines,
// and all that they know of time are timers, so that in a testing/synctest bubble an
// hour of deployment passes at once. The directory examples/faketest shows such tests.
//
// They do not run hooks and have no files: for those, take real hosts on this
// machine from package onprem.
package fake
