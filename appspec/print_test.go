package appspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/stretchr/testify/require"
)

// bareJSON is a Spec as JSON without places, to compare Specs of different texts.
func bareJSON(t testing.TB, s *Spec) string {
	t.Helper()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	var c Spec
	require.NoError(t, json.Unmarshal(data, &c))
	for i := range c.Files {
		c.Files[i].Pos = Pos{}
	}
	for i := range c.Hooks {
		c.Hooks[i].Pos = Pos{}
		for j := range c.Hooks[i].Scripts {
			c.Hooks[i].Scripts[j].Pos = Pos{}
		}
	}
	for i := range c.Permissions {
		c.Permissions[i].Pos = Pos{}
	}
	for i := range c.Functions {
		c.Functions[i].Pos = Pos{}
	}
	if c.Service != nil {
		c.Service.Pos = Pos{}
	}
	if c.Function != nil {
		c.Function.Pos = Pos{}
	}
	data, err = json.Marshal(&c)
	require.NoError(t, err)
	return string(data)
}

// roundTrip prints a Spec and reads it back, in both formats.
func roundTrip(t testing.TB, spec *Spec) {
	t.Helper()
	want := bareJSON(t, spec)
	for _, f := range []Format{YAML, JSON} {
		text, err := Print(spec, f)
		require.NoError(t, err)
		if f == JSON {
			require.True(t, json.Valid(text), "%s", text)
		}
		back, _, err := Parse("printed", text, Options{Platform: spec.Platform})
		require.NoError(t, err, "%s", text)
		require.Equal(t, want, bareJSON(t, back), "%s", text)
		again, err := Print(back, f)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	}
}

func TestPrintIsReadBackTheSame(t *testing.T) {
	for _, text := range []string{head, fullExample, ecsText(okService+okNetwork, "Hooks: [{BeforeInstall: a}]\n"), lambdaText(okFunction, ""),
		head + "hooks:\n  'yes': []\n  '<<': []\n  '': [{location: '0x1 2', timeout: '7s', runas: '', sudo: true}, {location: a, sudo: 'no'}, {location: a, sudo: 1}, {location: a, sudo: 0x1F}, {location: a, sudo: .nan}, {location: a, sudo: '\"'}]\n  'a: b #': [{location: ' - '}]\n",
		perm("pattern: '', except: [a, 1], type: [], owner: 12, mode: 0644, acls: ['u:a:r', 'd:g:b:7'], context: {type: ':t', range: 's0:c1'}"),
		"version: 0.0\nos: windows\nfiles:\n  - {source: '\\', destination: 'c:\\temp: x'}\n",
		ecsText("TaskDefinition: {{TASK}}\nLoadBalancerInfo: {ContainerName: 'true', ContainerPort: <PORT>}\n", ""),
	} {
		spec, errs, _ := check(t, text, Options{})
		require.Empty(t, errs)
		roundTrip(t, spec)
	}
}

func TestPrintOfTheCorpusIsReadBackTheSame(t *testing.T) {
	n := 0
	for _, f := range corpus(t) {
		spec, _, err := Parse(f.File, f.text, Options{})
		if err == nil {
			roundTrip(t, spec)
			n++
		}
	}
	t.Logf("%d files", n)
}

func TestPrintOfTheOracleIsReadBackTheSame(t *testing.T) {
	dir := oracleDir(t)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if spec, _, err := Parse(name, data, Options{}); err == nil && printsOnce(spec) {
			roundTrip(t, spec)
		}
	}
}

// printsOnce leaves out what no text can say: lists as keys have no name, so two
// of them are two events without one.
func printsOnce(s *Spec) bool {
	seen := map[lifecycle.Event]bool{}
	return !slices.ContainsFunc(s.Hooks, func(h EventHooks) bool {
		twice := seen[h.Event]
		seen[h.Event] = true
		return twice
	})
}

func TestPrintCanonical(t *testing.T) {
	spec := clean(t, "hooks: {AfterInstall: [{runas: shop, timeout: \"60\", location: ops/a.sh}], BeforeInstall: [{location: b, timeout: 3600}]}\n"+
		"files: [{destination: /srv/shop, source: 'a b'}]\nos: linux\nversion: 0.0\n")
	text, err := Print(spec, YAML)
	require.NoError(t, err)
	require.Equal(t, `version: 0.0
os: linux
files:
  - source: "a b"
    destination: /srv/shop
hooks:
  AfterInstall:
    - location: ops/a.sh
      timeout: 60
      runas: shop
  BeforeInstall:
    - location: b
`, string(text))
	text, err = Print(clean(t, lambdaText(okFunction, "Hooks: [{AfterAllowTraffic: check}]\n")), JSON)
	require.NoError(t, err)
	require.Equal(t, `{
  "version": 0.0,
  "Resources": [
    {
      "shop": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
          "Name": "shop",
          "Alias": "live",
          "CurrentVersion": "3",
          "TargetVersion": "4"
        }
      }
    }
  ],
  "Hooks": [
    {
      "AfterAllowTraffic": "check"
    }
  ]
}
`, string(text))
}

func TestPrintRefusesWhatNoTextCanSay(t *testing.T) {
	script := []Script{{Location: "a", Timeout: time.Second}}
	for _, s := range []*Spec{
		{},
		{Platform: lifecycle.ECS},
		{Platform: lifecycle.Server, OS: "linux", Files: []File{{Source: "\xff", Destination: "/a"}}},
		{Platform: lifecycle.Server, OS: "linux", Hooks: []EventHooks{{Event: "A", Scripts: script}, {Event: "A", Scripts: script}}},
		{Platform: lifecycle.Server, OS: "linux", Hooks: []EventHooks{{Event: "A", Scripts: []Script{{Location: "a", Timeout: time.Millisecond}}}}},
		{Platform: lifecycle.Server, OS: "linux", Hooks: []EventHooks{{Event: "A", Scripts: []Script{{Location: "a", Timeout: time.Second, Sudo: true, SudoText: "1\n  B: []"}}}}},
	} {
		_, err := Print(s, YAML)
		require.Error(t, err)
	}
	_, err := Print(serverSpec(), "toml")
	require.Error(t, err)
}

func TestConvert(t *testing.T) {
	out, warnings, err := Convert("a", []byte(strings.Replace(fullExample, "os:", "extra: 1\nos:", 1)), JSON, Options{})
	require.NoError(t, err)
	with(t, warnings, ErrUnknownField)
	require.True(t, json.Valid(out))
	back, _, err := Convert("b", out, YAML, Options{})
	require.NoError(t, err)
	want, err := Print(clean(t, fullExample), YAML)
	require.NoError(t, err)
	require.Equal(t, string(want), string(back))
	_, _, err = Convert("a", []byte("os: 5"), JSON, Options{})
	require.ErrorIs(t, err, ErrOS)
}

// FuzzPrint checks that whatever is read without an error is printed, read back
// as the same, and printed again to the byte.
func FuzzPrint(f *testing.F) {
	for _, seed := range []string{head, fullExample, ecsText(okService+okNetwork, "Hooks: [{BeforeInstall: a}]\n"), lambdaText(okFunction, ""),
		perm("pattern: '', except: [a, 1], type: [], owner: 12, mode: 0644, acls: ['u:a:r'], context: {type: t, range: 's0:c1'}"),
		head + "hooks:\n  'yes': []\n  '<<': []\n  '': [{location: \"\\x01\\uFEFFä\", timeout: '7s', runas: '', sudo: 1}]\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, _, err := Parse("f", data, Options{})
		if err != nil || !printsOnce(spec) {
			return
		}
		roundTrip(t, spec)
	})
}
