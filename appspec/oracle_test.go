package appspec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oracleCase is one line of cases.json; its format is in the README beside it.
type oracleCase struct {
	File     string         `json:"file"`
	Platform string         `json:"platform"`
	Verdict  string         `json:"verdict"`
	Result   map[string]any `json:"result"`
	Quirk    string         `json:"quirk"`
	Error    struct {
		Origin string `json:"origin"`
		Kind   string `json:"kind"`
	} `json:"error"`
}

// difference is what one case shows: the agent's verdict and ours.
type difference struct {
	oracleCase
	text    string
	codes   map[Code]bool // of our errors
	notes   map[Code]bool // of our warnings
	diverge []string      // sections of the result that differ, if both accept
}

func (d difference) accepts() bool { return d.Verdict == "accept" }
func (d difference) refused() bool { return len(d.codes) > 0 }

// stricter are the codes that refuse here what the agent's parser accepts.
var stricter = map[Code]string{
	ErrPathEscapes:       "a path that climbs out of the revision reads or runs what nobody reviewed",
	ErrDuplicateKey:      "a key given twice loses the first silently",
	ErrMultipleDocuments: "text after the first document would not count",
	ErrTooDeep:           "untrusted text is limited in depth",
	ErrTooLarge:          "untrusted text is limited in size",
	ErrTagNotAllowed:     "an AppSpec needs no tags, and readers disagree on them",
	ErrRunAs:             "no account can have the name, and the agent gives it to a shell",
	ErrUnknownOwner:      "no account can have the name, so the agent fails at Install",
	ErrBadPath:           "no path can hold NUL, so the agent fails when it uses it",
	ErrType:              "the agent hands a value that is not text to the system and fails there",
	ErrTimeout:           "no timer holds so many seconds",
	ErrMode:              "a mode is read from its digits as they are written, and this one has none",
}

// oracleRules are the other deliberate differences. A rule speaks of our codes
// and of the agent's verdict, never of single cases.
var oracleRules = []struct {
	reason string
	holds  func(d difference) bool
}{
	{"the case is marked as a peculiarity of the agent's language or YAML reader",
		func(d difference) bool { return d.Quirk != "" }},
	{"aliases within limits are accepted; agents on newer systems refuse them", func(d difference) bool {
		return d.Error.Kind == "yaml_alias" && d.notes[ErrAlias]
	}},
	{"a byte order mark is skipped; the agent miscounts columns after it", func(d difference) bool {
		return !d.accepts() && d.notes[ErrBOM]
	}},
	{"an unquoted mode is read from its digits as they are written", func(d difference) bool {
		return d.notes[ErrMode] && (d.differsIn("permissions") || strings.HasPrefix(d.Error.Kind, "mode_"))
	}},
	{"a number or truth value is taken as its text, with a warning", func(d difference) bool {
		return d.accepts() && !d.refused() && (d.notes[ErrType] || d.notes[ErrUnknownOwner] && d.differsIn("permissions"))
	}},
}

func (d difference) differsIn(section string) bool {
	return len(d.diverge) == 1 && d.diverge[0] == section
}

func oracleDir(t *testing.T) string {
	dir := filepath.Join("..", "..", "shared", "oracle")
	if env := os.Getenv("CUTOVER_ORACLE"); env != "" {
		dir = env
	}
	dir = filepath.Join(dir, "appspec")
	if _, err := os.Stat(filepath.Join(dir, "cases.json")); err != nil {
		require.Empty(t, os.Getenv("CUTOVER_ORACLE"), "CUTOVER_ORACLE names a directory without recorded cases")
		t.Skip("SKIPPED comparison with the official agent: no recorded cases in " + dir)
	}
	return dir
}

