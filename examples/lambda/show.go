package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// newLog prints every step of a version, and how long it took.
func newLog(opt options, stdout, stderr io.Writer) *console.Log {
	began := map[lifecycle.Step]time.Time{}
	return console.NewLog(opt.json, stdout, stderr, func(w io.Writer, r lifecycle.Record) {
		switch r.Kind {
		case lifecycle.Planned:
			fmt.Fprintf(w, "%s: %s\n", r.Step.Deployment, console.Title(console.PlanOf(r)))
		case lifecycle.Started:
			began[r.Step] = r.Time
		case lifecycle.Ended:
			fmt.Fprintf(w, "  version %-4s %-20s %s\n", console.Clean(r.Step.Unit), console.What(r.Step), console.How(r.Failure, r.Time.Sub(began[r.Step])))
		case lifecycle.Noted, lifecycle.Stopped:
			fmt.Fprintf(w, "  note: %s\n", console.Remark(r))
		case lifecycle.Finished:
			fmt.Fprintf(w, "%s: %s\n", r.Step.Deployment, verdict(r))
		}
	})
}

// verdict is how a deployment ended, and why.
func verdict(r lifecycle.Record) string {
	text := console.Verdict(r)
	if r.Failure == nil {
		return text
	}
	return text + ": " + console.Clean(strings.TrimPrefix(r.Failure.Message, text+": "))
}
