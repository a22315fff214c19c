package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/stretchr/testify/require"
)

func TestD10_MissingScriptIsRefusedBeforeTheHostIsTouched(t *testing.T) {
	b := newBox(t)
	b.ok("d-1", b.newJob(files{"appspec.yml": spec("ApplicationStop", "location: stop.sh"), "app/a": "1", "stop.sh": script("stop")}))
	err := b.run("d-2", b.newJob(files{"appspec.yml": spec("ValidateService", "location: hooks/gone.sh"), "app/a": "2"}))
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptMissing, err.Code)
	require.Equal(t, lifecycle.Start, err.Step.Event)
	require.Equal(t, "hooks/gone.sh", err.Script)
	require.Contains(t, err.Message, "hooks.ValidateService[0].location")
	require.Equal(t, []string{""}, b.trace(), "no script may have run")
	require.Equal(t, "1", b.installed("a"))
}

func TestD11_ScriptThatIsNotExecutableIsMadeSo(t *testing.T) {
	b := newBox(t)
	b.ok("d-1", b.newJob(files{"appspec.yml": spec("AfterInstall", "location: plain"), "app/a": "1", "plain": script("plain")}))
	require.Equal(t, []string{"AfterInstall plain"}, b.trace())
	require.Contains(t, b.noted(lifecycle.ScriptNotExecutable), "script plain was not executable")
}

func TestD13_ScriptThatIsNoFileOfTheRevisionIsRefused(t *testing.T) {
	for name, location := range map[string]string{"a directory": "dir", "a link that leads out": "link"} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: "+location), "app/a": "1", "dir/x.sh": script("x")})
			require.NoError(t, os.Symlink("/bin/true", filepath.Join(job.Bundle.Dir, "link")))
			job.Bundle = b.reopen(job.Bundle.Dir)
			job.Revision.Digest = ""
			err := b.run("d-1", job)
			require.NotNil(t, err)
			require.Equal(t, lifecycle.ScriptNotExecutable, err.Code)
			require.Equal(t, lifecycle.Start, err.Step.Event)
		})
	}
}

func TestD16_HookThatDeletesItsRevision(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{
		"appspec.yml": spec("BeforeInstall", "location: rm.sh", "BeforeInstall", "location: next.sh", "AfterInstall", "location: next.sh"),
		"app/a":       "1", "rm.sh": script("rm", `rm -rf "$PWD"`), "next.sh": script("next"),
	})
	err := b.run("d-1", job)
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptMissing, err.Code)
	require.Equal(t, lifecycle.BeforeInstall, err.Step.Event)
	require.Equal(t, "next.sh", err.Script)
	require.Contains(t, err.Message, "an earlier script must have removed it")
	require.Equal(t, []string{"BeforeInstall rm"}, b.trace())

	// The next deployment is not held up by it.
	b.ok("d-2", b.newJob(files{"appspec.yml": spec(), "app/a": "2"}))
	require.Equal(t, "2", b.installed("a"))
}

func TestD17_ScriptThatWasChangedOnTheHost(t *testing.T) {
	revision := files{
		"appspec.yml": spec("BeforeInstall", "location: edit.sh", "AfterInstall", "location: later.sh"),
		"app/a":       "1", "edit.sh": script("edit", `echo 'echo edited >> "$CUTOVER_ROOT/trace"' >> later.sh`), "later.sh": script("later"),
	}
	t.Run("is run, with a note", func(t *testing.T) {
		b := newBox(t)
		b.ok("d-1", b.newJob(revision))
		require.Equal(t, []string{"BeforeInstall edit", "AfterInstall later", "edited"}, b.trace())
		require.Contains(t, b.noted(lifecycle.DigestMismatch), "later.sh")
	})
	t.Run("is refused under Strict", func(t *testing.T) {
		b := newBox(t)
		job := b.newJob(revision)
		job.Strict = true
		err := b.run("d-1", job, lifecycle.DownloadBundle, lifecycle.BeforeInstall, lifecycle.AfterInstall)
		require.NotNil(t, err)
		require.Equal(t, lifecycle.DigestMismatch, err.Code)
		require.Equal(t, "later.sh", err.Script)
		require.Equal(t, []string{"BeforeInstall edit"}, b.trace())
	})
}

func TestInstallTakesWhatBeforeInstallMadeOfTheRevision(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("BeforeInstall", "location: gen.sh"), "app/a": "1", "gen.sh": script("gen", "echo made > app/b", "echo 2 > app/a")})
	b.ok("d-1", job)
	require.Equal(t, "made\n", b.installed("b"))
	require.Equal(t, "2\n", b.installed("a"))
	require.Contains(t, b.noted(lifecycle.DigestMismatch), "app/a, app/b")
}

