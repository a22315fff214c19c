//go:build unix

package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOracle replays what the official agent was seen to do, and compares. Where
// we differ on purpose a rule says why; see oracleRules. In short mode it is every eighth.
func TestOracle(t *testing.T) {
	dir := oracleDir(t)
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	tally := &oracleTally{}
	t.Run("case", func(t *testing.T) {
		for i, e := range list {
			if !e.IsDir() || testing.Short() && i%8 != 0 {
				continue
			}
			t.Run(e.Name(), func(t *testing.T) {
				t.Parallel()
				tally.add(replay(t, loadCase(t, filepath.Join(dir, e.Name()))))
			})
		}
	})
	tally.print(t)
}

// oracleTally counts verdicts. A case that is skipped is not counted.
type oracleTally struct {
	mu                     sync.Mutex
	same, different, wrong int
	skipped                []string
}

func (c *oracleTally) add(verdict, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch verdict {
	case "same":
		c.same++
	case "different":
		c.different++
	case "skipped":
		c.skipped = append(c.skipped, why)
	default:
		c.wrong++
	}
}

func (c *oracleTally) print(t *testing.T) {
	t.Helper()
	if len(c.skipped) > 0 {
		slices.Sort(c.skipped)
		fmt.Printf("oracle: SKIPPED %d cases, this machine lacks what they need: %s\n", len(c.skipped), strings.Join(slices.Compact(c.skipped), ", "))
	}
	fmt.Printf("oracle: %d cases, %d same, %d deliberately different, %d wrong\n",
		c.same+c.different+c.wrong, c.same, c.different, c.wrong)
}

// replay runs a case and returns the verdict. A case in which the agent's
// behaviour is a defect is held against our own expectation; one that we have
// none for must only stay in its own directory and come to an end.
func replay(t *testing.T, c *oracleCase) (verdict, why string) {
	t.Helper()
	if need := c.unmet(); need != "" {
		return "skipped", need
	}
	r := newOracleRun(t, c)
	r.ops(t, c.Setup)
	verdict = "same"
	expect, ours := expectations[c.Name]
	var broke bool
	var earlier []*gotDeploy
	for i := range c.Deployments {
		got := r.deploy(t, i)
		x := &comparison{c: c, d: c.Deployments[i], n: i, want: c.Want[i], got: got, after: broke, earlier: earlier}
		earlier = append(earlier, got)
		x.compare()
		if len(x.diffs) > 0 {
			verdict = "different"
			t.Logf("deployment %d (%s) differs on purpose in %s", i+1, x.d.ID, whats(x.diffs))
		}
		switch {
		case got.Outcome == "broken":
			x.diffs = append(x.diffs, diff{"outcome", "an end", "none"})
		case ours:
			x.diffs = expect.check(t, r, i, got)
		case c.Defect != "":
			x.diffs = nil
			t.Logf("no expectation of ours; got %#v", observed(got))
		default:
			for _, reason := range x.explain() {
				t.Log("since " + reason)
			}
		}
		broke = broke || x.parted
		for _, d := range x.diffs {
			verdict = "wrong"
			t.Errorf("deployment %d (%s): %s:\n  want %s\n  got  %s", i+1, x.d.ID, d.what, d.want, d.got)
		}
		if t.Failed() {
			t.Logf("reported: %+v\nfailure: %+v", got.report, got.report.Failure)
		}
	}
	if !r.contained(t) {
		verdict = "wrong"
	}
	return verdict, ""
}

