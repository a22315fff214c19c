package main

import (
	"fmt"
	"io"
	"time"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// newLog prints every step of a task set, and how long it took.
func newLog(out io.Writer) *console.Log {
	began := map[lifecycle.Step]time.Time{}
	return console.NewLog(false, out, nil, func(w io.Writer, r lifecycle.Record) {
		switch r.Kind {
		case lifecycle.Planned:
			fmt.Fprintf(w, "%s: %s\n", r.Step.Deployment, console.Title(console.PlanOf(r)))
		case lifecycle.Started:
			began[r.Step] = r.Time
		case lifecycle.Ended:
			fmt.Fprintf(w, "  %-10s %-22s %s\n", console.Clean(r.Step.Unit), console.What(r.Step), console.How(r.Failure, r.Time.Sub(began[r.Step])))
		case lifecycle.Noted, lifecycle.Stopped:
			fmt.Fprintf(w, "  note: %s\n", console.Remark(r))
		case lifecycle.Finished:
			fmt.Fprintf(w, "%s: %s\n", r.Step.Deployment, console.Verdict(r))
		}
	})
}
