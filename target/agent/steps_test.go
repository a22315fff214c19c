package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

func TestC7_FinishedStepAnswersWithItsOutcome(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "ApplicationStart", "location: bad.sh"), "app/a": "1", "a.sh": script("a"), "bad.sh": script("bad", "echo oops >&2", "exit 7")})
	err := b.run("d-1", job)
	require.NotNil(t, err)
	ran := b.trace()
	require.Equal(t, []string{"AfterInstall a", "ApplicationStart bad"}, ran)

	require.NoError(t, b.perform(job, b.step("d-1", lifecycle.AfterInstall)))
	// Another agent on the same directory is what is left after a restart.
	b.agent = &Agent{Dir: b.agent.Dir, Root: b.root}
	again := b.perform(job, b.step("d-1", lifecycle.ApplicationStart))
	failure, ok := errors.AsType[*lifecycle.Error](again)
	require.True(t, ok)
	require.Equal(t, err.Failure, failure.Failure)
	require.Equal(t, err.Step, failure.Step)
	require.Contains(t, failure.Log, "[stderr]oops")
	require.Equal(t, ran, b.trace(), "nothing may have run again")
}

func TestC7_RunningStepIsJoinedNotRunTwice(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", `until [ -e "$CUTOVER_ROOT/go" ]; do sleep 0.01; done`)})
	require.NoError(t, asPlain(b.run("d-1", job, lifecycle.DownloadBundle, lifecycle.Install)))
	var wg sync.WaitGroup
	results := make([]error, 4)
	for i := range results {
		wg.Go(func() {
			results[i] = b.agent.Perform(t.Context(), target.Task{Step: b.step("d-1", lifecycle.AfterInstall), Job: job})
		})
	}
	require.Eventually(t, func() bool { return len(b.trace()[0]) > 0 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, os.WriteFile(filepath.Join(b.root, "go"), nil, 0o644))
	wg.Wait()
	require.NoError(t, errors.Join(results...))
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
}

func TestCancelledStepIsAbandoned(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", "exec sleep 60")})
	require.NoError(t, asPlain(b.run("d-1", job, lifecycle.DownloadBundle)))
	gone := errors.New("the caller has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		done <- b.agent.Perform(ctx, target.Task{Step: b.step("d-1", lifecycle.AfterInstall), Job: job})
	}()
	require.Eventually(t, func() bool { return len(b.trace()[0]) > 0 }, 10*time.Second, 5*time.Millisecond)
	cancel(gone)
	require.Equal(t, gone, <-done)

	err := b.run("d-1", job, lifecycle.AfterInstall)
	require.NotNil(t, err)
	require.Equal(t, lifecycle.Interrupted, err.Code)
	require.Equal(t, "a.sh", err.Script)
}

func TestB9_OtherDeploymentIsWaitedForThenBusy(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", `until [ -e "$CUTOVER_ROOT/go" ]; do sleep 0.01; done`)})
	require.NoError(t, asPlain(b.run("d-1", job, lifecycle.DownloadBundle)))
	done := make(chan error)
	go func() {
		done <- b.agent.Perform(t.Context(), target.Task{Step: b.step("d-1", lifecycle.AfterInstall), Job: job})
	}()
	require.Eventually(t, func() bool { return len(b.trace()[0]) > 0 }, 10*time.Second, 5*time.Millisecond)

	other := *job
	other.Group = "g2"
	second := &Agent{Dir: b.agent.Dir, Root: b.root, Wait: 50 * time.Millisecond}
	task := target.Task{Step: b.step("d-2", lifecycle.ApplicationStop), Job: &other}
	err, ok := errors.AsType[*lifecycle.Error](second.Perform(t.Context(), task))
	require.True(t, ok)
	require.Equal(t, lifecycle.UnitBusy, err.Code)
	require.Contains(t, err.Message, "d-1: AfterInstall on host-1")

	require.NoError(t, os.WriteFile(filepath.Join(b.root, "go"), nil, 0o644))
	require.NoError(t, <-done)
	require.NoError(t, second.Perform(t.Context(), task))
}

// cut puts the record of a step into the state in which a crash in the middle of a
// script leaves it.
func (b *box) cut(s lifecycle.Step, done int, running string) {
	b.t.Helper()
	require.NoError(b.t, b.agent.remember(s, &outcome{Key: s.Key(), Done: done, Running: running}))
	data, err := json.Marshal(s)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.agent.Dir, lockName), data, 0o600))
}

