// Package command lets two programs of yours be the load balancer of a fleet: one
// that sets a weight, and one that tells it. Whatever balances your hosts, a script
// for it is all that is needed:
//
//	fleet := &target.Fleet{Hosts: hosts, Traffic: &command.Traffic{
//		Set: []string{"/usr/local/bin/lb", "set", "{unit}", "{weight}"},
//		Get: []string{"/usr/local/bin/lb", "get", "{unit}"},
//	}}
//
// # What the programs have to do
//
//   - Set gives the unit its weight, 0 to 100, and returns when it has it: with 0 when
//     its last request has ended, with more when it is in service and healthy. Exit
//     status 0 says so, and nothing else does. It may be asked again for what it has
//     done, also after it was killed in the middle, and must then succeed.
//   - Get prints the weight that the unit has now, alone, as a number, and exits with
//     status 0. It changes nothing.
//
// After a Set that succeeded, Get is asked, and has to say the same.
//
// # How they are run
//
// As a hook script is: the file itself, with the arguments as they are, no shell
// between; {unit} and {weight} in arguments are replaced, and CUTOVER_UNIT and
// CUTOVER_WEIGHT are in the environment, which is otherwise what [Traffic.Env] says.
// At the time limit, or when the deployment is abandoned, everything that the program
// started gets TERM, and after a grace KILL. One that a dead controller left running
// is ended before Set is run again for the unit (Linux). See [lifecycle.Command].
//
// Errors are [*lifecycle.Error] with the codes of scripts, such as ScriptFailed and
// ScriptTimedOut, and with the end of what was printed.
package command
