//go:build linux

package lifecycle_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// The test binary plays the process that runs hooks where that process has to
// die, or to be measured.
func TestMain(m *testing.M) {
	if path := os.Getenv("LIFECYCLE_TEST_SCRIPT"); path != "" {
		os.Exit(runAsChild(path, os.Getenv("LIFECYCLE_TEST_SCOPE")))
	}
	flag.Parse()
	// These tests wait more than they work.
	_ = flag.Set("test.parallel", "8")
	goleak.VerifyTestMain(m)
}

// childEnv is the step that the child process does.
func childEnv(scope string) lifecycle.Env {
	return lifecycle.Env{
		Step:  lifecycle.Step{Deployment: "d-child", Unit: "host-1", Event: lifecycle.ApplicationStart},
		Vars:  []string{"PATH=/usr/bin:/bin"},
		Scope: scope,
	}
}

// runAsChild runs the script, writes what came of it to the directory that is the
// scope, and stays if it is told to.
func runAsChild(path, scope string) int {
	log, err := os.Create(filepath.Join(scope, "log"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runner := lifecycle.Runner{Log: log, Note: func(n lifecycle.Note) { fmt.Fprintln(os.Stderr, n.Text) }}
	status := "done"
	if err := runner.Run(context.Background(), childEnv(scope), []lifecycle.Hook{&lifecycle.Script{Location: "a.sh", Path: path}}); err != nil {
		status = err.Error()
	}
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		_ = os.WriteFile(filepath.Join(scope, "memory"), b, 0o600)
	}
	if err := os.WriteFile(filepath.Join(scope, "status.new"), []byte(status), 0o600); err != nil {
		return 1
	}
	_ = os.Rename(filepath.Join(scope, "status.new"), filepath.Join(scope, "status"))
	if os.Getenv("LIFECYCLE_TEST_STAY") != "" {
		<-time.After(time.Minute)
	}
	return 0
}

// child starts the test binary as the process that runs the script. It ends with
// the test.
func child(t *testing.T, path, scope string, vars ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "LIFECYCLE_TEST_SCRIPT="+path, "LIFECYCLE_TEST_SCOPE="+scope), vars...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	return cmd
}

// appears waits for a file.
func appears(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 20*time.Second, 5*time.Millisecond, "%s", path)
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// chatty leaves a daemon that prints far more than a pipe holds and dies of the
// first failed write.
const chatty = "#!/bin/sh\n(i=0; while :; do i=$((i+1)); printf '%01000d\\n' $i || exit 1; echo $i >DIR/count; done) &\necho $! >DIR/pid\nexit 0\n"

func TestD5_DaemonOutlivesTheRunner(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"ends", "is killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := child(t, script(t, strings.ReplaceAll(chatty, "DIR", dir)), dir, "LIFECYCLE_TEST_STAY="+strings.TrimPrefix(how, "ends"))
			appears(t, dir+"/status")
			require.Equal(t, "done", text(t, dir+"/status"))
			pid := pidIn(t, dir+"/pid")
			if how == "is killed" {
				require.NoError(t, cmd.Process.Kill())
			}
			_ = cmd.Wait()
			at := func() int {
				b, _ := os.ReadFile(dir + "/count")
				n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
				return n
			}
			before := at()
			require.Eventually(t, func() bool { return at() > before+500 }, 10*time.Second, 10*time.Millisecond,
				"the daemon goes on printing after the runner is gone")
			require.True(t, lives(pid))
			noCgroupLeft(t, childEnv(dir))
		})
	}
}

