//go:build unix

package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

// oracleRun is a case being replayed.
type oracleRun struct {
	c      *oracleCase
	base   string // the only place the case may touch
	root   string // {{ROOT}}
	bundle string // {{BUNDLE}}

	program string // that does the deployments; empty: this one
}

// gotDeploy is what one deployment did, with what only we know.
type gotDeploy struct {
	oracleOutcome
	report childReport
	before []treeEntry // destination before the deployment
	notes  []lifecycle.Note

	extra      []string // what scripts have added to the revision's folder
	specEdited bool     // scripts have changed the AppSpec there
}

func (r *oracleRun) fill(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "{{ROOT}}", r.root), "{{BUNDLE}}", r.bundle)
}

func (r *oracleRun) hide(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte(r.root), []byte("{{ROOT}}"))
}

// standard are the events of the official local tool, in order.
var standard = []string{"BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "DownloadBundle", "BeforeInstall",
	"Install", "AfterInstall", "ApplicationStart", "ValidateService", "BeforeAllowTraffic", "AfterAllowTraffic"}

// deploy replays deployment n and returns what happened.
func (r *oracleRun) deploy(t *testing.T, n int) *gotDeploy {
	t.Helper()
	d := r.c.Deployments[n]
	source := r.makeBundle(t, n+1, d)
	r.ops(t, d.Before)
	got := &gotDeploy{before: r.tree(t, filepath.Join(r.root, "dest"))}
	got.ID = d.ID
	trace := r.traceSize()
	events, refusal := r.events(d, source)
	if refusal != "" {
		got.Outcome, got.Error = "failed", &oracleError{Kind: refusal}
		got.Events = []string{}
	} else {
		r.perform(t, d, source, events, got)
	}
	got.Trace = r.trace(trace)
	got.Tree = r.tree(t, filepath.Join(r.root, "dest"))
	r.state(t, d, got)
	got.ScriptLog = r.scriptLog(d, r.c.Want[n].ScriptLog)
	r.lookIn(d, got)
	got.Probes = r.ops(t, d.After)
	return got
}

// events works out the list of events and does the checks that the official
// tools do before the first one.
func (r *oracleRun) events(d oracleDeploy, source string) (events []string, refusal string) {
	events = slices.Clone(d.Events)
	if events == nil {
		events = slices.Clone(standard)
	}
	if d.Mode == "local" {
		var first []string
		for _, e := range []string{"DownloadBundle", "Install"} {
			if !contains(events, e) {
				first = append(first, e)
			}
		}
		events = append(first, events...)
		if d.Type == "directory" && !hasAppSpec(source, d.AppSpec) {
			return nil, "cli_no_appspec"
		}
		if tooEarly(events) {
			return nil, "cli_event_order"
		}
	}
	for _, e := range events {
		if !regexp.MustCompile(`^[A-Z][a-z0-9]`).MatchString(e) {
			return nil, "bad_event_name"
		}
	}
	return events, ""
}

func hasAppSpec(dir, name string) bool {
	for _, n := range []string{name, "appspec.yml", "appspec.yaml"} {
		if n != "" {
			if _, err := os.Stat(filepath.Join(dir, n)); err == nil {
				return true
			}
		}
	}
	return false
}

func tooEarly(events []string) bool {
	free := []string{"BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall"}
	download, install := slices.Index(events, "DownloadBundle"), slices.Index(events, "Install")
	for i, e := range events {
		if !contains(standard, e) || contains(free, e) {
			continue
		}
		if i < download || i < install && e != "DownloadBundle" {
			return true
		}
	}
	return false
}

// perform runs the events in a process of their own.
func (r *oracleRun) perform(t *testing.T, d oracleDeploy, source string, events []string, got *gotDeploy) {
	t.Helper()
	umask, err := strconv.ParseUint(d.Umask, 8, 32)
	require.NoError(t, err)
	order := childOrder{
		Do: "deploy", Dir: filepath.Join(r.root, "agent"), Root: r.root, Env: r.env(d), Keep: d.MaxRevisions, Umask: int(umask),
		Source: source, Work: filepath.Join(r.base, "work"), Deploy: d.ID, Events: events,
		Report: filepath.Join(r.base, "report"),
		Job: target.Job{
			Application: source, Group: d.Group, GroupName: d.GroupName, AppSpec: d.AppSpec, FileExists: d.FileExists,
			BlueGreen: d.Kind == "BLUE_GREEN", Rollback: d.Creator == "codeDeployRollback",
		},
	}
	if d.Application != nil {
		order.Job.Application = *d.Application
	}
	if d.Mode == "local" {
		for _, e := range append(slices.Clone(standard), events...) {
			order.Job.PossibleEvents = append(order.Job.PossibleEvents, lifecycle.Event(e))
		}
	}
	_ = os.Remove(order.Report)
	killed := r.runChild(t, order, d.KillAfter)
	data, err := os.ReadFile(order.Report)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(r.hide(data), &got.report))
	got.Events, got.notes = got.report.Events, got.report.Notes
	r.judge(got, killed)
}

