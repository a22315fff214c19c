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
	began time.Time
}

func newShow(opt options, stdout, stderr io.Writer) *show {
	s := &show{out: stdout, began: time.Now()}
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

// told are the events that are worth a line; the others are many.
var told = map[lifecycle.Event]bool{lifecycle.BlockTraffic: true, lifecycle.Install: true, lifecycle.AllowTraffic: true, lifecycle.Retire: true, lifecycle.Provision: true}

// record prints a record.
func (s *show) record(r lifecycle.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json != nil {
		_ = s.json.Encode(r) // a reader that has gone away must not stop a deployment
		return
	}
	at := r.Time.Sub(s.began).Round(time.Second)
	switch r.Kind {
	case lifecycle.Planned:
		var p strategy.Plan
		_ = json.Unmarshal(r.Data, &p) // the engine has just written it
		name := p.Strategy
		if p.RollbackOf != "" {
			name = "the way back of " + p.RollbackOf
		}
		fmt.Fprintf(s.out, "%6s %s: %s, %d instances\n", at, r.Step.Deployment, name, len(p.Units))
	case lifecycle.Ended:
		if r.Failure != nil {
			fmt.Fprintf(s.out, "%6s   %s %s FAILED: %s\n", at, clean(r.Step.Unit), r.Step.Event, clean(r.Failure.Message))
		} else if told[r.Step.Event] {
			fmt.Fprintf(s.out, "%6s   %s %s\n", at, clean(r.Step.Unit), r.Step.Event)
		}
	case lifecycle.Noted, lifecycle.Stopped:
		var n struct{ Text, Reason string }
		_ = json.Unmarshal(r.Data, &n)
		fmt.Fprintf(s.out, "%6s   note: %s\n", at, clean(n.Text+n.Reason))
	case lifecycle.Finished:
		fmt.Fprintf(s.out, "%6s %s: %s\n", at, r.Step.Deployment, verdict(r))
	}
}

func verdict(r lifecycle.Record) string {
	var out strategy.Outcome
	_ = json.Unmarshal(r.Data, &out) // the engine has just written it
	text := strings.ToLower(string(out.Verdict))
	if r.Failure == nil {
		return text
	}
	return text + ": " + clean(r.Failure.Message)
}

// clean makes one line of text from hosts safe to print.
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

// plan prints a plan, and the policies that it needs.
func (s *show) plan(p strategy.Plan, controller, hosts string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json != nil {
		return s.json.Encode(map[string]any{"plan": p, "controllerPolicy": json.RawMessage(controller), "hostPolicy": json.RawMessage(hosts)})
	}
	_, err := fmt.Fprintf(s.out, "%s\nIAM policy of the controller\n%s\n\nIAM policy of the hosts\n%s\n", p, controller, hosts)
	return err
}
