package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const good = `version: 0.0
os: linux
files:
  - source: site
    destination: /srv/shop
hooks:
  AfterInstall:
    - location: ops/setup.sh
      timeout: 60
`

// files writes a directory and returns its path.
func files(t *testing.T, content map[string]string) string {
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	}
	return dir
}

func validate(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	return status, o.String(), e.String()
}

func TestExitStatus(t *testing.T) {
	dir := files(t, map[string]string{"good.yml": good, "warn.yml": good + "extra: 1\n", "bad.yml": "version: 1\nos: linux\n",
		"ecs.json": `{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {"TaskDefinition": "a:1", "LoadBalancerInfo": {"ContainerName": "a", "ContainerPort": 1}}}}]}`})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		status int
		args   []string
	}{
		{0, []string{at("good.yml")}},
		{0, []string{at("warn.yml")}},
		{1, []string{"-strict", at("warn.yml")}},
		{1, []string{at("bad.yml")}},
		{1, []string{at("good.yml"), at("bad.yml")}},
		{2, []string{at("bad.yml"), at("missing.yml")}},
		{2, []string{at("missing.yml"), at("bad.yml")}},
		{2, []string{dir}},
		{2, nil},
		{2, []string{"-platform", "mainframe", at("good.yml")}},
		{2, []string{"-os", "macos", at("good.yml")}},
		{2, []string{"-json", "-sarif", at("good.yml")}},
		{2, []string{"-nonsense", at("good.yml")}},
		{2, []string{"-bundle", at("nowhere"), at("good.yml")}},
		{0, []string{"-help"}},
		{0, []string{at("ecs.json")}},
		{0, []string{"-platform", "ecs", at("ecs.json")}},
		{1, []string{"-platform", "ecs", at("good.yml")}},
		{1, []string{"-platform", "lambda", at("ecs.json")}},
		{1, []string{"-os", "windows", at("good.yml")}},
	} {
		status, out, errs := validate(t, c.args...)
		require.Equal(t, c.status, status, "%v\n%s%s", c.args, out, errs)
		require.Equal(t, c.status == 2 || c.args[0] == "-help", errs != "", "%v\n%s", c.args, errs)
	}
}

func TestText(t *testing.T) {
	dir := files(t, map[string]string{"a.yml": "version: 0.0\nos: Linux\n"})
	name := filepath.Join(dir, "a.yml")
	_, out, _ := validate(t, "-lines", name)
	require.Equal(t, name+":2:5: error: os: not a supported operating system: found \"Linux\"; want linux or windows; did you mean linux?\n"+
		"  2 | os: Linux\n    |     ^\n"+name+": refused, server, 1 errors, 0 warnings\n", out)
	_, out, _ = validate(t, name)
	require.NotContains(t, out, "^")
}

func TestJSON(t *testing.T) {
	dir := files(t, map[string]string{"a.yml": good, "b.yml": "os: 5\n", "c.yml": "hello\n"})
	status, out, _ := validate(t, "-json", filepath.Join(dir, "a.yml"), filepath.Join(dir, "b.yml"), filepath.Join(dir, "c.yml"))
	require.Equal(t, 1, status)
	list := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, list, 3)
	var a, b, c map[string]any
	require.NoError(t, json.Unmarshal([]byte(list[0]), &a))
	require.NoError(t, json.Unmarshal([]byte(list[1]), &b))
	require.NoError(t, json.Unmarshal([]byte(list[2]), &c))
	require.Equal(t, "accept", a["verdict"])
	require.Empty(t, a["problems"])
	text, err := json.Marshal(a["result"])
	require.NoError(t, err)
	require.JSONEq(t, `{"version": 0, "os": "linux", "file_exists_behavior": null, "files": [{"source": "site", "destination": "/srv/shop"}],
		"hooks": [{"event": "AfterInstall", "scripts": [{"location": "ops/setup.sh", "runas": null, "sudo": null, "timeout": 60}]}], "permissions": []}`, string(text))
	require.Equal(t, []any{"reject", nil, "server"}, []any{b["verdict"], b["result"], b["platform"]})
	require.Len(t, b["problems"], 2)
	require.Equal(t, "unknown", c["platform"])
}

func TestSARIF(t *testing.T) {
	dir := files(t, map[string]string{"a.yml": "version: 0.0\nos: Linux\nextra: 1\n"})
	status, out, _ := validate(t, "-sarif", filepath.Join(dir, "a.yml"))
	require.Equal(t, 1, status)
	var s struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	require.Equal(t, "2.1.0", s.Version)
	require.Len(t, s.Runs[0].Results, 2)
	require.Len(t, s.Runs[0].Tool.Driver.Rules, 2)
	r := s.Runs[0].Results[0]
	require.Equal(t, []string{"OS", "error"}, []string{r.RuleID, r.Level})
	require.True(t, strings.HasPrefix(r.Message.Text, "os: not a supported"), r.Message.Text)
	require.Equal(t, [2]int{2, 5}, [2]int{r.Locations[0].PhysicalLocation.Region.StartLine, r.Locations[0].PhysicalLocation.Region.StartColumn})
	require.Equal(t, "warning", s.Runs[0].Results[1].Level)
	_, out, _ = validate(t, "-sarif", filepath.Join(files(t, map[string]string{"a.yml": good}), "a.yml"))
	require.Contains(t, out, `"results": []`)
}

func TestBundle(t *testing.T) {
	whole := map[string]string{"appspec.yml": good, "site/index.html": "x", "ops/setup.sh": "#!/bin/sh\n"}
	dir := files(t, whole)
	status, out, _ := validate(t, "-bundle", dir)
	require.Equal(t, 0, status, out)
	require.NoError(t, os.Remove(filepath.Join(dir, "ops", "setup.sh")))
	status, out, _ = validate(t, "-bundle", dir, filepath.Join(dir, "appspec.yml"))
	require.Equal(t, 1, status)
	require.Contains(t, out, "appspec.yml:8:7: error: hooks.AfterInstall[0].location: the revision has no such script")
	status, _, errs := validate(t, "-bundle", t.TempDir())
	require.Equal(t, 2, status)
	require.Contains(t, errs, "no AppSpec")
}

func TestTooLargeIsNotReadWhole(t *testing.T) {
	dir := files(t, map[string]string{"a.yml": strings.Repeat("# filler\n", 1<<17)})
	status, out, _ := validate(t, filepath.Join(dir, "a.yml"))
	require.Equal(t, 1, status)
	require.Contains(t, out, "262145 bytes")
}

// TestResultsOfTheOracle compares results with those of the official agent, for
// the cases in which verdicts agree and nothing is marked as differing.
func TestResultsOfTheOracle(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "oracle", "appspec")
	data, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Skip("SKIPPED comparison with the official agent: no recorded cases in " + dir)
	}
	var cases []struct {
		File, Platform, Verdict, Quirk string
		Result                         any
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	same, different := 0, 0
	for _, c := range cases {
		if c.Verdict != "accept" || c.Quirk != "" {
			continue
		}
		status, out, _ := validate(t, "-json", "-os", c.Platform, filepath.Join(dir, c.File))
		if status != 0 {
			continue // TestOracle of the package gives the reasons
		}
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		if reflect.DeepEqual(got["result"], c.Result) {
			same++
			continue
		}
		different++
		t.Logf("%s: %v\n%v", c.File, got["result"], c.Result)
	}
	t.Logf("%d same, %d different", same, different)
	require.Zero(t, different)
}
