package lifecycle_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// script writes an executable file and returns its path.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.sh")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}
