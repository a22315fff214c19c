package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// The program under test is this test binary, started again as the program: a
// process of its own can be killed.
const (
	argsVar  = "ONPREM_TEST_ARGS"
	crashVar = "ONPREM_TEST_CRASH" // "before N" or "after N": at the N-th write to the journal
)

func TestMain(m *testing.M) {
	text, child := os.LookupEnv(argsVar)
	if !child {
		os.Exit(m.Run())
	}
	var args []string
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		panic(err)
	}
	wrap := func(j journal.Journal) journal.Journal { return j }
	if when := os.Getenv(crashVar); when != "" {
		var at crashing
		if _, err := fmt.Sscan(when, &at.when, &at.n); err != nil {
			panic(err)
		}
		wrap = func(j journal.Journal) journal.Journal { return &crashing{Journal: j, when: at.when, n: at.n} }
	}
	os.Exit(run(untilSignal(), args, os.Stdout, os.Stderr, wrap))
}

// crashing kills its own process at a write of the test's choice.
type crashing struct {
	journal.Journal
	when string
	n    int
}

func (c *crashing) Open(ctx context.Context, group string) (journal.Log, error) {
	l, err := c.Journal.Open(ctx, group)
	if err != nil {
		return nil, err
	}
	return &crashingLog{l, c}, nil
}

type crashingLog struct {
	journal.Log
	*crashing
}

func (l *crashingLog) Append(ctx context.Context, records ...lifecycle.Record) error {
	l.n--
	if l.n == 0 && l.when == "before" {
		die()
	}
	err := l.Log.Append(ctx, records...)
	if l.n == 0 && l.when == "after" {
		die()
	}
	return err
}

func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // the signal is on its way
}

// outcomeOf is what a run of the program left.
type outcomeOf struct {
	status         int // -1: killed
	stdout, stderr string
}

func (o outcomeOf) String() string {
	return fmt.Sprintf("exit status %d\n%s\n%s", o.status, o.stdout, o.stderr)
}

// program prepares a run of the program.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED the program with hook scripts: these are for a Unix shell")
	}
	text, err := json.Marshal(args)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), argsVar+"="+string(text))
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) outcomeOf {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(t, err)
	}
	return outcomeOf{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func start(t *testing.T, args ...string) outcomeOf {
	t.Helper()
	return finish(t, program(t, args...))
}

// crashes runs the program and kills it; it reports whether the moment came.
func crashes(t *testing.T, when string, n int, args ...string) bool {
	t.Helper()
	cmd := program(t, args...)
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s %d", crashVar, when, n))
	return finish(t, cmd).status == -1
}

// hook tells what it does in a log beside the hosts.
const hook = `#!/bin/sh
log="$CUTOVER_ROOT/../hooks.log"
me="$DEPLOYMENT_ID $(basename "$CUTOVER_ROOT") $LIFECYCLE_EVENT"
echo "begin $me" >> "$log"
%s
echo "end $me" >> "$log"
`

// sample writes a revision: one file with its name, and hooks with a body each.
func sample(t *testing.T, name string, bodies map[lifecycle.Event]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "scripts"), 0o755))
	write := func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755))
	}
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: app\n    destination: /srv/app\nhooks:\n"
	for _, e := range []lifecycle.Event{"ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"} {
		spec += fmt.Sprintf("  %s:\n    - location: scripts/%s.sh\n      timeout: 60\n", e, e)
		write("scripts/"+string(e)+".sh", fmt.Sprintf(hook, bodies[e]))
	}
	write("appspec.yml", spec)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "app"), 0o755))
	write("app/name", name)
	write("app/only-in-"+name, name)
	return dir
}

// tree lists the files of a host with their content.
func tree(t *testing.T, host string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(host, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(host, name)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	}))
	return files
}

// logged counts the lines of the hooks' log.
func logged(t *testing.T, root string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "hooks.log"))
	require.NoError(t, err)
	n := map[string]int{}
	for line := range strings.Lines(string(text)) {
		n[strings.TrimSpace(line)]++
	}
	return n
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
