package cutover_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program in the README is the package's example: whoever copies it gets
// something that runs.
func TestProgramInREADMEIsTheExample(t *testing.T) {
	readme := text(t, "README.md")
	_, rest, ok := strings.Cut(readme, "```go\n")
	require.True(t, ok, "the README shows no Go")
	shown, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)

	example := text(t, "example_test.go")
	example = strings.TrimPrefix(example, "//go:build unix\n\n")
	example = regexp.MustCompile(`(?s)\n\t// Output:.*?\n}\n`).ReplaceAllString(example, "\n}\n")
	example = strings.Replace(example, "package cutover_test", "package main", 1)
	example = strings.Replace(example, "func Example()", "func main()", 1)
	require.Equal(t, example, shown)
}

func TestREADMEIsShortAndItsLinksLeadSomewhere(t *testing.T) {
	readme := text(t, "README.md")
	require.Less(t, strings.Count(readme, "\n"), 200)
	for _, name := range []string{"README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text(t, name), -1) {
			_, err := os.Stat(m[1])
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
}

// The two commands of the README are what the checks before a merge run.
func TestCommandsOfREADMEAreChecked(t *testing.T) {
	readme, ci := text(t, "README.md"), text(t, ".ci/run")
	for _, command := range []string{"go run ./examples/onprem", "go test ./..."} {
		require.Contains(t, readme, "\n"+command+"\n")
		require.Contains(t, ci, "\n"+command+"\n")
	}
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
