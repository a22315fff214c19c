package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// The program is killed before and after every write to its journal, in the
// middle of a deployment that fails and is rolled back. Resumed, it ends as it
// would have, and no hook that had finished runs again.
func TestKilledAtEveryJournalWrite(t *testing.T) {
	good := sample(t, "a", nil)
	bad := sample(t, "b", map[lifecycle.Event]string{"ValidateService": "exit 7"})
	deploy := func(root string) []string { return []string{"-root", root, "-revision", bad} }
	first := func(t *testing.T, root string) {
		o := start(t, "-root", root, "-revision", good, "-hosts", "2", "-strategy", "all")
		require.Zero(t, o.status, o)
	}
	whole := t.TempDir()
	first(t, whole)
	o := start(t, deploy(whole)...)
	require.Equal(t, 1, o.status, o)
	want := [2]map[string]string{tree(t, filepath.Join(whole, "host-1")), tree(t, filepath.Join(whole, "host-2"))}
	hooks := len(logged(t, whole))

	stride := 1
	if testing.Short() {
		stride = 9
	}
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			crashed := 0
			for n := 1; ; n += stride {
				root := t.TempDir()
				first(t, root)
				if !crashes(t, when, n, deploy(root)...) {
					break // it had come to its end
				}
				crashed++
				o := start(t, append(deploy(root), "-resume", "-rerun-interrupted")...)
				at := fmt.Sprintf("killed %s write %d: %s", when, n, o)
				require.Equal(t, 1, o.status, at)
				require.Contains(t, squeeze(o.stdout), "host-1 failed at ValidateService succeeded revision a host-2 not touched not touched revision a", at)
				require.Equal(t, want[0], tree(t, filepath.Join(root, "host-1")), at)
				require.Equal(t, want[1], tree(t, filepath.Join(root, "host-2")), at)
				for line, times := range logged(t, root) {
					require.Equal(t, 1, times, "%s: ran more than once; %s", line, at)
				}
				require.Len(t, logged(t, root), hooks, at)
				require.NoError(t, os.RemoveAll(root))
			}
			require.Greater(t, crashed, 15/stride, "the journal was written to more often than that")
			t.Logf("killed %s %d writes", when, crashed)
		})
	}
}

// patient is a hook that, in its first run, leaves a process in a session of its
// own and goes on for ever; in its second it looks for what the first has left.
const patient = `
mark="$CUTOVER_ROOT/../first-run"
if [ ! -e "$mark" ]; then
	setsid sleep 3600 < /dev/null > /dev/null 2>&1 &
	echo "$! $$" > "$mark.tmp"
	mv "$mark.tmp" "$mark"
	sleep 3600
fi
for pid in $(cat "$mark"); do
	case "$(ps -o stat= -p "$pid")" in
	"" | Z*) ;; # gone, or dead and not yet buried
	*) echo "alive $pid" >> "$log" ;;
	esac
done
`

// interrupted ends the program while a hook runs.
func interrupted(t *testing.T, by os.Signal) (root string, args []string, o outcomeOf) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/setsid"); err != nil {
		t.Skip("SKIPPED a hook that is cut off: there is no setsid here")
	}
	root = t.TempDir()
	args = []string{"-root", root, "-hosts", "1", "-revision", sample(t, "a", map[lifecycle.Event]string{"AfterInstall": patient})}
	cmd := program(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	deadline := time.Now().Add(30 * time.Second)
	for {
		if _, err := os.Stat(filepath.Join(root, "first-run")); err == nil {
			break
		}
		require.True(t, time.Now().Before(deadline), "the hook did not start")
		time.Sleep(5 * time.Millisecond)
	}
	require.NoError(t, cmd.Process.Signal(by))
	require.Error(t, cmd.Wait())
	return root, args, outcomeOf{status: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
}

func TestC6_LeftoversOfAnInterruptedHookAreEndedFirst(t *testing.T) {
	root, args, _ := interrupted(t, os.Kill)
	o := start(t, append(args, "-resume", "-rerun-interrupted")...)
	require.Zero(t, o.status, o)
	for line, n := range logged(t, root) {
		require.NotContains(t, line, "alive", "it was still running when the hook ran again")
		if strings.HasPrefix(line, "begin") && strings.HasSuffix(line, "AfterInstall") {
			require.Equal(t, 2, n, line)
		} else {
			require.Equal(t, 1, n, line)
		}
	}
}

func TestC6_InterruptedHookFailsItsHostUnlessToldOtherwise(t *testing.T) {
	root, args, _ := interrupted(t, os.Kill)
	o := start(t, append(args, "-resume")...)
	require.Equal(t, 1, o.status, o)
	require.Contains(t, strings.ToLower(o.stdout), "interrupted", o)
	require.Contains(t, squeeze(o.stdout), "host-1 failed at AfterInstall", o)
	for line, n := range logged(t, root) {
		require.Equal(t, 1, n, line)
	}
}

func TestUnfinishedDeploymentIsInTheWayOfANewOne(t *testing.T) {
	root, args, _ := interrupted(t, os.Kill)
	o := start(t, args...)
	require.Equal(t, 1, o.status, o)
	require.Contains(t, o.stderr, "-resume")
	require.Zero(t, start(t, append(args, "-resume", "-rerun-interrupted")...).status)
	require.Equal(t, "a", tree(t, filepath.Join(root, "host-1"))["srv/app/name"])
}

// A signal abandons the deployment and ends the hook, at once: nothing is left
// running, and the deployment can be resumed.
func TestSignalAbandonsTheDeployment(t *testing.T) {
	root, args, o := interrupted(t, os.Interrupt)
	require.Equal(t, 1, o.status, o)
	require.Contains(t, o.stderr, "Go on with -resume -root "+root)
	o = start(t, append(args, "-resume", "-rerun-interrupted")...)
	require.Zero(t, o.status, o)
	require.Equal(t, "a", tree(t, filepath.Join(root, "host-1"))["srv/app/name"])
	for line := range logged(t, root) {
		require.NotContains(t, line, "alive")
	}
}
