package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program runs the program in this process.
func program(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		status, out, errs := program(t.Context(), "-root", root)
		require.Equal(t, exitOK, status, "%s%s", out, errs)
		for _, says := range []string{"demo-2: succeeded", "AllowTraffic 20 %", "SmokeTest: web-green", "demo-3: failed", "do not stay up", "the way back of demo-3", "2 ECS.DeleteTaskSet", "All went as told"} {
			require.Contains(t, out, says)
		}
	})
}

func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		status, _, errs := program(ctx, "-root", t.TempDir())
		require.Equal(t, exitFailed, status)
		require.Contains(t, errs, "deadline")
	})
}

// The plan of the demonstration, with the policy, and nothing is touched.
func TestPlan(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	status, out, errs := program(t.Context(), "-root", root, "-plan")
	require.Equal(t, exitOK, status, errs)
	for _, says := range []string{"canary:20%/1s", "web-green", "stage 3: original: retire", "IAM policy", `"ecs:CreateTaskSet"`, "role/web-execution", "function:SmokeTest"} {
		require.Contains(t, out, says)
	}
	_, err := os.Stat(filepath.Join(root, "journal"))
	require.True(t, errors.Is(err, fs.ErrNotExist), "a plan writes no journal: %v", err)
}

func TestFlags(t *testing.T) {
	where := []string{"-revision", "x", "-service", "web", "-group", "a", "-group", "b", "-production", "p"}
	for says, args := range map[string][]string{
		"unexpected argument":     {"now"},
		"needs no other flags":    {"-shift", "all"},
		"say where to":            {"-revision", "x"},
		"leave out -resume":       append([]string{"-plan", "-resume"}, where...),
		"-resume needs -root":     append([]string{"-resume"}, where...),
		"want a percentage":       append([]string{"-shift", "canary:10"}, where...),
		"is not for ECS":          append([]string{"-shift", "CodeDeployDefault.LambdaAllAtOnce"}, where...),
		"-native needs one rule":  append([]string{"-native"}, where...),
		"flag provided but not d": {"-nonsense"},
	} {
		status, _, errs := program(t.Context(), args...)
		require.Equal(t, exitUsage, status, says)
		require.Contains(t, errs, says)
	}
	status, _, errs := program(t.Context(), "-help")
	require.Equal(t, exitOK, status)
	require.Contains(t, errs, "-production ARN")
	o, err := parseFlags(append([]string{"-shift", "linear:10%/1m"}, where...), &bytes.Buffer{})
	require.NoError(t, err)
	require.Len(t, o.shift.Weights(), 10)
	o, err = parseFlags(append([]string{"-shift", "CodeDeployDefault.ECSCanary10Percent5Minutes"}, where...), &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, 5*time.Minute, o.shift.Every)
}
