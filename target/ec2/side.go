package ec2

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// balancer is one target group or one classic load balancer.
type balancer interface {
	String() string
	// check finds out what there is to know, and refuses what cannot work.
	check(ctx context.Context) error
	// put registers instances, and take deregisters them: all, or none and an error.
	put(ctx context.Context, ids []string) error
	take(ctx context.Context, ids []string) error
	// read says how all instances are that it knows. Those that are not in it are not
	// registered.
	read(ctx context.Context) (map[string]standing, error)
	// delay is how long an instance drains.
	delay(ctx context.Context) (time.Duration, error)
	// single reports whether an error of put or take may be about one instance only.
	single(err error) bool
}

// side is a balancer with many who want something of it.
type side struct {
	balancer balancer
	poll     time.Duration
	shared   batch.Shared[map[string]standing]
	delays   batch.Shared[time.Duration]
	wrote    atomic.Int64 // mark of the last change
	writes   batch.Gatherer[move, string, struct{}]
}

// maxBatch is how many instances go into one call.
const maxBatch = 100

func (b *Balancers) newSide(one balancer) *side {
	s := &side{balancer: one, poll: b.poll()}
	s.shared.Read, s.delays.Read = one.read, one.delay
	s.writes.Window, s.writes.Max = b.gather(), maxBatch
	s.writes.Send = func(ctx context.Context, m move, ids []string) []batch.Result[struct{}] {
		return s.send(ctx, m, ids)
	}
	return s
}

// send does a change to many. If one of them may be the trouble, it is found by
// halves, so that each has its own verdict.
func (s *side) send(ctx context.Context, m move, ids []string) []batch.Result[struct{}] {
	write := s.balancer.put
	if m == block {
		write = s.balancer.take
	}
	err := insist(ctx, func() error { return write(ctx, ids) })
	s.wrote.Store(int64(s.shared.Mark()))
	if err != nil && len(ids) > 1 && s.balancer.single(err) {
		half := len(ids) / 2
		return append(s.send(ctx, m, ids[:half]), s.send(ctx, m, ids[half:])...)
	}
	if err != nil && s.balancer.single(err) {
		err = refuse(lifecycle.UnitLost, "%s does not take %s: %v", s.balancer, ids[0], err)
	} else if err != nil {
		err = failed(fmt.Sprintf("%s %d hosts: %s", m.doing, len(ids), s.balancer), err)
	}
	return batch.Same(len(ids), struct{}{}, err)
}

// read looks at the health, again if what is in the way may pass.
func (s *side) read(ctx context.Context) (now map[string]standing, err error) {
	err = insist(ctx, func() (err error) {
		now, err = s.shared.Recent(ctx, int(s.wrote.Load()), recent)
		return err
	})
	if err != nil {
		err = failed("reading the health: "+s.balancer.String(), err)
	}
	return now, err
}

// do makes a move and waits until the host has made it, or never will.
func (s *side) do(ctx context.Context, id string, m move, limit time.Duration, note func(lifecycle.Note)) error {
	if limit == 0 {
		err := insist(ctx, func() (err error) { limit, err = s.delays.Recent(ctx, 0, time.Minute); return err })
		if err != nil {
			return failed("reading the delay: "+s.balancer.String(), err)
		}
		limit += 5 * time.Minute
	}
	if _, err := s.writes.Do(ctx, m, id); err != nil {
		return err
	}
	w := &wait{side: s, id: id, move: m, mark: s.shared.Mark(), began: time.Now(), limit: limit, note: note}
	for {
		over, err := w.look(ctx)
		if over || err != nil {
			return err
		}
	}
}

// wait is a host on its way into traffic or out of it.
type wait struct {
	side  *side
	id    string
	move  move
	mark  int
	began time.Time
	limit time.Duration
	note  func(lifecycle.Note)

	last  standing
	seen  step // what the last look said
	times int  // how often in a row
}

// look waits a little and looks once.
func (w *wait) look(ctx context.Context) (over bool, err error) {
	if err := sleep(ctx, w.side.poll); err != nil {
		return false, err
	}
	all, at, err := w.side.shared.After(ctx, w.mark)
	late := time.Since(w.began) >= w.limit
	switch {
	case errors.Is(err, context.Cause(ctx)) && err != nil:
		return false, err
	case err != nil && (late || !temporary(err)):
		return false, failed("reading the health: "+w.side.balancer.String(), err)
	case err != nil:
		return false, nil // it is read again
	}
	w.mark, w.last = at, all[w.id]
	next := w.move.judge(w.last.State)
	if next != w.seen {
		w.seen, w.times = next, 0
	}
	if w.times++; w.times < agreeing && !late {
		return false, nil
	}
	return w.act(ctx, next, late)
}

// act follows from what was seen more than once, or at last.
func (w *wait) act(ctx context.Context, next step, late bool) (over bool, err error) {
	switch {
	case next == done && w.times >= agreeing:
		return true, nil
	case next == lost:
		return false, refuse(lifecycle.UnitLost, "%s is not running, says %s: %s", w.id, w.side.balancer, w.last)
	case next == hopeless:
		return false, refuse(lifecycle.TrafficUnhealthy, "%s will never be healthy in %s: %s; no listener of a load balancer leads there, or none in the zone of the host", w.id, w.side.balancer, w.last)
	case late:
		return false, w.tooLate()
	case next == again && w.times == agreeing:
		_, err := w.side.writes.Do(ctx, w.move, w.id)
		w.times = 0
		return false, err
	case w.last.State == sick && w.times == agreeing && w.note != nil:
		w.note(lifecycle.Note{Code: lifecycle.TrafficUnhealthy, Text: fmt.Sprintf("%s is not healthy yet in %s: %s", w.id, w.side.balancer, w.last)})
	}
	return false, nil
}

func (w *wait) tooLate() error {
	after := time.Since(w.began).Round(time.Second)
	if w.move == block {
		return refuse(lifecycle.TimedOut, "%s has not drained from %s within %s: %s; it was not touched further, raise Balancers.Drain if requests may take that long", w.id, w.side.balancer, after, w.last)
	}
	return refuse(lifecycle.TrafficUnhealthy, "%s was not healthy in %s within %s, last seen: %s; look at the health check and at what the host answers to it", w.id, w.side.balancer, after, w.last)
}
