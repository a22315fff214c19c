//go:build !linux

package agent

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func freeze(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
}

func canFreeze(*testing.T) bool { return false }
