package function

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// answer is what a function may return.
type answer struct {
	Status  *string         `json:"hookStatus"`
	Delay   *float64        `json:"callBackDelay"` // seconds
	Details json.RawMessage `json:"hookDetails"`
}

// Bounds of callBackDelay. The default is that of ECS.
const (
	defaultDelay = 30 * time.Second
	minDelay     = time.Second
)

// hear takes in what the function said when it was called.
func (e *Execution) hear(said json.RawMessage, err error, now time.Time, callbacks bool) {
	if err != nil {
		e.hearError(err, now)
		return
	}
	var a answer
	if json.Unmarshal(said, &a) != nil {
		a = answer{} // text, a number: no status in it
	}
	switch {
	case a.Status == nil && callbacks:
		e.Phase = Waiting
	case a.Status == nil:
		e.fail("returned no hookStatus, and cannot call back: let it return {\"hookStatus\": \"SUCCEEDED\"}, or set Hooks.Secret and serve Hooks.Callbacks", string(said))
	case *a.Status == "SUCCEEDED":
		e.Phase, e.Failure = Ended, nil
	case *a.Status == "IN_PROGRESS":
		e.Phase, e.Next, e.Details = Again, now.Add(a.delay()), a.Details
	case *a.Status == "FAILED":
		e.fail("says that it is not well (hookStatus FAILED)", string(said))
	default:
		e.fail(fmt.Sprintf("returned the hookStatus %q, and there are only SUCCEEDED, FAILED and IN_PROGRESS", *a.Status), string(said))
	}
}

func (a answer) delay() time.Duration {
	if a.Delay == nil {
		return defaultDelay
	}
	return max(minDelay, time.Duration(min(*a.Delay, 86400)*float64(time.Second)))
}

// hearError takes in an error. One that says nothing about whether the function ran
// leaves it as being called.
func (e *Execution) hearError(err error, now time.Time) {
	if ran, ok := errors.AsType[*Error](err); ok {
		e.fail("failed: "+ran.Error(), ran.Log)
		return
	}
	known, ok := errors.AsType[*lifecycle.Error](err)
	if !ok || known.Code == lifecycle.Unknown || known.Code == "" {
		return
	}
	if known.Code == lifecycle.Throttled { // it was not called: there is time for another try
		e.Phase, e.Next = Again, now.Add(defaultDelay)
		return
	}
	f := known.Failure
	e.Phase, e.Failure = Ended, &f
}

func (e *Execution) fail(why, log string) {
	e.Phase = Ended
	e.Failure = &lifecycle.Failure{Code: lifecycle.HookFailed, Message: fmt.Sprintf("the function %s %s", e.Function, why), Log: tail(log)}
}

// maxLog is how much is kept of what a function said.
const maxLog = 4 << 10

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxLog {
		return s[len(s)-maxLog:]
	}
	return s
}
