package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// show prints what happens, for people.
type show struct {
	mu    sync.Mutex
	out   io.Writer
	began map[lifecycle.Step]time.Time
}

func newShow(out io.Writer) *show { return &show{out: out, began: map[lifecycle.Step]time.Time{}} }

func (s *show) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// note prints what hooks have to tell.
func (s *show) note(n lifecycle.Note) { s.say("  note: %s", clean(n.Text)) }

// record prints a record.
func (s *show) record(r lifecycle.Record) {
	switch r.Kind {
	case lifecycle.Planned:
		var p strategy.Plan
		_ = json.Unmarshal(r.Data, &p) // the engine has just written it
		what := p.Strategy
		if p.RollbackOf != "" {
			what = "the way back of " + p.RollbackOf
		}
		s.say("%s: %s", r.Step.Deployment, what)
	case lifecycle.Started:
		s.began[r.Step] = r.Time
	case lifecycle.Ended:
		what, how := string(r.Step.Event), fmt.Sprintf("ok, %s", r.Time.Sub(s.began[r.Step]).Round(10*time.Millisecond))
		if r.Step.Event == lifecycle.AllowTraffic {
			what = fmt.Sprintf("%s %d %%", what, r.Step.Weight)
		}
		if r.Failure != nil {
			how = "FAILED: " + clean(r.Failure.Message)
		}
		s.say("  %-10s %-22s %s", clean(r.Step.Unit), what, how)
	case lifecycle.Noted, lifecycle.Stopped:
		var n struct{ Text, Reason string }
		_ = json.Unmarshal(r.Data, &n)
		s.say("  note: %s", clean(n.Text+n.Reason))
	case lifecycle.Finished:
		var out strategy.Outcome
		_ = json.Unmarshal(r.Data, &out)
		s.say("%s: %s", r.Step.Deployment, strings.ToLower(string(out.Verdict)))
	}
}

// clean makes one line of text from elsewhere safe to print.
func clean(s string) string { return strings.ReplaceAll(lifecycle.Escape(s), "\n", `\n`) }

// calls says how many calls of the API there were.
func (s *show) calls(counts map[string]throttle.Count) {
	var parts []string
	sent := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		sent += counts[name].Sent
		parts = append(parts, fmt.Sprintf("%d %s", counts[name].Sent, name))
	}
	s.say("%d API calls: %s", sent, strings.Join(parts, ", "))
}
