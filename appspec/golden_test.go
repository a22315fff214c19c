package appspec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden fixes the messages for the mistakes that people make most. Below
// mistakes there is a file for each one counted in published files, and the
// messages come with the line they are about.
func TestGolden(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.yml", "mistakes/*.yml", "mistakes/*.json"} {
		some, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, some)
		files = append(files, some...)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			_, warnings, err := Parse(filepath.Base(file), data, Options{})
			all := Merge(problemsOf(t, err), warnings)
			require.NotEmpty(t, all)
			got := ""
			for _, p := range all {
				got += p.Error() + "\n"
				if filepath.Base(filepath.Dir(file)) == "mistakes" {
					got += p.Excerpt(data)
				}
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
		})
	}
}
