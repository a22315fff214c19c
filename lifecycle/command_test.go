//go:build unix

package lifecycle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestCommandGetsItsArgumentsAsTheyAre(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, []byte("for a; do echo \"($a)\"; done\n"), 0o755)) // no interpreter line
	var out strings.Builder
	c := &lifecycle.Command{Argv: []string{file, "a b", "$(id)", "", "*"}}
	require.NoError(t, c.Run(t.Context(), lifecycle.Env{}, &out))
	require.Equal(t, "[stdout](a b)\n[stdout]($(id))\n[stdout]()\n[stdout](*)\n", out.String())
}

func TestCommandIsNotMadeExecutable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644))
	err := (&lifecycle.Command{Argv: []string{file}}).Run(t.Context(), lifecycle.Env{}, &strings.Builder{})
	require.Equal(t, lifecycle.ScriptNotExecutable, err.(*lifecycle.Error).Code)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
}

func TestCommandHasALimit(t *testing.T) {
	c := &lifecycle.Command{Argv: []string{"/bin/sh", "-c", "sleep 100 & sleep 100"}, Timeout: 200 * time.Millisecond, Grace: time.Second}
	err := c.Run(t.Context(), lifecycle.Env{}, &strings.Builder{})
	require.Equal(t, lifecycle.ScriptTimedOut, err.(*lifecycle.Error).Code)
	// On a busy machine the shell may not have started them all.
	require.Regexp(t, `[1-3] process(es)? killed; raise its limit if it needs longer`, err.Error())
	err = (&lifecycle.Command{Argv: []string{"sh"}}).Run(t.Context(), lifecycle.Env{}, &strings.Builder{})
	require.ErrorContains(t, err, "no PATH is searched")
}