func (r *oracleRun) judge(got *gotDeploy, killed bool) {
	rep := got.report
	switch {
	case !rep.Done && killed:
		got.Outcome = "crashed"
		got.FailedEvent = &rep.Events[len(rep.Events)-1]
	case rep.Failure != nil:
		got.Outcome, got.FailedEvent = "failed", &rep.Failed
		script, log := rep.Failure.Script, rep.Failure.Log
		got.Error = &oracleError{Kind: kindOfFailure(rep), Script: &script, Gist: rep.Failure.Message}
		if rep.Failure.Code == lifecycle.ScriptFailed && rep.Failure.Signal == "" {
			got.Error.ExitStatus = &rep.Failure.Exit
		}
		got.DiagLog = &log
	case rep.Done:
		got.Outcome = "succeeded"
	default:
		got.Outcome = "broken"
	}
}

// runChild runs this test program again as a child, and reports whether it was
// killed in time.
func (r *oracleRun) runChild(t *testing.T, order childOrder, killAfter float64) bool {
	t.Helper()
	path := filepath.Join(r.base, "order")
	data, err := json.Marshal(order)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	if r.program != "" {
		self = r.program
	}
	out, err := os.Create(filepath.Join(r.base, "child.out"))
	require.NoError(t, err)
	defer out.Close()
	cmd := exec.Command(self)
	cmd.Dir, cmd.Env = r.root, append(slices.Clone(order.Env), childVar+"="+path, "GORACE="+os.Getenv("GORACE"))
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	limit := 60 * time.Second
	if killAfter > 0 {
		limit = time.Duration(killAfter * float64(time.Second))
	}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() { late.Store(true); _ = cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	killed := late.Load()
	if byScript(err) && !killed {
		return true
	}
	if err != nil && !(killed && killAfter > 0) {
		text, _ := os.ReadFile(out.Name())
		t.Fatalf("child: %v (killed at the test's own limit: %v)\n%s", err, killed, text)
	}
	return killed
}

// byScript reports whether a script has killed the process that deploys.
func byScript(err error) bool {
	e, ok := errors.AsType[*exec.ExitError](err)
	return ok && e.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

func (r *oracleRun) env(d oracleDeploy) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	var more []string
	for k, v := range d.Env {
		more = append(more, k+"="+r.fill(v))
	}
	sort.Strings(more)
	return merge(env, more)
}

func (r *oracleRun) traceSize() int64 {
	info, err := os.Stat(filepath.Join(r.root, "trace.log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (r *oracleRun) trace(from int64) []string {
	data, _ := os.ReadFile(filepath.Join(r.root, "trace.log"))
	if int64(len(data)) < from {
		from = 0
	}
	return lines(r.hide(data[from:]))
}

func lines(data []byte) []string {
	if len(data) == 0 {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (r *oracleRun) state(t *testing.T, d oracleDeploy, got *gotDeploy) {
	t.Helper()
	a := &Agent{Dir: filepath.Join(r.root, "agent")}
	h, err := a.History(d.Group)
	require.NoError(t, err)
	if id := h.Installed.Deployment; id != "" {
		got.State.LastSuccessful = &id
	}
	if id := h.Latest.Deployment; id != "" {
		got.State.MostRecent = &id
	}
	list, _ := os.ReadDir(filepath.Join(a.Dir, part(d.Group)))
	got.State.Archives = []string{}
	for _, e := range list {
		got.State.Archives = append(got.State.Archives, e.Name())
	}
}

var (
	stamp       = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)
	stampInside = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)
)

// visible shows bytes that are not UTF-8 as the recorded runs do.
func visible(data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		if c == utf8.RuneError && n == 1 {
			out = fmt.Appendf(out, `\x%02x`, data[0])
		} else {
			out = append(out, data[:n]...)
		}
		data = data[n:]
	}
	return out
}

// scriptLog reads the log of the deployment in the form in which it was recorded.
func (r *oracleRun) scriptLog(d oracleDeploy, want json.RawMessage) json.RawMessage {
	data, err := os.ReadFile(filepath.Join(r.root, "agent", part(d.Group), part(d.ID), "logs", "scripts.log"))
	if err != nil {
		return nil
	}
	data = stamp.ReplaceAll(r.hide(data), nil)
	data = stampInside.ReplaceAll(data, []byte("{{TIME}} "))
	var v any = lines(visible(data))
	if bytes.HasPrefix(bytes.TrimSpace(want), []byte("{")) {
		sum := sha256.Sum256(data)
		v = map[string]any{"lines": bytes.Count(data, []byte("\n")), "bytes_without_timestamps": len(data),
			"sha256_without_timestamps": hex.EncodeToString(sum[:])}
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}
