package console

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// NewDisplay chooses: JSON lines if asked for, bars on a terminal that has the
// room for a bar per host, lines elsewhere.
func NewDisplay(asJSON bool, hosts int, stdout io.Writer) Display {
	switch {
	case asJSON:
		return jsonLines{json.NewEncoder(stdout)}
	case rows(stdout) > hosts+2:
		return newBars(stdout)
	default:
		return &lines{out: stdout, began: map[lifecycle.Step]time.Time{}}
	}
}

// rows is the height of the terminal that w is; zero: it is none.
func rows(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0
	}
	_, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return height
}

// jsonLines prints the records as the journal has them.
type jsonLines struct{ enc *json.Encoder }

func (j jsonLines) Show(rec lifecycle.Record, _ *strategy.State) {
	_ = j.enc.Encode(rec) // a reader that has gone away must not stop a deployment
}
func (jsonLines) Say(string) {}
func (jsonLines) Close()     {}

// lines prints one line for each thing that happens.
type lines struct {
	out   io.Writer
	began map[lifecycle.Step]time.Time
}

func (l *lines) Say(s string) { fmt.Fprintln(l.out, s) }
func (l *lines) Close()       {}

func (l *lines) Show(rec lifecycle.Record, st *strategy.State) {
	switch rec.Kind {
	case lifecycle.Planned:
		fmt.Fprintln(l.out, headline(st.Plan()))
	case lifecycle.Started:
		l.began[rec.Step] = rec.Time
	case lifecycle.Ended:
		took := rec.Time.Sub(l.began[rec.Step]).Round(time.Millisecond)
		delete(l.began, rec.Step)
		fmt.Fprintf(l.out, "  %-8s  %-18s  %s\n", Clean(rec.Step.Unit), rec.Step.Event, ending(rec.Failure, took))
	case lifecycle.Skipped:
		fmt.Fprintf(l.out, "  %-8s  %-18s  skipped: %s\n", Clean(rec.Step.Unit), "", Clean(rec.Failure.Message))
	case lifecycle.Noted:
		fmt.Fprintf(l.out, "  %snote: %s\n", at(rec.Step), Clean(noteText(rec)))
	case lifecycle.Finished:
		fmt.Fprintln(l.out, verdict(rec, st))
	}
}

func ending(f *lifecycle.Failure, took time.Duration) string {
	if f == nil {
		return fmt.Sprintf("ok, %s", took)
	}
	return fmt.Sprintf("FAILED, %s\n%s", took, indent(story(f), "      "))
}

// story is what a person needs to know about a failure: the message, and the end
// of the log.
func story(f *lifecycle.Failure) string {
	text := f.Message
	if f.Script != "" {
		text = f.Script + ": " + text
	}
	if log := strings.TrimRight(f.Log, "\n"); log != "" {
		text += "\n" + log
	}
	return text
}

func indent(text, by string) string {
	rows := strings.Split(text, "\n")
	for i, row := range rows {
		rows[i] = by + Clean(row)
	}
	return strings.Join(rows, "\n")
}

// at is where a note belongs, empty for the deployment as a whole.
func at(s lifecycle.Step) string {
	if s.Unit == "" {
		return ""
	}
	return fmt.Sprintf("%-8s  %-18s  ", Clean(s.Unit), s.Event)
}

func noteText(rec lifecycle.Record) string {
	var n lifecycle.Note
	if err := json.Unmarshal(rec.Data, &n); err != nil {
		return string(rec.Data)
	}
	return n.Text
}

// headline says what a deployment is going to do.
func headline(p strategy.Plan) string {
	n := 0
	for _, s := range p.Stages {
		n += len(s.Units)
	}
	if p.RollbackOf != "" {
		return fmt.Sprintf("%s: rolling back %s to revision %s on %d hosts", p.Deployment, p.RollbackOf, Name(p.Revision), n)
	}
	return fmt.Sprintf("%s: deploying revision %s to %d hosts, %s", p.Deployment, Name(p.Revision), n, p.Strategy)
}

func verdict(rec lifecycle.Record, st *strategy.State) string {
	out, _ := st.Outcome()
	if out == nil {
		return rec.Step.Deployment + ": ended"
	}
	text := fmt.Sprintf("%s: %s", rec.Step.Deployment, strings.ToLower(string(out.Verdict)))
	if rec.Failure != nil {
		text += ": " + Clean(rec.Failure.Message)
	}
	return text
}

// Name is a revision as a person would call it: the last part of its path.
func Name(r revision.Revision) string { return Clean(filepath.Base(r.Location.Path)) }

// Clean makes one line of text from scripts and revisions safe to print.
func Clean(s string) string { return strings.ReplaceAll(lifecycle.Escape(s), "\n", `\n`) }
