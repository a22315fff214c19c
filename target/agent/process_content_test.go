//go:build linux

package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

func TestOnlyWhatIsMissingIsSent(t *testing.T) {
	b := newBox(t)
	one := files{"appspec.yml": spec()}
	for i := range 200 {
		one["app/f"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26)] = strings.Repeat(time.Unix(int64(i)*7919, 0).String(), 100)
	}
	two := files{}
	for name, text := range one {
		two[name] = text
	}
	two["app/fa"] = "changed"
	c, w := b.remote()
	require.NoError(t, b.do(c, "d-1", b.newJob(one), upToInstall...))
	first := w.sent.Load()
	require.NoError(t, b.do(c, "d-2", b.newJob(two), upToInstall...))
	second := w.sent.Load() - first
	require.Equal(t, "changed", b.installed("fa"))
	require.Less(t, second, first/3, "first %d bytes, second %d", first, second)
	require.NoError(t, b.do(c, "d-3", b.newJob(one), upToInstall...))
	require.Less(t, w.sent.Load()-first-second, second, "what is retained is not sent at all")
}

func TestRetainedFileThatAScriptHasChangedIsSentAgain(t *testing.T) {
	b := newBox(t)
	one := files{"appspec.yml": spec(), "app/a": "same", "app/b": "old"}
	two := files{"appspec.yml": spec(), "app/a": "same", "app/b": "new"}
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", b.newJob(one), upToInstall...))
	require.NoError(t, os.WriteFile(filepath.Join(b.archive("d-1"), "app", "a"), []byte("SAME"), 0o644))
	require.NoError(t, b.do(c, "d-2", b.newJob(two), upToInstall...))
	require.Equal(t, "same", b.installed("a"))
	require.NoError(t, b.do(c, "d-3", b.newJob(one), upToInstall...), "nor is it taken from there when the whole is wanted")
	require.Equal(t, "same", b.installed("a"))
	entries, err := os.ReadDir(filepath.Join(b.agent.Dir, incoming))
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is left of the transfers")
}

func TestRevisionThatChangedSinceItWasOpenedIsRefused(t *testing.T) {
	for name, text := range map[string]string{"same length": "2", "shorter": "", "longer": "22"} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			job := b.newJob(files{"appspec.yml": spec(), "app/a": "1"})
			require.NoError(t, os.WriteFile(filepath.Join(job.Bundle.Dir, "app", "a"), []byte(text), 0o644))
			c, _ := b.remote()
			err := b.do(c, "d-1", job, lifecycle.Start)
			e, ok := errors.AsType[*lifecycle.Error](err)
			if name == "longer" { // what is there more is not sent
				require.True(t, ok || err == nil)
				return
			}
			require.True(t, ok, "%v", err)
			require.Contains(t, e.Message, "app/a")
		})
	}
}

func TestRevisionIsFetchedByAddress(t *testing.T) {
	b := newBox(t)
	job, d := b.archived(files{"appspec.yml": spec(), "app/a": "1"})
	c, w := b.remote()
	watch := &Watch{Fetch: &d}
	require.NoError(t, c.Perform(t.Context(), b.task(job, lifecycle.Start), watch))
	require.NoError(t, b.do(c, "d-1", job, lifecycle.DownloadBundle, lifecycle.Install))
	require.Equal(t, "1", b.installed("a"))
	require.Less(t, w.sent.Load(), int64(6000))

	d.SHA256 = strings.Repeat("0", 64)
	err := c.Perform(t.Context(), target.Task{Job: job, Step: lifecycle.Step{Deployment: "d-9", Unit: "host-1", Event: lifecycle.Start}}, watch)
	require.NoError(t, err, "it is retained")
	other, d := b.archived(files{"appspec.yml": spec(), "app/a": "2"})
	d.SHA256 = strings.Repeat("0", 64)
	err = c.Perform(t.Context(), target.Task{Job: other, Step: lifecycle.Step{Deployment: "d-10", Unit: "host-1", Event: lifecycle.Start}}, &Watch{Fetch: &d})
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, lifecycle.DigestMismatch, e.Code)
}
