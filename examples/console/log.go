package console

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// Log prints what happens, line by line: for people, or the records themselves. It is
// safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	out  io.Writer // for people
	json *json.Encoder
	line func(io.Writer, lifecycle.Record)
}

// NewLog makes a log. Line prints a record for people, one at a time. With asJSON,
// records go to stdout as JSON, and all that is for people goes to stderr.
func NewLog(asJSON bool, stdout, stderr io.Writer, line func(io.Writer, lifecycle.Record)) *Log {
	if asJSON {
		return &Log{out: stderr, json: json.NewEncoder(stdout), line: line}
	}
	return &Log{out: stdout, line: line}
}

// Say prints a line for people.
func (l *Log) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, format+"\n", args...)
}

// Record prints a record. The engine calls it as [cutover.Deployment.Observe].
func (l *Log) Record(r lifecycle.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json == nil {
		l.line(l.out, r)
		return
	}
	_ = l.json.Encode(r) // a reader that has gone away must not stop a deployment
}

// Result prints what the program was run for: the text, or the value as JSON.
func (l *Log) Result(value any, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json != nil {
		return l.json.Encode(value)
	}
	_, err := fmt.Fprintln(l.out, text)
	return err
}

// PlanOf is the plan of a record that a deployment is planned.
func PlanOf(r lifecycle.Record) (p strategy.Plan) {
	_ = json.Unmarshal(r.Data, &p) // the engine has just written it
	return p
}

// Title says what a deployment is going to do.
func Title(p strategy.Plan) string {
	if p.RollbackOf != "" {
		return "the way back of " + p.RollbackOf
	}
	return p.Strategy
}

// Remark is what a note, or a word to stop, says.
func Remark(r lifecycle.Record) string {
	var n struct{ Text, Reason string }
	_ = json.Unmarshal(r.Data, &n) // the engine has just written it
	return Clean(n.Text + n.Reason)
}

// What is what a step does, with the share of the traffic that it gives.
func What(s lifecycle.Step) string {
	if s.Event == lifecycle.AllowTraffic {
		return fmt.Sprintf("%s %d %%", s.Event, s.Weight)
	}
	return string(s.Event)
}

// How is how a step ended.
func How(f *lifecycle.Failure, took time.Duration) string {
	if f == nil {
		return fmt.Sprintf("ok, %s", took.Round(10*time.Millisecond))
	}
	return "FAILED: " + Clean(f.Message)
}

// Verdict is how a deployment ended, of the record that it is finished.
func Verdict(r lifecycle.Record) string {
	var out strategy.Outcome
	_ = json.Unmarshal(r.Data, &out) // the engine has just written it
	return strings.ToLower(string(out.Verdict))
}
