package lifecycle_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// childVar makes this program a process of a script: it writes into a file that it
// lives, again and again, until it finds another one beside it.
const childVar = "CUTOVER_TEST_LIVES"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVar); file != "" {
		for i := range 600 {
			os.WriteFile(file, []byte(strings.Repeat("x", i+1)), 0o644)
			if _, err := os.Stat(file + ".stop"); err == nil {
				return
			}
			<-time.After(100 * time.Millisecond)
		}
		return
	}
	os.Exit(m.Run())
}

// tempDir is t.TempDir for files that a process may still have open.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lifecycle")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// batchFile writes a batch file whose name has a blank and other characters.
func batchFile(t *testing.T, lines ...string) string {
	t.Helper()
	dir := filepath.Join(tempDir(t), "a b & c")
	require.NoError(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "do it.bat")
	require.NoError(t, os.WriteFile(path, []byte("@echo off\r\n"+strings.Join(lines, "\r\n")+"\r\n"), 0o644))
	return path
}

func runBatch(t *testing.T, ctx context.Context, limit time.Duration, vars []string, lines ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	s := &lifecycle.Script{Location: "do it.bat", Path: batchFile(t, lines...), Timeout: limit, Grace: time.Second}
	err := s.Run(ctx, lifecycle.Env{Step: lifecycle.Step{Deployment: "d-1", Unit: t.Name()}, Vars: vars}, &out)
	return out.String(), err
}

func isAlive(t *testing.T, file string) bool {
	t.Helper()
	before, _ := os.ReadFile(file)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if now, err := os.ReadFile(file); err == nil && len(now) != len(before) {
			return true
		}
	}
	return false
}

func waitFor(t *testing.T, file string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, 30*time.Second, 20*time.Millisecond)
}

// child is a line of a batch file that starts this program in the background.
func child(t *testing.T) (line, file string, vars []string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	file = filepath.Join(tempDir(t), "lives")
	return `start "" /b "` + exe + `" >NUL 2>&1`, file, []string{childVar + "=" + file}
}

func TestBatchFileSaysWhatItDoes(t *testing.T) {
	out, err := runBatch(t, t.Context(), time.Minute, []string{"GREETING=hello"}, "echo %GREETING%", "echo trouble 1>&2", "exit /b 7")
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, lifecycle.ScriptFailed, e.Code)
	require.Equal(t, 7, e.Exit)
	require.Contains(t, out, "[stdout]hello")
	require.Contains(t, out, "[stderr]trouble")
	_, err = runBatch(t, t.Context(), time.Minute, nil, "exit /b 0")
	require.NoError(t, err)
}

func TestTimeLimitEndsEverything(t *testing.T) {
	line, file, vars := child(t)
	_, err := runBatch(t, t.Context(), 3*time.Second, vars, line, ":again", "ping -n 2 127.0.0.1 >NUL", "goto again")
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, lifecycle.ScriptTimedOut, e.Code)
	require.FileExists(t, file, "the child had begun")
	require.False(t, isAlive(t, file), "and has ended with its parent")
}

func TestCancelEndsEverything(t *testing.T) {
	line, file, vars := child(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		waitFor(t, file)
		cancel(why)
	}()
	_, err := runBatch(t, ctx, time.Minute, vars, line, ":again", "ping -n 2 127.0.0.1 >NUL", "goto again")
	require.ErrorIs(t, err, why)
	require.False(t, isAlive(t, file))
}

func TestFailureEndsWhatWasLeftRunning(t *testing.T) {
	line, file, vars := child(t)
	_, err := runBatch(t, t.Context(), time.Minute, vars, line, ":again", `if not exist "`+file+`" goto again`, "exit /b 1")
	require.Error(t, err)
	require.False(t, isAlive(t, file))
}

func TestSuccessLeavesServicesRunning(t *testing.T) {
	line, file, vars := child(t)
	_, err := runBatch(t, t.Context(), time.Minute, vars, line, ":again", `if not exist "`+file+`" goto again`, "exit /b 0")
	require.NoError(t, err)
	require.True(t, isAlive(t, file))
	require.NoError(t, os.WriteFile(file+".stop", nil, 0o644))
}

func TestProgramGetsItsArguments(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	var out strings.Builder
	c := &lifecycle.Command{Argv: []string{exe, "-test.run=^TestThereIsNone$", `-test.v`}, Timeout: time.Minute}
	require.NoError(t, c.Run(t.Context(), lifecycle.Env{}, &out))
	require.Contains(t, out.String(), "no tests to run")
}

func TestUnknownKindIsRefused(t *testing.T) {
	path := filepath.Join(tempDir(t), "start.sh")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o644))
	err := (&lifecycle.Script{Location: "start.sh", Path: path}).Run(t.Context(), lifecycle.Env{}, &strings.Builder{})
	require.ErrorContains(t, err, "whose names end with .sh")
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "x.exe"), []byte("no program"), 0o644))
	err = (&lifecycle.Script{Location: "x.exe", Path: filepath.Join(filepath.Dir(path), "x.exe")}).Run(t.Context(), lifecycle.Env{}, &strings.Builder{})
	require.Equal(t, lifecycle.ScriptNotExecutable, err.(*lifecycle.Error).Code)
}
