package console

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// bars shows a bar for each host on a terminal, moving as its events end.
type bars struct {
	out      io.Writer
	progress *mpb.Progress // of the deployment in progress; nil: none
	hosts    map[string]*bar
}

// bar is one host's. The library draws it from a goroutine of its own.
type bar struct {
	*mpb.Bar
	mu   sync.Mutex
	text string
}

func newBars(out io.Writer) *bars { return &bars{out: out} }

func (b *bars) Say(s string) {
	b.Close()
	fmt.Fprintln(b.out, s)
}

func (b *bars) Show(rec lifecycle.Record, st *strategy.State) {
	if b.progress == nil {
		b.open(st.Plan())
	}
	h := b.hosts[rec.Step.Unit]
	switch {
	case rec.Kind == lifecycle.Finished:
		b.Close()
		fmt.Fprintln(b.out, verdict(rec, st))
	case rec.Kind == lifecycle.Noted:
		fmt.Fprintf(b.progress, "  %snote: %s\n", at(rec.Step), Clean(noteText(rec)))
	case h == nil:
	case rec.Kind == lifecycle.Started:
		h.say(string(rec.Step.Event))
	case rec.Kind == lifecycle.Ended && rec.Failure == nil:
		h.SetCurrent(1 + int64(position(st.Plan(), rec.Step)))
		if rec.Step.Event == last(st.Plan(), rec.Step.Stage) {
			h.say("done")
		}
	case rec.Kind == lifecycle.Ended, rec.Kind == lifecycle.Skipped:
		h.fail(rec)
		fmt.Fprintf(b.progress, "  %s %s: %s\n", Clean(rec.Step.Unit), rec.Step.Event, indent(story(rec.Failure), "    ")[4:])
	}
}

// open draws the bars of a deployment, each as long as its list of events.
func (b *bars) open(p strategy.Plan) {
	fmt.Fprintln(b.out, headline(p))
	b.progress = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(72))
	b.hosts = map[string]*bar{}
	for _, s := range p.Stages {
		for _, id := range s.Units {
			h := &bar{text: "waiting"}
			h.Bar = b.progress.New(int64(len(s.Moves)), mpb.BarStyle().Lbound("  [").Filler("=").Tip(">").Padding(" ").Rbound("]"),
				mpb.PrependDecorators(decor.Name("  "+Clean(id), decor.WCSyncWidthR)),
				mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + h.says() })))
			b.hosts[id] = h
		}
	}
}

// Close leaves the bars as they stand.
func (b *bars) Close() {
	if b.progress == nil {
		return
	}
	for _, h := range b.hosts {
		if !h.Completed() {
			h.leave()
			h.Abort(false)
		}
	}
	b.progress.Wait()
	b.progress, b.hosts = nil, nil
}

func (h *bar) say(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = s
}

func (h *bar) says() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text
}

func (h *bar) leave() {
	if h.says() == "waiting" {
		h.say("not started")
	}
}

func (h *bar) fail(rec lifecycle.Record) {
	if rec.Kind == lifecycle.Skipped {
		h.say("skipped")
		return
	}
	h.say("FAILED at " + string(rec.Step.Event))
}

// position is the place of a step in its stage's list of events.
func position(p strategy.Plan, s lifecycle.Step) int {
	if s.Stage >= len(p.Stages) {
		return 0
	}
	return max(0, slices.IndexFunc(p.Stages[s.Stage].Moves, func(m strategy.Move) bool {
		return m.Event == s.Event && m.Weight == s.Weight
	}))
}

func last(p strategy.Plan, stage int) lifecycle.Event {
	if stage >= len(p.Stages) || len(p.Stages[stage].Moves) == 0 {
		return ""
	}
	return p.Stages[stage].Moves[len(p.Stages[stage].Moves)-1].Event
}
