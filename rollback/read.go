package rollback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// minLimit leaves room for the retries of a client, however often is polled.
	minLimit = 10 * time.Second
	// grace is how long a State may take to notice that its time is over.
	grace = time.Second
)

// Limit is how long an alarm may take to answer: half of the time between two polls,
// so that a poll is over before the next one is due, and never less than 10 s. An
// alarm that takes longer cannot be read. So one that hangs holds up what the others
// say for no longer than this, and a second more if it ignores its context.
func (w Watch) Limit() time.Duration {
	return max(w.Period()/2, minLimit)
}

// Read polls all alarms once. It is [Reader.Read] for those who do not poll again.
func (w Watch) Read(ctx context.Context) []Reading {
	return w.Reader().Read(ctx)
}

// Reader returns what polls the alarms again and again.
func (w Watch) Reader() *Reader {
	r := &Reader{limit: w.Limit(), probes: make([]probe, len(w.Alarms))}
	for i, a := range w.Alarms {
		r.probes[i].alarm = a
	}
	return r
}

// Reader polls the alarms of a [Watch]. It is for one run of one deployment and not
// safe for concurrent use.
type Reader struct {
	limit  time.Duration
	probes []probe
}

// Read polls all alarms at the same time and returns their readings in the order of
// the watch, within [Watch.Limit] and a second. An alarm that has not answered by then
// cannot be read, and neither can one whose State was called by an earlier poll and
// has not returned yet: that is not called again before it has. Of what it says then
// only that it fires is used. When ctx is cancelled Read returns soon; readings that
// are missing then have context.Cause(ctx) as error.
func (r *Reader) Read(ctx context.Context) []Reading {
	ctx, cancel := context.WithTimeoutCause(ctx, r.limit, late(r.limit))
	defer cancel()
	rs := make([]Reading, len(r.probes))
	var all sync.WaitGroup
	for i := range r.probes {
		all.Go(func() { rs[i] = r.probes[i].read(ctx) })
	}
	all.Wait()
	return rs
}

// late is the error of an alarm that was given a time to answer.
func late(limit time.Duration) error {
	return fmt.Errorf("it did not answer within %s: see why it hangs, or set a longer Watch.Every if it is only slow", limit)
}

// probe is one alarm of a [Reader].
type probe struct {
	alarm Alarm
	// out gets the reading of a State that was called and has not returned, as far as
	// is known. Nil: there is none.
	out chan Reading
}

// read polls the alarm. It returns once ctx is done, whatever the alarm does, since a
// State that hangs must not silence the watch. So it may leave a goroutine behind.
func (p *probe) read(ctx context.Context) Reading {
	if p.out != nil {
		select {
		case r := <-p.out: // it says what was true long ago
			if p.out = nil; r.Err == nil && r.State == AlarmFiring {
				return r // an alarm that has fired has fired
			}
		default:
			return Reading{Alarm: name(p.alarm), State: AlarmUnknown, Err: errOut}
		}
	}
	out := make(chan Reading, 1)
	p.out = out
	go func() { out <- ask(ctx, p.alarm) }()
	r, ok := p.wait(ctx)
	switch {
	case !ok:
		return Reading{Alarm: name(p.alarm), State: AlarmUnknown, Err: context.Cause(ctx)}
	case r.Err != nil && ctx.Err() != nil: // whatever it makes of that
		r.State, r.Err = AlarmUnknown, context.Cause(ctx)
	}
	return r
}

var errOut = errors.New("it has not answered since an earlier poll: its State must return when its context is done")

// wait waits for what the alarm says. One that heeds its context is waited for to its
// end, so that the next poll can ask it again.
func (p *probe) wait(ctx context.Context) (r Reading, ok bool) {
	select {
	case r = <-p.out:
		p.out = nil
		return r, true
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case r = <-p.out:
		p.out = nil
		return r, true
	case <-timer.C:
		return Reading{}, false
	}
}

// ask calls the alarm. One that panics cannot be read.
func ask(ctx context.Context, a Alarm) (r Reading) {
	defer func() {
		if cause := recover(); cause != nil {
			r.State, r.Err = AlarmUnknown, fmt.Errorf("it panicked: %v", cause)
		}
	}()
	r.Alarm = a.Name()
	r.State, r.Err = a.State(ctx)
	return r
}

// name is the alarm's name; empty if that panics, which ask reports.
func name(a Alarm) (s string) {
	defer func() { _ = recover() }()
	return a.Name()
}
