//go:build linux

package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// The test binary plays the process that runs hooks where that process has to
// die.
func TestMain(m *testing.M) {
	if path := os.Getenv("LIFECYCLE_TEST_SCRIPT"); path != "" {
		os.Exit(runAsChild(path, os.Getenv("LIFECYCLE_TEST_SCOPE")))
	}
	os.Exit(m.Run())
}

// childEnv is the step that the child process does.
func childEnv(scope string) lifecycle.Env {
	return lifecycle.Env{
		Step:  lifecycle.Step{Deployment: "d-child", Unit: "host-1", Event: lifecycle.ApplicationStart},
		Vars:  []string{"PATH=/usr/bin:/bin"},
		Scope: scope,
	}
}

func runAsChild(path, scope string) int {
	s := &lifecycle.Script{Location: "a.sh", Path: path}
	if err := (&lifecycle.Runner{}).Run(context.Background(), childEnv(scope), []lifecycle.Hook{s}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child starts the test binary as the process that runs the script.
func child(t *testing.T, path, scope string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIFECYCLE_TEST_SCRIPT="+path, "LIFECYCLE_TEST_SCOPE="+scope)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

func TestD5_DaemonOutlivesTheRunner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	// Prints far more than a pipe holds, and dies of the first failed write.
	path := script(t, "#!/bin/sh\n(i=0; while :; do i=$((i+1)); printf '%01000d\\n' $i || exit 1; echo $i >"+count+"; done) &\necho $! >"+dir+"/pid\nexit 0\n")
	cmd := child(t, path, dir)
	require.NoError(t, cmd.Wait(), "the hook succeeds")
	pid := pidIn(t, filepath.Join(dir, "pid"))
	at := func() int {
		text, _ := os.ReadFile(count)
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}
	before := at()
	require.Eventually(t, func() bool { return at() > before+500 }, 10*time.Second, 10*time.Millisecond,
		"the daemon goes on printing after the runner has ended")
	require.True(t, lives(pid))
}

func TestC6_LeftoversOfAKilledRunnerAreEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := script(t, "#!/bin/sh\nsetsid sh -c 'sleep 60 & echo $! >"+dir+"/far' >/dev/null 2>&1\necho $$ >"+dir+"/near.new\nmv "+dir+"/near.new "+dir+"/near\nsleep 60\n")
	cmd := child(t, path, dir)
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/near"); return err == nil }, 10*time.Second, 5*time.Millisecond)
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
	require.GreaterOrEqual(t, n, 3, "shell, its sleep, and the daemon")
	require.False(t, lives(near))
	require.False(t, lives(far))
	noCgroupLeft(t, childEnv(dir))

	n, err = lifecycle.EndLeftovers(t.Context(), childEnv(dir))
	require.NoError(t, err)
	require.Zero(t, n, "a second time finds nothing")
}

// volume is how much output is a lot: 64 MiB, or what CUTOVER_OUTPUT_BYTES says
// (10737418240 for the full row). Short runs, those under the race detector among
// them, take less: it multiplies time and memory.
func volume() int64 {
	if n, err := strconv.ParseInt(os.Getenv("CUTOVER_OUTPUT_BYTES"), 10, 64); err == nil {
		return n
	}
	if testing.Short() {
		return 8 << 20
	}
	return 64 << 20
}

// peak is the largest memory of this process so far, in bytes.
func peak(t *testing.T) int64 {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Maxrss << 10
}

// lean checks that memory has not grown with the output: the log itself is in
// memory here, and little else. Short runs do not ask, since the race detector
// needs more for itself.
func lean(t *testing.T, before int64) {
	t.Helper()
	if !testing.Short() {
		require.Less(t, peak(t)-before, int64(128<<20))
	}
}

func TestD6_MuchOutputInConstantMemory(t *testing.T) {
	before := peak(t)
	n := volume()
	// Eight bytes a line.
	r := run(t, fmt.Sprintf("#!/bin/sh\nyes 1234567 | head -c %d\necho end\nexit 3\n", n), limits(10*time.Minute, 0))
	e := r.failure(t, lifecycle.ScriptFailed)
	require.LessOrEqual(t, len(r.log), lifecycle.DefaultMaxLog+200)
	require.Contains(t, r.noted(), "truncated ")
	require.Contains(t, e.Log, "[stdout]end\n", "the tail has what came last")
	require.Less(t, len(e.Log), 5000)
	lean(t, before)
}

func TestD7_OneLineOfAnyLength(t *testing.T) {
	before := peak(t)
	n := volume()
	r := run(t, fmt.Sprintf("#!/bin/sh\nhead -c %d /dev/zero | tr '\\0' x\nprintf end\nexit 3\n", n), limits(10*time.Minute, 0))
	e := r.failure(t, lifecycle.ScriptFailed)
	require.LessOrEqual(t, len(r.log), lifecycle.DefaultMaxLog+200)
	require.True(t, strings.HasSuffix(e.Log, "xxxend"), "the end of the line is kept")
	require.Less(t, len(e.Log), 2048)
	lean(t, before)
}

func TestLogLimitCountsEveryByte(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var notes []lifecycle.Note
	r := lifecycle.Runner{Log: &log, MaxLog: 100, Note: func(n lifecycle.Note) { notes = append(notes, n) }}
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\nseq 1 100\n")}
	require.NoError(t, r.Run(t.Context(), env(t), []lifecycle.Hook{s}))

	var whole bytes.Buffer
	r2 := lifecycle.Runner{Log: &whole, MaxLog: -1}
	require.NoError(t, r2.Run(t.Context(), env(t), []lifecycle.Hook{s}))
	require.Len(t, notes, 1)
	require.Contains(t, notes[0].Text, fmt.Sprintf("truncated %d bytes", whole.Len()-100))
	require.Contains(t, log.String(), notes[0].Text)
}

func TestD8_OutputThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\nprintf 'caf\\351 ok\\n\\377\\376\\n\\000'\nexit 6\n")
	e := r.failure(t, lifecycle.ScriptFailed)
	require.Equal(t, 6, e.Exit)
	require.Contains(t, e.Log, "[stdout]caf\xe9 ok\n[stdout]\xff\xfe\n[stdout]\x00", "stored raw")
	require.Contains(t, lifecycle.Escape(e.Log), `caf\xe9 ok`+"\n"+`[stdout]\xff\xfe`+"\n"+`[stdout]\x00`)
	text, err := json.Marshal(e.Failure)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
}