func TestC6_LeftoversOfAKilledRunnerAreEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := script(t, "#!/bin/sh\nsetsid sh -c 'sleep 60 & echo $! >"+dir+"/far' >/dev/null 2>&1\necho $$ >"+dir+"/near.new\nmv "+dir+"/near.new "+dir+"/near\nsleep 60\n")
	cmd := child(t, path, dir)
	appears(t, dir+"/near")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	near, far := pidIn(t, dir+"/near"), pidIn(t, dir+"/far")
	require.True(t, lives(near), "killing the runner ends no script")

	other := childEnv(dir + "/other")
	n, err := lifecycle.EndLeftovers(t.Context(), other)
	require.NoError(t, err)
	require.Zero(t, n, "another doer's step of the same key is left alone")
	require.True(t, lives(near))

	n, err = lifecycle.EndLeftovers(t.Context(), childEnv(dir))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 2, "the script and the daemon")
	require.False(t, lives(near))
	require.False(t, lives(far))
	noCgroupLeft(t, childEnv(dir))

	n, err = lifecycle.EndLeftovers(t.Context(), childEnv(dir))
	require.NoError(t, err)
	require.Zero(t, n, "a second time finds nothing")
}

// A killed runner leaves an empty control group when its script has ended on its
// own. Whoever looks for leftovers next clears it away, and leaves alone the group
// of a runner that lives.
func TestC6_EmptyControlGroupsAreClearedAway(t *testing.T) {
	t.Parallel()
	if !haveCgroup(t) {
		t.Skip("SKIPPED clearing away control groups: none can be made here")
	}
	const waits = "#!/bin/sh\nsleep 60 &\necho $$ >DIR/pid.new\nmv DIR/pid.new DIR/pid\nwait\n"
	dead, living := t.TempDir(), t.TempDir()
	killed := child(t, script(t, strings.ReplaceAll(waits, "DIR", dead)), dead)
	child(t, script(t, strings.ReplaceAll(waits, "DIR", living)), living)
	appears(t, dead+"/pid")
	appears(t, living+"/pid")
	require.NoError(t, killed.Process.Kill())
	_ = killed.Wait()
	require.NotEmpty(t, cgroupsOf(t, childEnv(dead)))
	pid := pidIn(t, dead+"/pid")
	require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { return !lives(pid) }, 10*time.Second, 5*time.Millisecond)

	require.Eventually(t, func() bool {
		_, err := lifecycle.EndLeftovers(t.Context(), env(t))
		return err == nil && len(cgroupsOf(t, childEnv(dead))) == 0
	}, 10*time.Second, 20*time.Millisecond)
	require.NotEmpty(t, cgroupsOf(t, childEnv(living)))
	require.True(t, lives(pidIn(t, living+"/pid")))
	n, err := lifecycle.EndLeftovers(t.Context(), childEnv(living))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 2, "what carries the mark of the step is ended in any case")
	appears(t, living+"/status")
	noCgroupLeft(t, childEnv(living))
}

// peak is the most memory that the runner had in use for a script, in KiB; with it
// comes what came of the script.
func peak(t *testing.T, text string) (kib int, status, log string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, child(t, script(t, text), dir).Wait())
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(b)
	}
	_, after, found := strings.Cut(read("memory"), "VmHWM:")
	require.True(t, found)
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(t, err)
	return kib, read("status"), read("log")
}

// grown runs a script that prints n bytes and returns how much more memory that
// takes than one that prints nothing, in KiB.
func grown(t *testing.T, how string, n int64) (kib int, status, log string) {
	t.Helper()
	idle, _, _ := peak(t, "#!/bin/sh\nexit 3\n")
	busy, status, log := peak(t, fmt.Sprintf(how, n))
	t.Logf("%d MiB of output: %d KiB, %d KiB more than without", n>>20, busy, busy-idle)
	return busy - idle, status, log
}

// A runner on a terminal keeps the script from it.
func TestS10_NoTerminalThoughTheRunnerHasOne(t *testing.T) {
	t.Parallel()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED a runner on a terminal: there are none to be had: %v", err)
	}
	defer master.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	defer terminal.Close()

	dir := t.TempDir()
	path := script(t, "#!/bin/sh\n(: </dev/tty) 2>/dev/null && echo terminal || echo no terminal\n")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIFECYCLE_TEST_SCRIPT="+path, "LIFECYCLE_TEST_SCOPE="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Run())
	require.Equal(t, "done", text(t, dir+"/status"))
	require.Contains(t, text(t, dir+"/log"), "[stdout]no terminal\n")
}
