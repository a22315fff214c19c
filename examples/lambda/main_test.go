package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/lifecycle"
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
		status, out, errs := program(t.Context(), "-root", t.TempDir())
		require.Equal(t, exitOK, status, errs)
		for _, says := range []string{"demo-2: succeeded", "demo-3: stopped: alarm checkout-errors fires", "the way back of demo-3", "version 2    AllowTraffic 100 %", "4 Lambda.UpdateAlias", "All went as told"} {
			require.Contains(t, out, says)
		}
	})
}

// Whenever it is cut off, -resume brings it to the same end.
func TestResume(t *testing.T) {
	// Never in the very moment in which the demonstration does something: a function that has
	// begun and not ended by then is interrupted, which does not go as told.
	for after := 517 * time.Millisecond; after < 12*time.Second; after += 500 * time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				root := t.TempDir()
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(after, func() { cancel(errors.New("enough")) })
				status, _, errs := program(ctx, "-root", root)
				if status != exitOK {
					require.Contains(t, errs, "-resume")
				}
				status, out, errs := program(t.Context(), "-root", root, "-resume")
				require.Equal(t, exitOK, status, errs)
				require.Contains(t, out, "All went as told")
			})
		})
	}
}

func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, out, errs := program(t.Context(), "-root", t.TempDir(), "-json")
		require.Equal(t, exitOK, status, errs)
		kinds := map[lifecycle.Kind]int{}
		for line := range strings.Lines(out) {
			var r lifecycle.Record
			require.NoError(t, json.Unmarshal([]byte(line), &r), line)
			kinds[r.Kind]++
		}
		require.Equal(t, 3, kinds[lifecycle.Finished])
		require.Contains(t, errs, "All went as told")
	})
}

// The plan of the demonstration, with the policy, and nothing is left.
func TestPlan(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	status, out, errs := program(t.Context(), "-root", root, "-plan", "-account", "123456789012", "-json")
	require.Equal(t, exitOK, status, errs)
	var both struct {
		Plan   struct{ Stages []any }
		Policy struct {
			Statement []struct{ Action, Resource []string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &both))
	require.Len(t, both.Plan.Stages, 2)
	for _, s := range both.Policy.Statement {
		for _, r := range s.Resource {
			require.Contains(t, r, ":123456789012:")
			require.NotContains(t, r, "*")
		}
	}
	require.NoDirExists(t, filepath.Join(root, "journal"))
}

func TestFlags(t *testing.T) {
	for _, tc := range []struct{ args, says string }{
		{"-nonsense", "nonsense"},
		{"file", "unexpected argument"},
		{"-resume", "-root"},
		{"-resume -plan -root x", "-plan"},
		{"-shift all", "-revision"},
		{"-endpoint http://127.0.0.1:1", "-revision"},
		{"-revision . -shift canary:10%", "canary:10%/5m"},
		{"-revision . -shift linear:x%/1m", "linear:10%/5m"},
		{"-revision . -shift half", "not for Lambda"},
		{"-revision . -shift soon", "unknown"},
	} {
		status, _, errs := program(t.Context(), strings.Fields(tc.args)...)
		require.Equal(t, exitUsage, status, tc.args)
		require.Contains(t, errs, tc.says, tc.args)
	}
	status, _, errs := program(t.Context(), "-help")
	require.Equal(t, exitOK, status)
	require.Contains(t, errs, "-callbacks")
	for text, want := range map[string]string{"all": "all at once", "canary:10%/5m": "canary:10%/5m0s", "linear:25%/90s": "linear:25%/1m30s", "CodeDeployDefault.LambdaCanary10Percent5Minutes": "canary:10%/5m0s"} {
		st, err := parseShift(text)
		require.NoError(t, err, text)
		require.Contains(t, fmt.Sprintf("%s", st), want, text)
	}
}

func TestRevisionsThatCannotBeDeployed(t *testing.T) {
	dir := t.TempDir()
	status, _, errs := program(t.Context(), "-revision", dir, "-endpoint", "http://127.0.0.1:1")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "appspec.yml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte("version: 0.0\nos: linux\n"), 0o600))
	status, _, errs = program(t.Context(), "-revision", dir, "-endpoint", "http://127.0.0.1:1")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "for servers")
}
