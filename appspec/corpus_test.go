package appspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/stretchr/testify/require"
)

// published is one file of the collection, and what is recorded of it.
type published struct {
	File, Platform string
	Agent          *string // nil: not for servers
	Tags           []string
	YAML           map[string]string
	text           []byte
	codes          map[Code]bool // of our problems
	errors         []*Problem
	warnings       []*Problem
}

func (f *published) tagged(tag string) bool { return slices.Contains(f.Tags, tag) }

// has reports whether one of the codes is among the problems.
func (f *published) has(codes ...Code) bool {
	return slices.ContainsFunc(codes, func(c Code) bool { return f.codes[c] })
}

// corpus reads and parses the collection; it skips where there is none.
func corpus(t *testing.T) []*published {
	dir := filepath.Join("..", "..", "shared", "corpus", "appspec")
	if env := os.Getenv("CUTOVER_CORPUS"); env != "" {
		dir = env
	}
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		require.Empty(t, os.Getenv("CUTOVER_CORPUS"), "CUTOVER_CORPUS names a directory without a collection")
		t.Skip("SKIPPED parsing of published AppSpecs: no collection in " + dir)
	}
	var index []*published
	require.NoError(t, json.Unmarshal(data, &index))
	require.NotEmpty(t, index)
	for _, f := range index {
		f.text, err = os.ReadFile(filepath.Join(dir, f.File))
		require.NoError(t, err)
		_, f.warnings, err = Parse(f.File, f.text, Options{})
		f.errors = problemsOf(t, err)
		f.codes = map[Code]bool{}
		for _, p := range slices.Concat(f.errors, f.warnings) {
			f.codes[p.Code] = true
			require.LessOrEqual(t, p.Line, strings.Count(string(f.text), "\n")+1, "%v", p)
		}
	}
	return index
}

// stricterHere are the errors that a file may get although it is recorded as well
// formed or as accepted by the agent.
var stricterHere = map[Code]string{
	ErrDuplicateKey:   "a key given twice loses the first silently: in the published files, whole lists of scripts",
	ErrPathEscapes:    "a path that climbs out of the revision reads or runs what nobody reviewed",
	ErrType:           "a number as a path fails in the agent at Install",
	ErrTagNotAllowed:  "the YAML tags of CloudFormation are not resolved by CodeDeploy: an unrendered template",
	ErrMissingField:   "a blank text is no value where one is required, and of a network all three parts are",
	ErrLambdaVersion:  "$LATEST and words are not versions that an alias can point to",
	ErrTaskDefinition: "no task definition can have the name, whatever is registered",
	ErrEnum:           "a list of all choices, copied from the documentation, is none of them",
	ErrPort:           "0 is no port that a container can be reached at",
	ErrUnknownEvent:   "on ECS and Lambda an event that does not exist is refused, as by CodeDeploy",
}

// tagCodes says which of our problems answers to a recorded mistake: one of them.
var tagCodes = map[string][]Code{
	"yaml-error":                     {ErrSyntax, ErrAlias, ErrTagNotAllowed},
	"duplicate-key":                  {ErrDuplicateKey},
	"empty":                          {ErrEmpty},
	"not-a-mapping":                  {ErrNotMapping},
	"missing-version":                {ErrVersion, ErrKeyCase},
	"bad-version":                    {ErrVersion},
	"version-string":                 {ErrVersion},
	"version-int":                    {ErrVersion},
	"missing-os":                     {ErrOS},
	"bad-os":                         {ErrOS},
	"mixed-sections":                 {ErrMixedPlatforms},
	"unknown-top-key":                {ErrUnknownField, ErrKeyCase},
	"section-wrong-case":             {ErrKeyCase, ErrUnknownField},
	"unknown-file-key":               {ErrUnknownField},
	"unknown-hook-key":               {ErrUnknownField},
	"unknown-property":               {ErrUnknownField, ErrKeyCase},
	"unknown-resource-key":           {ErrUnknownField, ErrKeyCase, ErrIndentation},
	"unknown-event":                  {ErrUnknownEvent, ErrEventNotScriptable},
	"reserved-event":                 {ErrEventNotScriptable},
	"event-of-other-platform":        {ErrUnknownEvent, ErrEventNotScriptable},
	"event-wrong-case":               {ErrUnknownEvent, ErrKeyCase},
	"glob-source":                    {ErrBadPath},
	"relative-destination":           {ErrBadPath},
	"hooks-not-list":                 {ErrType},
	"hook-not-list":                  {ErrType},
	"hook-value-not-string":          {ErrType, ErrMissingField},
	"hook-missing-location":          {ErrMissingField},
	"file-missing-source":            {ErrMissingField},
	"file-missing-destination":       {ErrMissingField},
	"files-not-list":                 {ErrType},
	"files-entry-not-mapping":        {ErrType},
	"timeout-not-integer":            {ErrTimeout},
	"timeout-not-positive":           {ErrTimeout},
	"event-timeout-sum-over-3600":    {ErrEventTimeoutSum},
	"runas-on-windows":               {ErrNotSupportedOnOS},
	"permissions-on-windows":         {ErrNotSupportedOnOS},
	"permission-missing-object":      {ErrMissingField},
	"permissions-not-list":           {ErrType},
	"except-scalar":                  {ErrType},
	"mode-unquoted-octal":            {ErrMode},
	"multiple-resources":             {ErrResources},
	"resource-not-mapping":           {ErrType, ErrIndentation},
	"resource-entry-extra-keys":      {ErrIndentation, ErrResources},
	"wrong-resource-type":            {ErrEnum, ErrMissingField, ErrKeyCase, ErrIndentation},
	"missing-properties":             {ErrMissingField, ErrKeyCase, ErrIndentation},
	"missing-TaskDefinition":         {ErrMissingField},
	"missing-LoadBalancerInfo":       {ErrMissingField},
	"missing-ContainerName":          {ErrMissingField},
	"missing-ContainerPort":          {ErrMissingField},
	"missing-Name":                   {ErrMissingField},
	"missing-Alias":                  {ErrMissingField},
	"missing-CurrentVersion":         {ErrMissingField},
	"missing-TargetVersion":          {ErrMissingField},
	"platform-version-empty":         {ErrEnum},
	"bad-file_exists_behavior":       {ErrEnum},
	"misplaced-file_exists_behavior": {ErrUnknownField},
	"junk-after-first-document":      {ErrMultipleDocuments},
}

