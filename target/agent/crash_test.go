//go:build linux

package agent

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/stretchr/testify/require"
)

// crash runs events of a deployment in a process of their own and kills it, with
// nothing else, when the file appears in the host's root.
func (b *box) crash(deployment string, source files, file string, events ...lifecycle.Event) {
	b.t.Helper()
	cmd := b.child(deployment, source, events...)
	require.Eventually(b.t, func() bool { return exists(filepath.Join(b.root, file)) }, 20*time.Second, 5*time.Millisecond)
	require.NoError(b.t, cmd.Process.Kill())
	require.Error(b.t, cmd.Wait())
}

// mayCrash does Start, DownloadBundle and Install like crash, and kills as soon as
// the file is there; the child may be faster.
func (b *box) mayCrash(deployment string, source files, file string) {
	b.t.Helper()
	cmd := b.child(deployment, source, lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install)
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for {
		select {
		case <-over:
			return
		default:
		}
		if exists(filepath.Join(b.root, file)) {
			_ = cmd.Process.Kill()
			<-over
			return
		}
	}
}

// child starts the events in a process of their own.
func (b *box) child(deployment string, source files, events ...lifecycle.Event) *exec.Cmd {
	b.t.Helper()
	dir := b.t.TempDir()
	bundle := b.bundle(source)
	order := childOrder{Do: "deploy", Dir: b.agent.Dir, Root: b.root, Umask: 0o022, Source: bundle.Dir, Work: dir,
		Job: *b.newJob(nil), Deploy: deployment, Report: filepath.Join(dir, "report")}
	for _, e := range events {
		order.Events = append(order.Events, string(e))
	}
	data, err := json.Marshal(order)
	require.NoError(b.t, err)
	path := filepath.Join(dir, "order")
	require.NoError(b.t, os.WriteFile(path, data, 0o600))
	self, err := os.Executable()
	require.NoError(b.t, err)
	cmd := exec.Command(self)
	cmd.Env = []string{childVar + "=" + path, "PATH=" + os.Getenv("PATH")}
	require.NoError(b.t, cmd.Start())
	return cmd
}

func (b *box) pid(file string) int {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.root, file))
	require.NoError(b.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	require.NoError(b.t, err)
	return pid
}

// stepIn is the step as the child process does it: its stage is its place.
func stepIn(deployment string, n int, event lifecycle.Event) lifecycle.Step {
	return lifecycle.Step{Deployment: deployment, Stage: n, Unit: "host", Event: event}
}

func TestC6_AgentKilledInTheMiddleOfAHook(t *testing.T) {
	// The first script leaves a service running, as ApplicationStart does; the
	// second one is cut off, with a child of its own that has left its group.
	source := files{
		"appspec.yml": spec("ApplicationStart", "location: service.sh", "ApplicationStart", "location: slow.sh"), "app/a": "1",
		"service.sh": script("service", `sleep 300 >/dev/null 2>&1 </dev/null & echo $! > "$CUTOVER_ROOT/service.pid"`),
		"slow.sh": script("slow", `[ -e "$CUTOVER_ROOT/again" ] && exit 0`,
			`setsid sleep 300 & echo $! > "$CUTOVER_ROOT/slow.pid"`, `touch "$CUTOVER_ROOT/now"; wait`),
	}
	events := []lifecycle.Event{lifecycle.DownloadBundle, lifecycle.Install, lifecycle.ApplicationStart}
	for _, rerun := range []bool{false, true} {
		t.Run("rerun="+strconv.FormatBool(rerun), func(t *testing.T) {
			b := newBox(t)
			b.crash("d-1", source, "now", events...)
			service, slow := b.pid("service.pid"), b.pid("slow.pid")
			t.Cleanup(func() {
				if p, err := os.FindProcess(service); err == nil {
					_ = p.Kill()
				}
			})
			require.True(t, alive(slow), "the crash must leave the hook's child running, or the test tests nothing")

			require.NoError(t, os.WriteFile(filepath.Join(b.root, "again"), nil, 0o644))
			job := b.newJob(source)
			job.RerunInterrupted = rerun
			err := b.perform(job, stepIn("d-1", 2, lifecycle.ApplicationStart))
			require.False(t, alive(slow), "what the interrupted script left is ended first")
			require.True(t, alive(service), "what a finished script left running is the service itself")
			require.NotEmpty(t, b.noted(lifecycle.Interrupted))
			if rerun {
				require.NoError(t, err)
				require.Equal(t, []string{"ApplicationStart service", "ApplicationStart slow", "ApplicationStart slow"}, b.trace())
				return
			}
			require.ErrorContains(t, err, "RerunInterrupted")
			require.Equal(t, []string{"ApplicationStart service", "ApplicationStart slow"}, b.trace())
		})
	}
}

func TestC6_AnotherStepEndsWhatACrashLeft(t *testing.T) {
	b := newBox(t)
	b.crash("d-1", files{"appspec.yml": spec("AfterInstall", "location: slow.sh"), "app/a": "1",
		"slow.sh": script("slow", `setsid sleep 300 & echo $! > "$CUTOVER_ROOT/slow.pid"`, `touch "$CUTOVER_ROOT/now"; wait`)},
		"now", lifecycle.DownloadBundle, lifecycle.AfterInstall)
	slow := b.pid("slow.pid")
	require.True(t, alive(slow))
	b.ok("d-2", b.newJob(files{"appspec.yml": spec(), "app/a": "2"}))
	require.False(t, alive(slow))
	require.Equal(t, "2", b.installed("a"))
}

// TestCrashAnywhereInDownloadAndInstall kills the agent while it copies, and sees the next one go on.
func TestCrashAnywhereInDownloadAndInstall(t *testing.T) {
	source := files{"appspec.yml": spec()}
	for i := range 400 {
		source["app/f"+strconv.Itoa(i)] = strings.Repeat("x", i)
	}
	b := newBox(t)
	for i, file := range []string{"../state/g1/d-%/.prepared", "../state/g1/d-%/.prepared/release.json", "../state/g1/d-%/deployment-archive",
		"../state/g1/d-%/release.json", "srv", "srv/f399"} {
		d := "d-" + strconv.Itoa(i)
		require.NoError(t, os.RemoveAll(filepath.Join(b.root, "srv")))
		b.mayCrash(d, source, strings.ReplaceAll(file, "d-%", d))
		job := b.newJob(source)
		require.NoError(t, b.perform(job, stepIn(d, 0, lifecycle.Start)))
		require.NoError(t, b.perform(job, stepIn(d, 1, lifecycle.DownloadBundle)))
		require.NoError(t, b.perform(job, stepIn(d, 2, lifecycle.Install)))
		require.Len(t, b.installed("f399"), 399)
		list, err := os.ReadDir(filepath.Join(b.root, "srv"))
		require.NoError(t, err)
		require.Len(t, list, 400)
		require.NoFileExists(t, filepath.Join(b.agent.Dir, "g1", d, preparedDir))
	}
}
