package haproxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Server names a server line of HAProxy's configuration.
type Server struct {
	Backend string
	Name    string
}

// String is the server as HAProxy's commands name it.
func (s Server) String() string { return s.Backend + "/" + s.Name }

// Traffic is the load balancer of a fleet. Set Sockets before first use and leave all
// fields alone then; it may be used from many goroutines.
type Traffic struct {
	// Sockets are the runtime API sockets of level admin: a path, or HOST:PORT of
	// this machine. Several: every one of them balances the same hosts. Required.
	Sockets []string

	// Servers lists the servers of each unit. Nil: those that have the unit's id as
	// name. Not nil: a unit that is not in it is refused.
	Servers map[string][]Server

	// Backends are looked through for servers with a unit's name. Empty: all
	// backends. Not used with Servers.
	Backends []string

	Drain    time.Duration // for requests to end; zero: 5 minutes
	Healthy  time.Duration // for HAProxy to find a server healthy; zero: 5 minutes
	Interval time.Duration // between two looks while waiting; zero: 250 ms
	Timeout  time.Duration // for HAProxy to answer a command; zero: 10 s

	// Shutdown cuts off the requests that have not ended when Drain is over, for
	// example connections of web sockets, and goes on. False: SetWeight fails.
	Shutdown bool

	// Dial connects to a socket. Nil: paths and ports of this machine are dialled,
	// others are refused, since everybody on the way could take the balancer over.
	Dial func(ctx context.Context, socket string) (net.Conn, error)
}

var _ target.Traffic = (*Traffic)(nil)

// Defaults of the settings.
const (
	defaultWait     = 5 * time.Minute
	defaultInterval = 250 * time.Millisecond
	defaultTimeout  = 10 * time.Second
)

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// SetWeight implements [target.Traffic]. When ctx is cancelled it returns its cause
// soon and leaves the servers as they are then.
func (t *Traffic) SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error {
	if w < 0 || w > target.Full {
		return failed(lifecycle.Unsupported, nil, "weight %d of %s: want 0 to %d", w, unit, target.Full)
	}
	spots, err := t.find(ctx, unit)
	if err == nil && w == 0 {
		err = t.takeOut(ctx, spots)
	} else if err == nil {
		err = t.putIn(ctx, spots, w)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// Weight implements [target.Traffic]. A server that is down has the weight that it
// would have if it were up. Servers of one unit with different weights, as a crash may
// leave them, are an error of code Unknown that lists them.
func (t *Traffic) Weight(ctx context.Context, unit string) (lifecycle.Weight, error) {
	spots, err := t.find(ctx, unit)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return 0, cause
	}
	if err != nil {
		return 0, err
	}
	var all []string
	same := true
	for _, s := range spots {
		same = same && s.weight() == spots[0].weight()
		all = append(all, fmt.Sprintf("%s: %d", s, s.weight()))
	}
	if !same {
		return 0, failed(lifecycle.Unknown, nil, "the servers of %s differ in weight: %s; set it anew", unit, strings.Join(all, ", "))
	}
	return spots[0].weight(), nil
}

// spot is one server in one HAProxy.
type spot struct {
	Server
	socket string
	state
}

func (s *spot) String() string { return fmt.Sprintf("%s at %s", s.Server, s.socket) }

// find looks up the servers of a unit at every socket.
func (t *Traffic) find(ctx context.Context, unit string) ([]*spot, error) {
	if len(t.Sockets) == 0 {
		return nil, failed(lifecycle.Unsupported, nil, "there is no socket to ask: set Traffic.Sockets")
	}
	wanted, listed := t.Servers[unit]
	if t.Servers != nil && !listed {
		return nil, failed(lifecycle.TargetFailed, nil, "Traffic.Servers does not list unit %q", unit)
	}
	var all []*spot
	for _, socket := range t.Sockets {
		states, err := t.states(ctx, socket, t.backends(wanted))
		if err != nil {
			return nil, err
		}
		if !listed {
			wanted = named(states, unit)
		}
		if len(wanted) == 0 {
			return nil, failed(lifecycle.TargetFailed, nil, "HAProxy at %s has no server called %q: name the server after the unit, or set Traffic.Servers", socket, unit)
		}
		for _, server := range wanted {
			st, ok := states[server]
			if !ok {
				return nil, failed(lifecycle.TargetFailed, nil, "HAProxy at %s has no server %s, which unit %s needs", socket, server, unit)
			}
			all = append(all, &spot{server, socket, st})
		}
	}
	return all, nil
}

// backends lists the backends to look through; none: all.
func (t *Traffic) backends(wanted []Server) []string {
	if t.Servers == nil {
		return t.Backends
	}
	var backends []string
	seen := map[string]bool{}
	for _, s := range wanted {
		if !seen[s.Backend] {
			seen[s.Backend] = true
			backends = append(backends, s.Backend)
		}
	}
	return backends
}

// failed makes an error with a code. The step is filled in by who knows it.
func failed(code lifecycle.Code, cause error, format string, args ...any) error {
	return &lifecycle.Error{Err: cause, Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}