func TestAppSpecIsNotReadAgain(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{
		"appspec.yml": spec("BeforeInstall", "location: edit.sh", "AfterInstall", "location: right.sh"),
		"app/a":       "1", "edit.sh": script("edit", "sed -i s/right.sh/wrong.sh/ appspec.yml"),
		"right.sh": script("right"), "wrong.sh": script("wrong"),
	})
	b.ok("d-1", job)
	require.Equal(t, []string{"BeforeInstall edit", "AfterInstall right"}, b.trace())
}

func TestD20_AccountThatCannotBeUsed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED accounts of scripts: only root can run scripts as somebody else")
	}
	const runas = "location: a.sh\nrunas: no-such-account"
	t.Run("is found before anything is touched", func(t *testing.T) {
		b := newBox(t)
		err := b.run("d-1", b.newJob(files{"appspec.yml": spec("BeforeInstall", "location: b.sh", "ValidateService", runas), "app/a": "1", "a.sh": script("a"), "b.sh": script("b")}))
		require.NotNil(t, err)
		require.Equal(t, lifecycle.RunAsInvalid, err.Code)
		require.Equal(t, lifecycle.Start, err.Step.Event)
		require.Equal(t, "a.sh", err.Script)
		require.Contains(t, err.Message, "no-such-account")
		require.Equal(t, []string{""}, b.trace())
	})
	t.Run("is only a note if an earlier script may create it", func(t *testing.T) {
		b := newBox(t)
		err := b.run("d-1", b.newJob(files{"appspec.yml": spec("BeforeInstall", "location: b.sh", "ValidateService", runas), "app/a": "1", "a.sh": script("a"),
			"b.sh": script("b", "# useradd no-such-account")}))
		require.NotNil(t, err)
		require.Equal(t, lifecycle.ValidateService, err.Step.Event)
		require.Equal(t, []string{"BeforeInstall b"}, b.trace())
	})
	t.Run("is found for the installed revision's ApplicationStop, with the way out", func(t *testing.T) {
		b := newBox(t)
		b.ok("d-1", b.newJob(files{"appspec.yml": spec("ApplicationStop", runas), "app/a": "1", "a.sh": script("a")}))
		next := b.newJob(files{"appspec.yml": spec(), "app/a": "2"})
		err := b.run("d-2", next)
		require.NotNil(t, err)
		require.Equal(t, lifecycle.RunAsInvalid, err.Code)
		require.Equal(t, lifecycle.Start, err.Step.Event)
		require.Contains(t, err.Message, "IgnoreStopFailures")
		next.IgnoreStopFailures = true
		b.ok("d-3", next)
		require.Equal(t, "2", b.installed("a"))
	})
	t.Run("is found if it cannot get at the script", func(t *testing.T) {
		b := newBox(t)
		require.NoError(t, os.Chmod(filepath.Dir(b.agent.Dir), 0o700))
		err := b.run("d-1", b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh\nrunas: daemon"), "app/a": "1", "a.sh": script("a")}))
		require.NotNil(t, err)
		require.Equal(t, lifecycle.RunAsInvalid, err.Code)
		require.Equal(t, lifecycle.Start, err.Step.Event)
	})
}

func TestD25_OneScriptListedTwiceRunsTwice(t *testing.T) {
	b := newBox(t)
	b.ok("d-1", b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "AfterInstall", "location: a.sh", "ApplicationStart", "location: a.sh"), "app/a": "1", "a.sh": script("a")}))
	require.Equal(t, []string{"AfterInstall a", "AfterInstall a", "ApplicationStart a"}, b.trace())
}

func TestInvariant4_NothingRunsAfterAFailure(t *testing.T) {
	b := newBox(t)
	err := b.run("d-1", b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "AfterInstall", "location: b.sh"), "app/a": "1", "a.sh": script("a", "exit 3"), "b.sh": script("b")}))
	require.NotNil(t, err)
	require.Equal(t, lifecycle.ScriptFailed, err.Code)
	require.Equal(t, 3, err.Exit)
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
	log, rerr := os.ReadFile(filepath.Join(b.agent.Dir, "g1", "d-1", "logs", "scripts.log"))
	require.NoError(t, rerr)
	require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d LifecycleEvent - AfterInstall\n.* Script - a.sh\n$`, string(log))
}