func TestC5_InterruptedStepFailsOrGoesOn(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "AfterInstall", "location: b.sh", "AfterInstall", "location: c.sh"), "app/a": "1",
		"a.sh": script("a"), "b.sh": script("b"), "c.sh": script("c")})
	require.NoError(t, asPlain(b.run("d-1", job, lifecycle.DownloadBundle, lifecycle.Install)))
	step := b.step("d-1", lifecycle.AfterInstall)

	b.cut(step, 1, "b.sh")
	err := b.run("d-1", job, lifecycle.AfterInstall)
	require.NotNil(t, err)
	require.Equal(t, lifecycle.Interrupted, err.Code)
	require.Equal(t, "b.sh", err.Script)
	require.Contains(t, err.Message, "RerunInterrupted")
	require.Equal(t, []string{""}, b.trace())

	b.cut(step, 1, "b.sh")
	job.RerunInterrupted = true
	require.NoError(t, b.perform(job, step))
	require.Equal(t, []string{"AfterInstall b", "AfterInstall c"}, b.trace(), "a.sh had finished and must not run again")

	b.cut(step, 2, "")
	job.RerunInterrupted = false
	require.NoError(t, b.perform(job, step), "between two scripts nothing was interrupted")
	require.Equal(t, []string{"AfterInstall b", "AfterInstall c", "AfterInstall c"}, b.trace())
}

func TestD22_FailingApplicationStop(t *testing.T) {
	b := newBox(t)
	old := files{"appspec.yml": spec("ApplicationStop", "location: stop.sh"), "app/a": "1", "stop.sh": script("stop", "exit 1")}
	b.ok("d-1", b.newJob(old))
	next := b.newJob(files{"appspec.yml": spec(), "app/a": "2"})
	err := b.run("d-2", next)
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptFailed, err.Code)
	require.Equal(t, lifecycle.ApplicationStop, err.Step.Event)
	require.Contains(t, err.Message, "set IgnoreStopFailures")
	require.Equal(t, "1", b.installed("a"))

	next.IgnoreStopFailures = true
	b.ok("d-3", next)
	require.Contains(t, strings.Join(noteTexts(b.notes), "\n"), "ignored, as the deployment says")
	require.Equal(t, "2", b.installed("a"))
}

func noteTexts(notes []lifecycle.Note) []string {
	var out []string
	for _, n := range notes {
		out = append(out, n.Text)
	}
	return out
}

func TestD23_LostOldRevisionIsSkippedWithANote(t *testing.T) {
	old := files{"appspec.yml": spec("ApplicationStop", "location: stop.sh"), "app/a": "1", "stop.sh": script("stop")}
	for name, lose := range map[string]func(b *box){
		"folder removed":  func(b *box) { require.NoError(t, os.RemoveAll(filepath.Dir(b.archive("d-1")))) },
		"archive removed": func(b *box) { require.NoError(t, os.RemoveAll(b.archive("d-1"))) },
		"record damaged": func(b *box) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(b.archive("d-1")), releaseFile), []byte("{"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.ok("d-1", b.newJob(old))
			lose(b)
			strict := b.newJob(files{"appspec.yml": spec(), "app/a": "2"})
			strict.Strict = true
			err := b.run("d-2", strict, lifecycle.ApplicationStop)
			require.NotNil(t, err)
			require.Equal(t, lifecycle.PreviousUnavailable, err.Code)

			b.ok("d-3", b.newJob(files{"appspec.yml": spec(), "app/a": "2"}))
			require.Contains(t, b.noted(lifecycle.PreviousUnavailable), "ApplicationStop was skipped")
			require.Equal(t, []string{""}, b.trace())
			require.Equal(t, "2", b.installed("a"))
		})
	}
}
