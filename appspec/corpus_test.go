package appspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpusRules are the errors that a file may get although the agent accepts it.
var corpusRules = map[Code]string{
	ErrDuplicateKey: "a key given twice loses the first silently: in the published files, whole lists of scripts",
	ErrPathEscapes:  "a path that climbs out of the revision reads or runs what nobody reviewed",
	ErrType:         "a number as a path fails in the agent at Install",
}

// TestCorpus parses published AppSpecs. None may panic. What the agent accepts is
// accepted, but for the rules; what it refuses is refused.
func TestCorpus(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "corpus", "appspec")
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Skip("SKIPPED parsing of published AppSpecs: no collection in " + dir)
	}
	var index []struct {
		File, Platform string
		Agent          *string
		Tags           []string
	}
	require.NoError(t, json.Unmarshal(data, &index))
	accepted := 0
	for _, e := range index {
		text, err := os.ReadFile(filepath.Join(dir, e.File))
		require.NoError(t, err)
		_, warnings, err := Parse(e.File, text, Options{})
		problems := problemsOf(t, err)
		switch {
		case e.Platform != "server":
			if err == nil { // a file for servers as well
				with(t, warnings, ErrMixedPlatforms)
			}
		case *e.Agent != "accepts":
			require.Error(t, err, "%s: the agent %s", e.File, *e.Agent)
		default:
			accepted++
			for _, p := range problems {
				require.Contains(t, corpusRules, p.Code, "%v", p)
			}
			if len(problems) > 0 {
				t.Logf("%v", err)
			}
		}
		if testing.Verbose() && len(warnings) > 0 {
			t.Log(lines(warnings))
		}
		for _, p := range append(problems, warnings...) {
			require.LessOrEqual(t, p.Line, strings.Count(string(text), "\n")+1, "%v", p)
		}
	}
	require.NotZero(t, accepted)
}