// tagRules are the recorded mistakes that need no problem of their own, by rule.
var tagRules = []struct {
	reason string
	holds  func(f *published, tag string) bool
}{
	{"nothing is said about the content of a file that is not YAML, has no mapping or is for nothing known", func(f *published, _ string) bool {
		return f.has(ErrSyntax, ErrNotMapping, ErrEmpty, ErrPlatform)
	}},
	{"a file with a tag that is not allowed is not read further where the tag stands", func(f *published, _ string) bool {
		return f.has(ErrTagNotAllowed)
	}},
	{"text behind the end of the first document covers what is missing in it", func(f *published, _ string) bool {
		return f.has(ErrMultipleDocuments)
	}},
	{"a section for servers beside Resources is covered by one message", func(f *published, _ string) bool {
		return f.has(ErrMixedPlatforms)
	}},
	{"a number in quotes is a number of seconds, as for the agent", func(f *published, tag string) bool {
		return tag == "timeout-not-integer" && regexp.MustCompile(`timeout"?\s*:\s*["']\d+["']`).Match(f.text)
	}},
	{"the members of what has the wrong shape are not looked at", func(f *published, tag string) bool {
		return tag == "duplicate-key" && f.has(ErrType)
	}},
	{"null under a key is the same as no key", func(f *published, tag string) bool {
		return tag == "platform-version-empty" && regexp.MustCompile(`PlatformVersion"?:\s*(?:null|~)?\s`).Match(f.text)
	}},
	{"permissions on Windows are refused as a whole", func(f *published, tag string) bool {
		return f.has(ErrNotSupportedOnOS) && strings.Contains(tag, "permission")
	}},
}

// TestCorpusPlatform recognises the platform of every published file, broken ones
// among them.
func TestCorpusPlatform(t *testing.T) {
	for _, f := range corpus(t) {
		want := lifecycle.Platform(f.Platform)
		if want == "unknown" {
			want = ""
		}
		require.Equal(t, want, Detect(f.text), "%s\n%s", f.File, f.text)
	}
}

// TestCorpusYAML agrees on what is YAML at all.
func TestCorpusYAML(t *testing.T) {
	for _, f := range corpus(t) {
		readable := f.YAML["libyaml"] == "ok"
		require.Equal(t, !readable, f.has(ErrSyntax, ErrAlias), "%s: %v\n%s", f.File, f.YAML, lines(f.errors))
	}
}

// TestCorpus parses published AppSpecs. None may panic. What the agent accepts is
// accepted, but for the rules; what it refuses is refused. For ECS and Lambda,
// where no agent decides, what is malformed gets a problem and what is not gets
// no error, but for the rules.
func TestCorpus(t *testing.T) {
	clean, found, ruled := 0, 0, 0
	for _, f := range corpus(t) {
		malformed := f.tagged("malformed")
		agentRefuses := f.Agent != nil && *f.Agent != "accepts"
		if malformed || agentRefuses {
			require.NotEmpty(t, f.codes, "%s is malformed: %v\n%s", f.File, f.Tags, f.text)
			found++
		}
		if agentRefuses {
			require.NotEmpty(t, f.errors, "%s: the agent %s", f.File, *f.Agent)
		}
		if !agentRefuses && (f.Agent != nil || !malformed) {
			clean++
			for _, p := range f.errors {
				require.Contains(t, stricterHere, p.Code, "%v\n%s", p, f.text)
			}
			if len(f.errors) > 0 {
				ruled++
				t.Logf("%s: %s\n%s", f.File, stricterHere[f.errors[0].Code], lines(f.errors))
			}
		}
		if testing.Verbose() && len(f.warnings) > 0 {
			t.Log(lines(f.warnings))
		}
	}
	require.NotZero(t, clean)
	t.Logf("%d well formed (%d of them refused by rule), %d malformed", clean, ruled, found)
}

// TestCorpusMistakes finds every recorded mistake under a code that means it.
func TestCorpusMistakes(t *testing.T) {
	checked, ruled := 0, 0
	for _, f := range corpus(t) {
		for _, tag := range f.Tags {
			codes, known := tagCodes[tag]
			if !known {
				continue
			}
			checked++
			if f.has(codes...) {
				continue
			}
			reason := ""
			for _, r := range tagRules {
				if r.holds(f, tag) {
					reason = r.reason
				}
			}
			require.NotEmpty(t, reason, "%s: %s has no answer among %v\n%s\n%s", f.File, tag, f.codes, lines(slices.Concat(f.errors, f.warnings)), f.text)
			ruled++
		}
	}
	t.Logf("%d mistakes, %d of them covered by another problem", checked, ruled)
}
