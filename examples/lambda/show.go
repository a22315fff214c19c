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

// show prints what happens: lines for people, or the records themselves.
type show struct {
	mu    sync.Mutex
	out   io.Writer // for people
	json  *json.Encoder
	began map[lifecycle.Step]time.Time
}

func newShow(opt options, stdout, stderr io.Writer) *show {
	s := &show{out: stdout, began: map[lifecycle.Step]time.Time{}}
	if opt.json {
		s.out, s.json = stderr, json.NewEncoder(stdout)
	}
	return s
}

func (s *show) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// note prints what hooks have to tell.
func (s *show) note(n lifecycle.Note) { s.say("note: %s", clean(n.Text)) }

// record prints a record.
func (s *show) record(r lifecycle.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json != nil {
		_ = s.json.Encode(r) // a reader that has gone away must not stop a deployment
		return
	}
	switch r.Kind {
	case lifecycle.Planned:
		var p strategy.Plan
		_ = json.Unmarshal(r.Data, &p) // the engine has just written it
		fmt.Fprintf(s.out, "%s: %s\n", r.Step.Deployment, headline(p))
	case lifecycle.Started:
		s.began[r.Step] = r.Time
	case lifecycle.Ended:
		fmt.Fprintf(s.out, "  version %-4s %-20s %s\n", clean(r.Step.Unit), what(r.Step), how(r.Failure, r.Time.Sub(s.began[r.Step])))
	case lifecycle.Noted, lifecycle.Stopped:
		var n struct{ Text, Reason string }
		_ = json.Unmarshal(r.Data, &n)
		fmt.Fprintf(s.out, "  note: %s\n", clean(n.Text+n.Reason))
	case lifecycle.Finished:
		fmt.Fprintf(s.out, "%s: %s\n", r.Step.Deployment, verdict(r))
	}
}

func headline(p strategy.Plan) string {
	if p.RollbackOf != "" {
		return "the way back of " + p.RollbackOf
	}
	return p.Strategy
}

func what(step lifecycle.Step) string {
	if step.Event == lifecycle.AllowTraffic {
		return fmt.Sprintf("%s %d %%", step.Event, step.Weight)
	}
	return string(step.Event)
}

func how(f *lifecycle.Failure, took time.Duration) string {
	if f == nil {
		return fmt.Sprintf("ok, %s", took.Round(10*time.Millisecond))
	}
	return "FAILED: " + clean(f.Message)
}

func verdict(r lifecycle.Record) string {
	var out strategy.Outcome
	_ = json.Unmarshal(r.Data, &out) // the engine has just written it
	text := strings.ToLower(string(out.Verdict))
	if r.Failure == nil {
		return text
	}
	return text + ": " + clean(strings.TrimPrefix(r.Failure.Message, text+": "))
}

// clean makes one line of text from functions safe to print.
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

// plan prints a plan, and the policy that it needs.
func (s *show) plan(p strategy.Plan, policy string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json != nil {
		return s.json.Encode(map[string]any{"plan": p, "policy": json.RawMessage(policy)})
	}
	_, err := fmt.Fprintf(s.out, "%s\nIAM policy\n%s\n", p, policy)
	return err
}