func TestD9_OutputCannotPretend(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\nprintf 'LifecycleEvent - Install\\n\\033[2J\\rSucceeded\\n'\nexit 1\n")
	e := r.failure(t, lifecycle.ScriptFailed)
	require.Equal(t, "LifecycleEvent - BeforeInstall\nScript - a.sh\n[stdout]LifecycleEvent - Install\n[stdout]"+`\x1b[2J\rSucceeded`+"\n",
		lifecycle.Escape(e.Log), "every line says where it comes from")
}

func TestS9_OutputOfAllBytes(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\ni=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done; echo\n")
	require.NoError(t, r.err)
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	want := "[stdout]" + strings.Replace(string(all), "\n", "\n[stdout]", 1) + "\n"
	require.Equal(t, "LifecycleEvent - BeforeInstall\nScript - a.sh\n"+want, r.log)
}

func TestScriptMayReopenItsOutput(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\necho one\necho two >/dev/stdout\necho three | tee /dev/stderr >/dev/null\n")
	require.NoError(t, r.err)
	require.Contains(t, r.log, "[stdout]one\n[stdout]two\n")
	require.Contains(t, r.log, "[stderr]three\n")
}

func TestScriptWithAPlainWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\necho one\nprintf two\n")}
	require.NoError(t, s.Run(t.Context(), env(t), &out))
	require.Equal(t, "Script - a.sh\n[stdout]one\n[stdout]two", out.String())
	require.NoError(t, s.Run(t.Context(), env(t), io.Discard))
}
