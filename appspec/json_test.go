package appspec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The YAML reader knows the line only in which all of it begins. In JSON each
// mistake has its own place.
func TestMistakesInJSON(t *testing.T) {
	for text, want := range map[string]struct {
		line, col int
		why       string
	}{
		"{\n  \"version\": 0.0\n  \"os\": \"linux\"\n}\n":                                        {3, 3, "a comma"},
		"{\n  \"version\" 0.0,\n  \"os\": \"linux\"\n}\n":                                        {2, 13, "a colon is missing"},
		"{\n  \"version\": 0.0,\n  \"os\": \"linux\n}\n":                                         {3, 15, "the line ends inside of a text"},
		"{\n  \"version\": 0.0,\n  \"os\": \"linux\",\n  \"files\": [\n}\n":                      {5, 1, "a value has to stand here"},
		"{\n  \"version\": 0.0,\n  \"files\": [{}\n}\n":                                          {4, 1, "a closing bracket"},
		"{\n  \"version\": 0.0,\n  \"files\": []\n":                                              {3, 14, "the file ends"},
		"{\n  // note\n  \"version\": 0.0\n}\n":                                                  {2, 3, "a key in double quotes"},
		`{"version": 0.0, "os": "windows", "files": [{"source": "a", "destination": "c:\web"}]}`: {1, 80, "a backslash"},
	} {
		p := refused(t, text, ErrSyntax)
		require.Equal(t, [2]int{want.line, want.col}, [2]int{p.Line, p.Col}, text)
		require.Contains(t, p.Why, want.why)
	}
}

func TestTextBehindJSON(t *testing.T) {
	for text, place := range map[string][2]int{
		"{\n \"version\": 0.0,\n \"os\": \"linux\"\n}}\n":             {4, 2},
		"{\"version\": 0.0, \"os\": \"linux\"} EOF\n":                 {1, 33},
		"{\"version\": 0.0, \"os\": \"linux\"}\n{\"version\": 0.0}\n": {2, 1},
	} {
		p := refused(t, text, ErrMultipleDocuments)
		require.Equal(t, place, [2]int{p.Line, p.Col}, text)
	}
}

func TestTemplateInJSON(t *testing.T) {
	text := ecsJSON("${PORT}")
	_, _, err := Parse("appspec.json", []byte(text), Options{})
	p := with(t, problemsOf(t, err), ErrSyntax)
	require.Contains(t, p.Hint, "a template")
	_, warnings, err := Parse("appspec.json", []byte(ecsJSON("<PORT>")), Options{})
	require.NoError(t, err)
	require.Len(t, warnings, 1, lines(warnings)) // the variable, and not that it is no JSON
}

func ecsJSON(port string) string {
	return `{"version": 0.0, "Resources": [{"s": {"Type": "AWS::ECS::Service", "Properties": {"TaskDefinition": "a", "LoadBalancerInfo": {"ContainerName": "c", "ContainerPort": ` + port + `}}}}]}`
}

// The agent's reader takes what the one in use here does not.
func TestSlashesAndQuestionMarks(t *testing.T) {
	text := `{"version": 0.0, "os": "linux", "files": [{"source": "\/a\\/b", "destination": "\/srv"}], "x": 1}`
	spec, errs, warnings := check(t, text, Options{})
	require.Empty(t, errs, lines(errs))
	require.Equal(t, `/a\/b`, spec.Files[0].Source)
	require.Equal(t, strings.Index(text, `"x"`)+1, with(t, warnings, ErrUnknownField).Col) // places stay
	spec, errs, _ = check(t, head+"files: [{source: a?b, destination: /srv}, {source: '^?', destination: /c}]\n", Options{})
	require.Empty(t, errs, lines(errs))
	require.Equal(t, "a?b", spec.Files[0].Source)
	require.Equal(t, "^?", spec.Files[1].Source)
	refused(t, `{"version": 0.0, "os": "linux", "files": [{"source": "\/a\q", "destination": "\/srv"}]}`, ErrSyntax)
	out, err := Reformat("a", []byte("version: 0.0 # a \\/ b\nos: linux\nx: \"\\/\"\n"))
	require.NoError(t, err)
	require.Equal(t, "version: 0.0 # a \\/ b\nos: linux\nx: \"/\"\n", string(out))
}
