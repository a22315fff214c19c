package haproxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// calm is how many looks in a row must find no request. One can come between being
// given to a server and being counted there.
const calm = 2

// lastLook bounds the wait for requests that were cut off to be gone.
const lastLook = 5 * time.Second

// takeOut drains the servers and puts them into maintenance.
func (t *Traffic) takeOut(ctx context.Context, spots []*spot) error {
	limit := or(t.Drain, defaultWait)
	end := time.Now().Add(limit)
	_, err := t.reach(ctx, spots, limit/2, goal{do: t.drain(ctx), out: true, good: row.idle, looks: calm})
	if err != nil {
		return err
	}
	left, err := t.reach(ctx, spots, time.Until(end), goal{do: t.each(ctx, "set server %s state maint"), out: true, good: row.idle, looks: calm})
	switch {
	case err != nil || len(left) == 0:
		return err
	case !t.Shutdown:
		return failed(lifecycle.TimedOut, nil, "not drained within %v: %s; nothing new comes to it; raise Traffic.Drain, or set Traffic.Shutdown to cut off what is left", limit, describe(left, row.load))
	}
	left, err = t.reach(ctx, spots, lastLook, goal{do: t.each(ctx, "shutdown sessions server %s"), good: row.idle, looks: calm})
	if err == nil && len(left) > 0 {
		err = failed(lifecycle.TimedOut, nil, "requests do not end although HAProxy was told to cut them off: %s", describe(left, row.load))
	}
	return err
}

// each sends a command for a server.
func (t *Traffic) each(ctx context.Context, command string) func(*spot) error {
	return func(s *spot) error { return t.tell(ctx, s, fmt.Sprintf(command, s.Server)) }
}

// drain keeps new requests from a server. One in maintenance gets none already, and
// would get some of pinned clients again.
func (t *Traffic) drain(ctx context.Context) func(*spot) error {
	return func(s *spot) error {
		if s.admin&maintForced != 0 {
			return nil
		}
		return t.tell(ctx, s, fmt.Sprintf("set server %s state drain", s.Server))
	}
}

// putIn gives the servers a weight, waits until HAProxy finds them healthy, and lets
// requests come.
func (t *Traffic) putIn(ctx context.Context, spots []*spot, w lifecycle.Weight) error {
	for _, s := range spots {
		if err := s.settable(w); err != nil {
			return err
		}
	}
	limit := or(t.Healthy, defaultWait)
	left, err := t.reach(ctx, spots, limit, goal{do: t.wake(ctx, w), good: row.up, looks: 1})
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return failed(lifecycle.TrafficUnhealthy, nil, "not healthy within %v: %s; look at the application, and at the check in HAProxy's configuration", limit, describe(left, row.health))
	}
	for _, s := range spots {
		if err := t.tell(ctx, s, fmt.Sprintf("set server %s state ready", s.Server)); err != nil {
			return err
		}
	}
	return t.hasIt(ctx, spots, w)
}

// wake gives a server its weight, and lets HAProxy check one in maintenance before it
// gets a request. HAProxy would take it for healthy until a check fails.
func (t *Traffic) wake(ctx context.Context, w lifecycle.Weight) func(*spot) error {
	return func(s *spot) error {
		command := fmt.Sprintf("set weight %s %d%%", s.Server, w)
		if s.admin&maintForced != 0 {
			command += fmt.Sprintf("; set server %s state drain", s.Server)
			if s.checks&checksOn != 0 {
				command += fmt.Sprintf("; set server %s health down", s.Server)
			}
		}
		return t.tell(ctx, s, command)
	}
}

// hasIt reads the weight back.
func (t *Traffic) hasIt(ctx context.Context, spots []*spot, w lifecycle.Weight) error {
	for _, s := range spots {
		states, err := t.states(ctx, s.socket, []string{s.Backend})
		if err != nil {
			return err
		}
		if got := states[s.Server].weight(); got != w {
			return failed(lifecycle.TargetFailed, nil, "%s has weight %d after it was given %d: does it follow another server, or does somebody else change it?", s, got, w)
		}
	}
	return nil
}

// goal is what servers are brought to.
type goal struct {
	do    func(*spot) error
	out   bool // a server that is in service again, after a reload of HAProxy, is done again
	good  func(row) bool
	looks int // in a row that must find all of them good
}

// laggard is a server that did not come to where it should be.
type laggard struct {
	*spot
	row
}

// reach brings every server to the goal and waits until all are there. It returns
// those that are not in time.
func (t *Traffic) reach(ctx context.Context, spots []*spot, limit time.Duration, g goal) ([]laggard, error) {
	end := time.Now().Add(limit)
	for _, s := range spots {
		if err := g.do(s); err != nil {
			return nil, err
		}
	}
	for good := 0; ; {
		behind, err := t.behind(ctx, spots, g)
		if good++; len(behind) > 0 {
			good = 0
		}
		switch {
		case err != nil || good == g.looks:
			return nil, err
		case !time.Now().Before(end):
			return behind, nil
		case !pause(ctx, min(or(t.Interval, defaultInterval), max(time.Until(end), time.Millisecond))):
			return nil, context.Cause(ctx)
		}
	}
}

// behind looks at the servers once and lists those that are not at the goal.
func (t *Traffic) behind(ctx context.Context, spots []*spot, g goal) (found []laggard, err error) {
	for _, s := range spots {
		r, err := t.look(ctx, s)
		if err != nil {
			return nil, err
		}
		again := g.out && r.serves()
		if again {
			s.admin = 0
			if err := g.do(s); err != nil {
				return nil, err
			}
		}
		if again || !g.good(r) {
			found = append(found, laggard{s, r})
		}
	}
	return found, nil
}

func describe(all []laggard, what func(row) string) string {
	var texts []string
	for _, l := range all {
		texts = append(texts, fmt.Sprintf("%s: %s", l.spot, what(l.row)))
	}
	return strings.Join(texts, "; ")
}
