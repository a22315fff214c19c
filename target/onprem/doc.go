// Package onprem deploys to machines that are reached without a cloud.
//
// [Local] is a host on the machine of this process: its agent runs in the process
// itself, and needs no installation, no port and no service. By default it is
// the machine: destinations in an AppSpec are taken as written. With
// [Local.Root] it is a directory that stands for a machine: /srv/app of the
// AppSpec lands in ROOT/srv/app, and hook scripts learn the directory from
// [RootVar]. Many such hosts fit on one machine, which is how a fleet is tried
// out without one.
//
// [Locals] makes several at once, and a [target.Fleet] turns them into something
// to deploy to:
//
//	hosts, err := onprem.Locals("/var/lib/fleet", 4)
//	fleet := &target.Fleet{Hosts: hosts}
//
// [SSH] is a host somewhere else. It needs an account to log in to, sh, and nothing
// installed: this program's executable is sent there, once, and started as its agent,
// so the first thing in main is [agent.Main]:
//
//	func main() {
//		agent.Main()
//		access := &onprem.Access{User: "deploy", Keys: []string{"~/.ssh/id_ed25519"}, KnownHosts: []string{"~/.ssh/known_hosts"}}
//		fleet := &target.Fleet{Hosts: []target.Host{
//			&onprem.SSH{ID: "web-1", Address: "10.0.0.1", Access: access},
//			&onprem.SSH{ID: "web-2", Address: "10.0.0.2", Access: access},
//		}}
//		…
//	}
//
// An [Access] is shared by hosts: who logs in, how hosts prove who they are, jump
// hosts, time limits, programs for other platforms. Build the program with
// CGO_ENABLED=0, so that it runs wherever its system and processor are the right ones.
//
// # What SSH promises
//
//   - A step is the host's business once it was asked for. A lost connection, a
//     controller that was killed, a host out of reach for a while: the step goes on,
//     and whoever asks again gets its outcome. Only what the host cannot say, it does
//     not say: a host that stays away is Unknown, one that was never reached UnitLost.
//   - Nothing is sent to a host that has not shown a key that is known for it, or a
//     certificate for its name of an authority that is: [Access.HostCAs], or a line
//     @cert-authority of the known hosts. What a line @revoked has is refused. For a key
//     that is another one, or not known at all, the code is IdentityChanged, and nobody
//     tries again. Nothing is ever added to the known hosts.
//   - Only files that the host has in none of its retained revisions are sent, as one
//     compressed stream, and compared with their digests as they arrive.
//   - One connection for each host, closed after [Access.Idle] without a step.
//
// What it leaves to you: sudo that asks for no password where [SSH.Sudo] is set; jump
// hosts that allow forwarding; a [SSH.State] that is not mounted noexec; a host whose
// systemd ends the processes of a login (KillUserProcesses=yes) needs lingering for the
// account. Besides sh a host has uname, mktemp and head; with gzip the executable comes
// at half its size. PROTOCOL.md of package agent has the details. Hosts with Windows are
// not reached by SSH yet: their shell is another one.
//
// # What Local promises
//
//   - Everything that [target.Host] asks for; package targettest proves it.
//   - What belongs to the host's own bookkeeping is in [Local.State], never among
//     the files of what is deployed.
//   - A crash of this process loses nothing that had ended: the next process with
//     the same State answers for it.
//
// A directory is no prison. Destinations are kept inside it, but a hook script is
// a program like any other and may write wherever its user may.
package onprem