// newOracleRun makes the place for a case, with something beside it that must
// stay as it is.
func newOracleRun(t *testing.T, c *oracleCase) *oracleRun {
	t.Helper()
	base, err := os.MkdirTemp("", "oracle-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	r := &oracleRun{c: c, base: base, root: filepath.Join(base, "in", "host")}
	require.NoError(t, os.Chmod(base, 0o755))
	require.NoError(t, os.MkdirAll(r.root, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(base, "in", "canary"), []byte("canary\n"), 0o644))
	return r
}

// contained checks that nothing was touched beside the host's root.
func (r *oracleRun) contained(t *testing.T) bool {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(r.root))
	require.NoError(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	data, _ := os.ReadFile(filepath.Join(r.base, "in", "canary"))
	ok := slices.Equal(names, []string{"canary", "host"}) && string(data) == "canary\n"
	for _, path := range []string{"/cd-agent-abs-test.txt"} {
		_, err := os.Lstat(path)
		ok = ok && err != nil
	}
	if !ok {
		t.Errorf("something outside of the host's root was touched: %v", names)
	}
	return ok
}

// diff is one part of an outcome that is not as recorded.
type diff struct{ what, want, got string }

func whats(diffs []diff) string {
	var out []string
	for _, d := range diffs {
		out = append(out, d.what)
	}
	return strings.Join(out, ", ")
}

// comparison holds one deployment against its recorded outcome.
type comparison struct {
	c      *oracleCase
	d      oracleDeploy
	n      int
	want   oracleOutcome
	got    *gotDeploy
	after  bool // an earlier deployment of the case differed on purpose
	parted bool

	earlier []*gotDeploy
	diffs   []diff
}

func (x *comparison) compare() {
	w, g := x.want, &x.got.oracleOutcome
	x.eq("outcome", w.Outcome, g.Outcome)
	x.eq("events", w.Events, g.Events)
	x.eq("failed_event", deref(w.FailedEvent), deref(g.FailedEvent))
	x.compareError(w.Error, g.Error)
	if w.Error != nil && w.DiagLog != nil && g.Error != nil && !x.varies("diag_log") && w.FailedEvent != nil {
		x.eq("diag_log", *w.DiagLog, deref(g.DiagLog))
	}
	if !x.varies("script_log") {
		x.eq("script_log", x.log(w.ScriptLog), x.log(g.ScriptLog))
	}
	x.eq("trace", w.Trace, g.Trace)
	if !x.varies("tree") {
		x.eq("tree", w.Tree, g.Tree)
	}
	if !x.varies("probes") {
		x.eq("probes", probeText(w.Probes), probeText(g.Probes))
	}
	x.eq("last_successful", deref(w.State.LastSuccessful), deref(g.State.LastSuccessful))
	x.eq("most_recent", deref(w.State.MostRecent), deref(g.State.MostRecent))
	x.eq("archives", w.State.Archives, g.State.Archives)
}

func (x *comparison) compareError(w, g *oracleError) {
	if (w == nil) != (g == nil) {
		x.eq("error", w, g)
		return
	}
	if w == nil {
		return
	}
	x.eq("error", w.Kind, g.Kind)
	x.eq("script", deref(w.Script), deref(g.Script))
	if w.ExitStatus != nil && !x.varies("error.exit_status") {
		x.eq("exit_status", *w.ExitStatus, g.ExitStatus)
	}
}

func (x *comparison) varies(part string) bool { return contains(x.c.Varies, part) }

// log drops what a large log has that may vary.
func (x *comparison) log(raw json.RawMessage) any {
	var v any
	if len(bytes.TrimSpace(raw)) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	if m, ok := v.(map[string]any); ok && x.varies("script_log.sha256_without_timestamps") {
		delete(m, "sha256_without_timestamps")
	}
	return v
}

func (x *comparison) eq(what string, want, got any) {
	w, _ := json.Marshal(want)
	g, _ := json.Marshal(got)
	if reflect.DeepEqual(w, g) || emptyJSON(w) && emptyJSON(g) {
		return
	}
	x.diffs = append(x.diffs, diff{what, string(w), string(g)})
}

func emptyJSON(b []byte) bool {
	return slices.Contains([]string{"null", "[]", `""`}, string(b))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func probeText(list []oracleProbe) []string {
	var out []string
	for _, p := range list {
		var v any
		_ = json.Unmarshal(p.Result, &v)
		if list, ok := v.([]any); ok {
			for _, e := range list {
				if m, ok := e.(map[string]any); ok && m["target"] == nil {
					delete(m, "target")
				}
			}
		}
		text, _ := json.Marshal(v)
		out = append(out, p.Op+" "+p.Path+" "+string(text))
	}
	return out
}
