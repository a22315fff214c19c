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
// # What it promises
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
