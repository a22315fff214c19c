//go:build linux

package agent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/install"
	"github.com/stretchr/testify/require"
)

func TestD24_ApplicationThatDiesAfterItsHookHasSucceeded(t *testing.T) {
	b := newBox(t)
	err := b.run("d-1", b.newJob(files{
		"appspec.yml": spec("ApplicationStart", "location: start.sh", "ValidateService", "location: validate.sh\ntimeout: 20"), "app/a": "1",
		"start.sh": script("start", `(sleep 1; rm "$CUTOVER_ROOT/alive") >/dev/null 2>&1 </dev/null &`, `touch "$CUTOVER_ROOT/alive"`),
		"validate.sh": script("validate", `for i in 1 2 3 4 5 6 7 8 9 10; do`, `  [ -e "$CUTOVER_ROOT/alive" ] || { echo "the application has died" >&2; exit 1; }`,
			`  sleep 0.3`, `done`),
	}))
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptFailed, err.Code)
	require.Equal(t, lifecycle.ValidateService, err.Step.Event)
	require.Contains(t, err.Log, "the application has died")
	require.Equal(t, []string{"ApplicationStart start", "ValidateService validate"}, b.trace(), "the hook itself succeeded")
}

// A revision that lists a script for an event that may not come deploys, as with
// CodeDeploy's agent; under Strict it does not.
func TestD10_ScriptOfAnEventThatMayNotCome(t *testing.T) {
	for _, event := range []string{"BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeAllowTraffic", "AfterAllowTraffic"} {
		for _, location := range []string{"gone.sh", "app"} {
			b := newBox(t)
			source := files{"appspec.yml": spec(event, "location: "+location, "AfterInstall", "location: good.sh"), "app/a": "1", "good.sh": script("good")}
			b.ok("d-1", b.newJob(source))
			require.Contains(t, b.noted(lifecycle.AppSpecInvalid), "hooks."+event)
			require.Equal(t, []string{"AfterInstall good"}, b.trace())

			b = newBox(t)
			job := b.newJob(source)
			job.Strict = true
			require.NotNil(t, b.run("d-1", job))
			require.Equal(t, []string{""}, b.trace())
		}
	}
	// Listed twice, the sure event decides.
	b := newBox(t)
	err := b.run("d-1", b.newJob(files{"appspec.yml": spec("BeforeBlockTraffic", "location: gone.sh", "ValidateService", "location: ./gone.sh"), "app/a": "1"}))
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptMissing, err.Code)
}

func TestD10_ScriptThatAnotherOneMakes(t *testing.T) {
	b := newBox(t)
	b.ok("d-1", b.newJob(files{"appspec.yml": spec("BeforeInstall", "location: make.sh", "AfterInstall", "location: made.sh"), "app/a": "1",
		"make.sh": script("make", `printf '#!/bin/sh\necho made >> "$CUTOVER_ROOT/trace"\n' > made.sh`, "chmod 755 made.sh")}))
	require.Equal(t, []string{"BeforeInstall make", "made"}, b.trace())
}

func TestE7_DestinationBehindALinkToNothing(t *testing.T) {
	b := newBox(t)
	require.NoError(t, os.Symlink("nowhere", filepath.Join(b.root, "srv")))
	err := b.run("d-1", b.newJob(files{"appspec.yml": spec(), "app/a": "1"}))
	require.NotNil(t, err)
	require.Equal(t, lifecycle.InstallRefused, err.Code)
	require.Contains(t, err.Message, "a link to nothing")
	require.NoDirExists(t, filepath.Join(b.root, "nowhere"))
}

// TestKilledAtRandomWhileDeploying lets a process deploy one revision after
// another and kills it at any moment: what is installed is one of them, whole.
func TestKilledAtRandomWhileDeploying(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED an agent that is killed at random: -short")
	}
	b := newBox(t)
	source := func(v int) files {
		f := files{"appspec.yml": spec("BeforeInstall", "location: slow.sh", "AfterInstall", "location: slow.sh"),
			"slow.sh": script("slow", "sleep 0.02")}
		for i := range 60 {
			f[fmt.Sprintf("app/d%d/f%d", i%(3+v), i)] = strconv.Itoa(v)
		}
		return f
	}
	events := []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.BeforeInstall, lifecycle.Install, lifecycle.AfterInstall}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for n := range 25 {
		cmd := b.child("d-"+strconv.Itoa(n), source(n%2), events...)
		// The moment is what this test is about: nothing is waited for.
		timer := time.AfterFunc(time.Duration(random.IntN(160))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		_, err := install.Recover(t.Context(), b.agent.installState("g1"))
		require.NoError(t, err)
		b.whole(t) // the old or the new one
		job := b.newJob(source(n % 2))
		job.RerunInterrupted = true
		for i, e := range events {
			require.NoError(t, b.perform(job, stepIn("d-"+strconv.Itoa(n), i, e)), "deployment %d, %s", n, e)
		}
		b.whole(t)
	}
}

// whole checks that what is installed is one revision and nothing else.
func (b *box) whole(t *testing.T) {
	t.Helper()
	seen := map[string]int{}
	_ = filepath.WalkDir(filepath.Join(b.root, "srv"), func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err // nothing was installed yet
		}
		require.False(t, strings.HasPrefix(e.Name(), ".cutover"), "%s is left over", path)
		if !e.IsDir() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			seen[string(data)]++
		}
		return nil
	})
	if len(seen) > 0 {
		require.Len(t, seen, 1, "two revisions are mixed")
		require.Contains(t, []int{seen["0"], seen["1"]}, 60)
	}
}

func TestTwoProcessesOnOneHost(t *testing.T) {
	b := newBox(t)
	source := func(v string) files {
		return files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/" + v: v, "a.sh": script(v, "sleep 0.05")}
	}
	events := []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install, lifecycle.AfterInstall}
	one, two := b.child("d-1", source("one"), events...), b.child("d-2", source("two"), events...)
	require.NoError(t, one.Wait())
	require.NoError(t, two.Wait())
	h, err := b.agent.History("g1")
	require.NoError(t, err)
	list, err := os.ReadDir(filepath.Join(b.root, "srv"))
	require.NoError(t, err)
	require.Len(t, list, 1, "the files of one of them, not of both")
	require.Equal(t, map[string]string{"d-1": "one", "d-2": "two"}[h.Installed.Deployment], list[0].Name())
	require.Len(t, b.trace(), 2)
}

func TestFiftyHostsAtOnce(t *testing.T) {
	first := newBox(t)
	base := filepath.Dir(first.root)
	job := first.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a")})
	events := []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install, lifecycle.AfterInstall}
	failures := make(chan error, 50*len(events))
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			host := filepath.Join(base, "host-"+strconv.Itoa(n))
			a := &Agent{Dir: filepath.Join(host, "state"), Root: host}
			mine := *job
			for i, e := range events {
				if err := a.Perform(t.Context(), target.Task{Step: stepIn("d-1", i, e), Job: &mine}); err != nil {
					failures <- err
				}
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	for n := range 50 {
		data, err := os.ReadFile(filepath.Join(base, "host-"+strconv.Itoa(n), "trace"))
		require.NoError(t, err)
		require.Equal(t, "AfterInstall a\n", string(data))
		require.FileExists(t, filepath.Join(base, "host-"+strconv.Itoa(n), "srv", "a"))
	}
}
