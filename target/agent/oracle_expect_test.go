//go:build unix

package agent

import (
	"strings"
	"testing"
)

// expectation is what should happen where the agent's behaviour is a defect, one
// entry per deployment.
type expectation []expected

type expected struct {
	outcome string
	failed  string   // event that fails; empty: none
	code    string   // of the failure
	tree    []string // paths of the destination, "path" or "path -> target" or "path/"; nil: none; any: not looked at
	trace   []string // what the scripts left; nil: nothing; any: not looked at
	probes  []string // results in order; nil: not looked at
}

var anything = []string{"*"}

// observed is what happened, in the form of an expectation.
func observed(got *gotDeploy) expected {
	e := expected{outcome: got.Outcome, failed: got.report.Failed, tree: outline(got.Tree), trace: got.Trace}
	if got.report.Failure != nil {
		e.code = string(got.report.Failure.Code)
	}
	for _, p := range got.Probes {
		e.probes = append(e.probes, string(p.Result))
	}
	return e
}

func (e expectation) check(t *testing.T, _ *oracleRun, n int, got *gotDeploy) []diff {
	t.Helper()
	if n >= len(e) {
		return []diff{{"expectation", "one for every deployment", "none"}}
	}
	want := e[n]
	x := &comparison{}
	x.eq("outcome", want.outcome, got.Outcome)
	x.eq("failed_event", want.failed, got.report.Failed)
	if want.code != "" && got.report.Failure != nil {
		x.eq("code", want.code, string(got.report.Failure.Code))
	}
	if !same(want.tree, anything) {
		x.eq("tree", want.tree, outline(got.Tree))
	}
	if !same(want.trace, anything) {
		x.eq("trace", want.trace, got.Trace)
	}
	if want.probes != nil {
		var results []string
		for _, p := range got.Probes {
			results = append(results, string(p.Result))
		}
		x.eq("probes", want.probes, results)
	}
	return x.diffs
}

// outline is a listing in short.
func outline(tree []treeEntry) []string {
	var out []string
	for _, e := range tree {
		s := e.Path
		switch e.Type {
		case "dir":
			s += "/"
		case "symlink":
			s += " -> " + e.Target
		case "file":
			if !strings.HasPrefix(e.Mode, "0644") {
				s += " " + e.Mode
			}
		default:
			s += " " + e.Type
		}
		out = append(out, s)
	}
	return out
}
