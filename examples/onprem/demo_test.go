package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

func TestDemonstrationGoesAsTold(t *testing.T) {
	root := t.TempDir()
	o := start(t, "-root", root)
	require.Zero(t, o.status, o)
	for _, want := range []string{
		"HOST REVISION 1 REVISION 2 REVISION 3 ROLLBACK TO 2 HAS NOW",
		"host-1 succeeded succeeded failed at ValidateService succeeded revision 2",
		"host-4 succeeded succeeded not touched not touched revision 2",
		"the page greets nobody",
		"All went as told",
	} {
		require.Contains(t, squeeze(o.stdout), want, o)
	}
	require.NotContains(t, o.stdout, "\x1b", "no escape sequences where there is no terminal")
	for _, host := range []string{"host-1", "host-2", "host-3", "host-4"} {
		require.Equal(t, "2\n", tree(t, filepath.Join(root, host))["srv/greeter/site/VERSION"])
	}
}

func TestDemonstrationWithoutRootSaysWhereItIs(t *testing.T) {
	cmd := program(t, "-hosts", "1")
	tmp := t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	o := finish(t, cmd)
	require.Zero(t, o.status, o)
	found, err := filepath.Glob(filepath.Join(tmp, "cutover-onprem-*"))
	require.NoError(t, err)
	require.Len(t, found, 1, "nothing else is left behind")
	require.Contains(t, o.stdout, found[0])
}

func TestDemonstrationAgainInTheSameRoot(t *testing.T) {
	root := t.TempDir()
	require.Zero(t, start(t, "-root", root, "-hosts", "2").status)
	o := start(t, "-root", root)
	require.Zero(t, o.status, o)
	require.Contains(t, squeeze(o.stdout), "host-2 succeeded succeeded not touched not touched revision 2", "it finds the two hosts again: %s", o)
	require.NotContains(t, o.stdout, "host-3")
}

// The journal can be cut at any record: the demonstration ends as it does anyway.
func TestDemonstrationIsFinishedAfterACrash(t *testing.T) {
	for _, n := range []int{1, 2, 30, 70, 95} {
		root := t.TempDir()
		if !crashes(t, "after", n, "-root", root) {
			continue
		}
		o := start(t, "-root", root, "-resume", "-rerun-interrupted")
		require.Zero(t, o.status, "crashed after write %d: %s", n, o)
		require.Contains(t, squeeze(o.stdout), "REVISION 1 REVISION 2 REVISION 3 ROLLBACK TO 2 HAS NOW", o)
		require.Contains(t, o.stdout, "All went as told", o)
	}
}

func TestJSONPrintsTheRecords(t *testing.T) {
	root := t.TempDir()
	o := start(t, "-root", root, "-json")
	require.Zero(t, o.status, o)
	verdicts := []string{}
	lines := bufio.NewScanner(strings.NewReader(o.stdout))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var rec lifecycle.Record
		require.NoError(t, json.Unmarshal(lines.Bytes(), &rec), lines.Text())
		if rec.Kind == lifecycle.Finished {
			var out strategy.Outcome
			require.NoError(t, json.Unmarshal(rec.Data, &out))
			verdicts = append(verdicts, string(out.Verdict))
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, []string{"Succeeded", "Succeeded", "Failed", "Succeeded"}, verdicts)
	require.Contains(t, o.stderr, "HAS NOW", "the table is for people")
}

func TestPlanTouchesNothing(t *testing.T) {
	tmp := t.TempDir()
	root := filepath.Join(tmp, "root")
	for _, args := range [][]string{
		{"-plan", "-root", root},
		{"-plan", "-root", root, "-revision", sample(t, "a", nil), "-strategy", "25%", "-hosts", "8"},
		{"-plan", "-json", "-root", root},
		{"-plan"},
	} {
		cmd := program(t, args...)
		work := filepath.Join(tmp, "work")
		require.NoError(t, os.MkdirAll(work, 0o755))
		cmd.Env = append(cmd.Env, "TMPDIR="+work)
		o := finish(t, cmd)
		require.Zero(t, o.status, o)
		require.Contains(t, o.stdout, "ValidateService", o)
		require.NoDirExists(t, root)
		left, err := os.ReadDir(work)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}
