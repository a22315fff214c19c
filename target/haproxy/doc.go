// Package haproxy takes hosts out of HAProxy and puts them back, through its runtime
// API.
//
// A [Traffic] is what [target.Fleet] needs to deploy in place without a lost request:
//
//	fleet := &target.Fleet{Hosts: hosts, Traffic: &haproxy.Traffic{
//		Sockets: []string{"/run/haproxy/admin.sock"},
//	}}
//
// HAProxy must have a socket of level admin:
//
//	global
//	    stats socket /run/haproxy/admin.sock mode 660 level admin
//
// # How a host is found
//
// Without further settings a unit is every server of its name, in every backend of
// every socket. [Traffic.Backends] limits where, [Traffic.Servers] names the servers
// of each unit. Several sockets are several HAProxies in front of the same hosts: a
// unit has a weight when it has it in all of them.
//
// # What is done
//
//   - Weight 0: the server is drained: it gets no new requests, and those that it has
//     are waited for. Then it goes into maintenance, where its health is not checked,
//     so that stopping the application alarms nobody. Clients that HAProxy pins to
//     the server by a cookie or a stick table go on to reach a draining server;
//     therefore it goes into maintenance at half of [Traffic.Drain] at the latest.
//   - More: the server is brought out of maintenance as draining and down. HAProxy's
//     own checks have to find it healthy, as often as the configuration says (rise);
//     only then it gets requests. Without checks in the configuration it gets them at
//     once: nobody knows better.
//
// Weights are shares of the weight in the configuration: 100 is all of it. So 10
// needs a server with "weight 100" or the like; with HAProxy's default of 1 there is
// nothing between 0 and 100, and it is refused. Nothing is written to HAProxy's
// configuration. A reload forgets what was set, unless the configuration has
// load-server-state-from-file; while a call waits, it sets again what was forgotten.
//
// # What can go wrong
//
// Errors are [*lifecycle.Error]: TimedOut with the number of requests that did not
// end, TrafficUnhealthy with HAProxy's reason, Unsupported for weights that cannot be
// set, TargetFailed for everything that HAProxy refuses, in its words, and Unknown
// where it does not answer, so that the engine asks again. A host that could not be
// drained, or did not become healthy, is left without new requests.
//
// The runtime API has no password and no encryption. So sockets are files or TCP
// ports of this machine; to reach another, give a [Traffic.Dial] that goes through a
// tunnel.
package haproxy
