package rollback

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AlarmState is what an alarm says.
type AlarmState string

// The states, in CloudWatch's words.
const (
	AlarmOK      AlarmState = "OK"
	AlarmFiring  AlarmState = "ALARM"
	AlarmUnknown AlarmState = "INSUFFICIENT_DATA"
)

// Alarm is something that says whether all is well: a CloudWatch alarm, a query, a
// probe of the caller's own.
type Alarm interface {
	// Name is unique among the alarms of a deployment.
	Name() string
	// State reads the alarm now. A run calls it from one goroutine at a time, and
	// different alarms at the same time. An error means that it could not be read,
	// which is not OK. It must return soon when ctx is done, which it is after
	// [Watch.Limit]; one that does not may still run when the deployment has ended.
	State(ctx context.Context) (AlarmState, error)
}

// Watch says how alarms are watched while a deployment runs. The zero Watch
// watches nothing.
type Watch struct {
	Alarms []Alarm
	Every  time.Duration // between two polls; zero: 30 s
	// Unreadable is how many polls in a row an alarm may be unreadable, or without
	// data, before that counts as firing. Zero: 3. A watch fails closed: an alarm
	// that does not answer within [Watch.Limit] is unreadable too.
	Unreadable int
	// IgnoreUnreadable lets alarms that cannot be read pass (CodeDeploy:
	// ignorePollAlarmFailure).
	IgnoreUnreadable bool
	// StartAnyway begins although an alarm fires already. That alarm counts only
	// once it has been OK.
	StartAnyway bool
}

// Defaults of a Watch.
const (
	DefaultEvery      = 30 * time.Second
	DefaultUnreadable = 3
)

// Period is the time between two polls.
func (w Watch) Period() time.Duration {
	if w.Every > 0 {
		return w.Every
	}
	return DefaultEvery
}

// Reading is one poll of one alarm.
type Reading struct {
	Alarm string
	State AlarmState
	Err   error // it could not be read
}

// Latch turns readings into one decision. An alarm that has fired has fired: going
// back to OK afterwards changes nothing. A Latch is for one run of one deployment
// and not safe for concurrent use.
type Latch struct {
	watch  Watch
	bad    map[string]int  // polls in a row without a usable answer
	muted  map[string]bool // fired at the start and have not been OK since
	reason string
}

// NewLatch makes a latch from the readings at the start of a deployment. It
// refuses to start while an alarm fires or cannot be read, unless the watch says
// otherwise.
func NewLatch(w Watch, start []Reading) (*Latch, error) {
	l := &Latch{watch: w, bad: map[string]int{}, muted: map[string]bool{}}
	var errs []error
	for _, r := range start {
		switch {
		case r.State == AlarmFiring && r.Err == nil && w.StartAnyway:
			l.muted[r.Alarm] = true
		case r.State == AlarmFiring && r.Err == nil:
			errs = append(errs, fmt.Errorf("alarm %s fires already: see to it first, or start anyway", r.Alarm))
		case !r.usable() && !w.IgnoreUnreadable && r.Err != nil:
			errs = append(errs, fmt.Errorf("alarm %s cannot be read: %w", r.Alarm, r.Err))
		}
	}
	return l, errors.Join(errs...)
}

// usable reports whether a reading says anything.
func (r Reading) usable() bool {
	return r.Err == nil && (r.State == AlarmOK || r.State == AlarmFiring)
}

// Observe takes the readings of a poll and returns why the deployment must stop;
// empty: it need not. Once it has returned a reason it returns that for ever.
func (l *Latch) Observe(rs []Reading) string {
	for _, r := range rs {
		if l.reason != "" {
			break
		}
		l.reason = l.one(r)
	}
	return l.reason
}

func (l *Latch) one(r Reading) string {
	limit := l.watch.Unreadable
	if limit <= 0 {
		limit = DefaultUnreadable
	}
	switch {
	case r.usable() && r.State == AlarmFiring && !l.muted[r.Alarm]:
		return fmt.Sprintf("alarm %s fires", r.Alarm)
	case r.usable():
		l.bad[r.Alarm] = 0
		if r.State == AlarmOK {
			l.muted[r.Alarm] = false
		}
		return ""
	case l.watch.IgnoreUnreadable:
		return ""
	}
	if l.bad[r.Alarm]++; l.bad[r.Alarm] < limit {
		return ""
	}
	why := fmt.Sprintf("it says %q", r.State)
	if r.Err != nil {
		why = r.Err.Error()
	}
	return fmt.Sprintf("alarm %s could not be read %d times in a row: %s", r.Alarm, l.bad[r.Alarm], why)
}
