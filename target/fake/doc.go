// Package fake is a world in memory to test deployments against: hosts, a load
// balancer, and faults.
//
// Start with [NewFleet]. A [Fleet] is a target like any other:
//
//	hosts := fake.NewFleet(4)
//	hosts.On(fake.Match{Event: lifecycle.Install, Nth: 3}, fake.Fail(lifecycle.InstallFailed))
//	// deploy to hosts, then look at hosts.Calls()
//
// [Fleet.On] scripts faults: [Fail], [Delay], [Hang], [LoseReply], [Vanish],
// [Interrupt], [Panic]. [Fleet.Randomize] throws them by seed. [Fleet.Balance] puts
// a [Balancer] in front.
//
// The fleet keeps the contract of [target.Target] to the letter: it knows finished
// steps by their key and does not do them twice. It starts no goroutines, and all
// it knows of time are timers, so that in a testing/synctest bubble an hour of
// deployment passes at once.
//
// It does not run hooks and has no files: for those, take real hosts on this
// machine from package onprem.
package fake
