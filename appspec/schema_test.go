package appspec

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const schemaFile = "appspec.schema.json"

func compiledSchema(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(schemaFile, doc))
	s, err := c.Compile(schemaFile)
	require.NoError(t, err)
	return s
}

func TestSchemaIsCheckedIn(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(schemaFile, Schema(), 0o644))
	}
	data, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	require.Equal(t, string(Schema()), string(data), "run go test -run TestSchemaIsCheckedIn ./appspec -update")
}

// schemaSees are the errors that come from the shape of one place alone. The
// schema must find a fault wherever the parser finds one of them.
var schemaSees = []Code{ErrNotMapping, ErrVersion, ErrOS, ErrEnum, ErrMissingField, ErrType, ErrPort, ErrResources, ErrNetwork,
	ErrUnknownEvent, ErrLambdaVersion, ErrTaskDefinition, ErrBadName, ErrTimeout, ErrIndentation, ErrPlatform}

// schemaRules are the differences between parser and schema, by rule.
var schemaRules = []struct {
	reason string
	holds  func(text string, problems []*Problem, valid bool) bool
}{
	{"an editor's reader takes the last of two keys, or none, and another reading of dates, tags and aliases", func(_ string, ps []*Problem, _ bool) bool {
		return hasCode(ps, ErrDuplicateKey, ErrTagNotAllowed, ErrDate, ErrAlias, ErrAliasLimit, ErrMultipleDocuments)
	}},
	{"an editor's reader knows YAML 1.2, and the agent's 1.1 (yes, 0o17, 1e3, 08 and :x differ), and JSON has no spelling of numbers (80.0, 0x50) and only text as keys", func(text string, _ []*Problem, _ bool) bool {
		return readDifferently(text)
	}},
	{"an octal mode is another number for an editor's reader", func(_ string, ps []*Problem, _ bool) bool { return hasCode(ps, ErrMode) }},
	{"a value that the parser takes for nothing with a warning may have any shape", func(_ string, ps []*Problem, valid bool) bool {
		return !valid && len(ps) > 0
	}},
}

// readDifferently reports whether a scalar is of another kind for an editor's reader
// than for the agent's.
func readDifferently(text string) bool {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	tags := map[kind]string{kindText: "!!str", kindNull: "!!null", kindBool: "!!bool", kindInt: "!!int", kindFloat: "!!float"}
	usual := regexp.MustCompile(`^(?:0\.0|0|-?[1-9]\d*)$`)
	var differs func(n *yaml.Node) bool
	differs = func(n *yaml.Node) bool {
		tag := n.ShortTag()
		switch {
		case n.Kind == yaml.MappingNode && hasOddKey(n):
			return true
		case n.Kind != yaml.ScalarNode:
			return slices.ContainsFunc(n.Content, differs)
		case isMerge(n), foreignTag(n):
			return false
		case (tag == "!!int" || tag == "!!float") && !usual.MatchString(n.Value):
			return true
		}
		return tags[resolve(n).kind] != tag
	}
	return differs(&doc)
}

// hasOddKey reports whether a key of a mapping is not text.
func hasOddKey(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != "!!str" {
			return true
		}
	}
	return false
}

func hasCode(problems []*Problem, codes ...Code) bool {
	return slices.ContainsFunc(problems, func(p *Problem) bool { return slices.Contains(codes, p.Code) })
}

// agree compares parser and schema on one text: what the parser finds faultless is
// valid, what it refuses for its shape is not, and what is not valid has a problem.
func agree(t *testing.T, s *jsonschema.Schema, name string, text []byte) (compared bool) {
	var v any
	if yaml.Unmarshal(text, &v) != nil || v == nil {
		return false
	}
	spec, warnings, err := Parse(name, text, Options{})
	errs := problemsOf(t, err)
	all := append(errs, warnings...)
	fault := s.Validate(jsonValue(v))
	valid := fault == nil
	wrong := ""
	switch {
	case spec != nil && len(warnings) == 0 && !valid:
		wrong = "the parser finds nothing, the schema does"
	case valid && hasCode(errs, schemaSees...):
		wrong = "the parser refuses the shape, the schema does not"
	case !valid && len(all) == 0:
		wrong = "the schema alone finds a fault"
	}
	if wrong == "" {
		return true
	}
	for _, r := range schemaRules {
		if r.holds(string(text), all, valid) {
			return true
		}
	}
	t.Errorf("%s: %s\n%v\n%s\n%s", name, wrong, fault, lines(all), text)
	return true
}

// jsonValue makes of YAML's values what JSON has, as editors do.
func jsonValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = jsonValue(v[k])
		}
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			if s, ok := k.(string); ok {
				out[s] = jsonValue(e)
			}
		}
		return out
	case []any:
		for i := range v {
			v[i] = jsonValue(v[i])
		}
	case int:
		return float64(v)
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	}
	if _, err := json.Marshal(v); err != nil {
		return "not a value of JSON"
	}
	return v
}

func TestSchemaAgreesOnTheCorpus(t *testing.T) {
	s, n := compiledSchema(t), 0
	for _, f := range corpus(t) {
		if agree(t, s, f.File, f.text) {
			n++
		}
	}
	t.Logf("%d files compared", n)
}

func TestSchemaAgreesOnTheOracle(t *testing.T) {
	dir := oracleDir(t)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	s, n := compiledSchema(t), 0
	for _, e := range files {
		if strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		text, err := os.ReadFile(dir + "/" + e.Name())
		require.NoError(t, err)
		if agree(t, s, e.Name(), text) {
			n++
		}
	}
	t.Logf("%d files compared", n)
}

func TestSchemaTakesWhatPrintWrites(t *testing.T) {
	s := compiledSchema(t)
	for _, text := range []string{head, fullExample, ecsText(okService+okNetwork, "Hooks: [{BeforeInstall: a}]\n"), lambdaText(okFunction, "")} {
		out, err := Print(clean(t, text), JSON)
		require.NoError(t, err)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
		require.NoError(t, err)
		require.NoError(t, s.Validate(v))
		require.Error(t, s.Validate(map[string]any{"version": 0.0, "os": "linux", "file": 1}))
	}
}
