package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// told are the events that are worth a line; the others are many.
var told = map[lifecycle.Event]bool{lifecycle.BlockTraffic: true, lifecycle.Install: true, lifecycle.AllowTraffic: true, lifecycle.Retire: true, lifecycle.Provision: true}

func newLog(opt options, stdout, stderr io.Writer) *console.Log {
	began := time.Now()
	return console.NewLog(opt.json, stdout, stderr, func(w io.Writer, r lifecycle.Record) {
		if text := line(r); text != "" {
			fmt.Fprintf(w, "%6s %s\n", r.Time.Sub(began).Round(time.Second), text)
		}
	})
}

// line is a record for people; empty: it is not worth a line.
func line(r lifecycle.Record) string {
	switch r.Kind {
	case lifecycle.Planned:
		p := console.PlanOf(r)
		return fmt.Sprintf("%s: %s, %d instances", r.Step.Deployment, console.Title(p), len(p.Units))
	case lifecycle.Ended:
		if r.Failure != nil {
			return fmt.Sprintf("  %s %s FAILED: %s", console.Clean(r.Step.Unit), r.Step.Event, console.Clean(r.Failure.Message))
		} else if told[r.Step.Event] {
			return fmt.Sprintf("  %s %s", console.Clean(r.Step.Unit), r.Step.Event)
		}
	case lifecycle.Noted, lifecycle.Stopped:
		return "  note: " + console.Remark(r)
	case lifecycle.Finished:
		text := fmt.Sprintf("%s: %s", r.Step.Deployment, console.Verdict(r))
		if r.Failure != nil {
			text += ": " + console.Clean(r.Failure.Message)
		}
		return text
	}
	return ""
}

// printPlan prints a plan, and the policies that it needs.
func printPlan(log *console.Log, p strategy.Plan, controller, hosts string) error {
	return log.Result(map[string]any{"plan": p, "controllerPolicy": json.RawMessage(controller), "hostPolicy": json.RawMessage(hosts)},
		fmt.Sprintf("%s\nIAM policy of the controller\n%s\n\nIAM policy of the hosts\n%s", p, controller, hosts))
}