// TestOracle compares every recorded verdict and result of the official agent.
func TestOracle(t *testing.T) {
	dir := oracleDir(t)
	data, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	require.NoError(t, err)
	var cases []oracleCase
	require.NoError(t, json.Unmarshal(data, &cases))
	same, different, wrong := 0, 0, 0
	for _, c := range cases {
		d := compare(t, dir, c)
		switch reason := judge(d); {
		case d.accepts() != d.refused() && len(d.diverge) == 0:
			same++
		case reason != "":
			different++
			t.Logf("%s (%s): %s", c.File, c.Verdict, reason)
		default:
			wrong++
			t.Errorf("%s: agent %s %v, here errors %v, sections that differ %v\n%s",
				c.File, c.Verdict, c.Error, d.codes, d.diverge, d.text)
		}
	}
	fmt.Printf("oracle: %d cases, %d same, %d deliberately different, %d wrong\n", len(cases), same, different, wrong)
}

// judge returns the reason of a difference; empty: there is none. Where we refuse
// and the agent accepts, each of our errors needs its own.
func judge(d difference) string {
	for _, r := range oracleRules {
		if r.holds(d) {
			return r.reason
		}
	}
	reason := ""
	for code := range d.codes {
		if stricter[code] == "" || !d.accepts() {
			return ""
		}
		reason = stricter[code]
	}
	return reason
}

func compare(t *testing.T, dir string, c oracleCase) difference {
	text, err := os.ReadFile(filepath.Join(dir, c.File))
	require.NoError(t, err)
	spec, warnings, err := Parse(c.File, text, Options{OS: c.Platform})
	d := difference{oracleCase: c, text: string(text), codes: map[Code]bool{}, notes: map[Code]bool{}}
	for _, p := range problemsOf(t, err) {
		d.codes[p.Code] = true
	}
	for _, p := range warnings {
		d.notes[p.Code] = true
	}
	if c.Verdict == "accept" && spec != nil {
		mine := normalised(t, spec)
		theirs := expected(t, c.Result)
		for _, section := range []string{"os", "file_exists_behavior", "files", "hooks", "permissions"} {
			if !reflect.DeepEqual(mine[section], theirs[section]) {
				d.diverge = append(d.diverge, section)
				d.text += fmt.Sprintf("\nagent %v\nhere  %v", theirs[section], mine[section])
			}
		}
	}
	return d
}

// expected is the agent's result. Only its sudo is reduced, to whether it is set.
func expected(t *testing.T, result map[string]any) map[string]any {
	for _, h := range result["hooks"].([]any) {
		for _, s := range h.(map[string]any)["scripts"].([]any) {
			s := s.(map[string]any)
			s["sudo"] = s["sudo"] != nil && s["sudo"] != false
		}
	}
	return result
}

// normalised brings a Spec into the form of the recorded results.
func normalised(t *testing.T, s *Spec) map[string]any {
	type list = []any
	type obj = map[string]any
	files, hooks, perms := list{}, list{}, list{}
	for _, f := range s.Files {
		files = append(files, obj{"source": f.Source, "destination": f.Destination})
	}
	for _, h := range s.Hooks {
		scripts := list{}
		for _, sc := range h.Scripts {
			scripts = append(scripts, obj{"location": sc.Location, "runas": sc.RunAs, "sudo": sc.Sudo,
				"timeout": sc.Timeout / time.Second})
		}
		hooks = append(hooks, obj{"event": h.Event, "scripts": scripts})
	}
	for _, p := range s.Permissions {
		var acls, context any
		if p.ACLs != nil {
			entries := list{}
			for _, a := range p.ACLs {
				entries = append(entries, a.String())
			}
			acls = entries
		}
		if c := p.Context; c != nil {
			context = obj{"user": none(c.User), "type": c.Type, "range": none(c.Range)}
		}
		perms = append(perms, obj{"object": p.Object, "pattern": p.Pattern, "except": append([]string{}, p.Except...),
			"type": p.Types, "owner": none(p.Owner), "group": none(p.Group), "mode": none(p.ModeText), "acls": acls, "context": context})
	}
	out := obj{"os": s.OS, "file_exists_behavior": none(string(s.FileExists)), "files": files, "hooks": hooks, "permissions": perms}
	data, err := json.Marshal(out)
	require.NoError(t, err)
	var back obj
	require.NoError(t, json.Unmarshal(data, &back))
	return back
}

func none(s string) any {
	if s == "" {
		return nil
	}
	return s
}
