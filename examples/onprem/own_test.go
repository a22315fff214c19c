package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestOwnRevisionFromADirectory(t *testing.T) {
	root := t.TempDir()
	o := start(t, "-root", root, "-revision", sample(t, "a", nil), "-hosts", "3", "-strategy", "half")
	require.Zero(t, o.status, o)
	require.Equal(t, map[string]string{"srv/app/name": "a", "srv/app/only-in-a": "a"}, tree(t, filepath.Join(root, "host-3")))
	require.Contains(t, squeeze(o.stdout), "host-3 succeeded revision a")
}

func TestOwnRevisionFromAnArchive(t *testing.T) {
	dir := sample(t, "a", nil)
	archive := filepath.Join(t.TempDir(), "a.tgz")
	if out, err := exec.Command("tar", "-czf", archive, "-C", dir, ".").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED an archive as revision: tar: %v: %s", err, out)
	}
	root := t.TempDir()
	o := start(t, "-root", root, "-revision", archive, "-hosts", "1")
	require.Zero(t, o.status, o)
	require.Equal(t, "a", tree(t, filepath.Join(root, "host-1"))["srv/app/name"])
}

// A root goes on from what was deployed there: a broken revision is replaced by
// the last good one, and the exit status says that it failed.
func TestFailureIsRolledBackAndExitsWith1(t *testing.T) {
	root := t.TempDir()
	require.Zero(t, start(t, "-root", root, "-revision", sample(t, "a", nil), "-hosts", "2").status)
	broken := sample(t, "b", map[lifecycle.Event]string{"ValidateService": "echo does not work; exit 7"})
	o := start(t, "-root", root, "-revision", broken)
	require.Equal(t, 1, o.status, o)
	require.Contains(t, squeeze(o.stdout), "HOST REVISION b ROLLBACK TO a HAS NOW host-1 failed at ValidateService succeeded revision a host-2 not touched not touched revision a")
	require.Contains(t, o.stdout, "does not work", "the end of the script's log is shown")
	for _, host := range []string{"host-1", "host-2"} {
		require.Equal(t, map[string]string{"srv/app/name": "a", "srv/app/only-in-a": "a"}, tree(t, filepath.Join(root, host)))
	}
}

func TestFailureWithNothingToGoBackTo(t *testing.T) {
	broken := sample(t, "b", map[lifecycle.Event]string{"AfterInstall": "exit 1"})
	o := start(t, "-root", t.TempDir(), "-revision", broken, "-hosts", "2")
	require.Equal(t, 1, o.status, o)
	require.Contains(t, squeeze(o.stdout), "host-1 failed at AfterInstall unknown")
}

func TestDestinationsBelowRootAndAllowAreUsedAsWritten(t *testing.T) {
	root, allowed := t.TempDir(), t.TempDir()
	dir := sample(t, "a", nil)
	spec, err := os.ReadFile(filepath.Join(dir, "appspec.yml"))
	require.NoError(t, err)
	more := "version: 0.0\nos: linux\nfiles:\n" +
		"  - source: app/name\n    destination: " + filepath.Join(root, "shared") + "\n" +
		"  - source: app/name\n    destination: " + filepath.Join(allowed, "kept") + "\n" +
		"  - source: app/name\n    destination: /srv/app\n" + string(spec[len("version: 0.0\nos: linux\nfiles:\n"):])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(more), 0o644))
	require.NoError(t, os.Remove(filepath.Join(dir, "app", "name")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "name"), []byte("a"), 0o644))
	more = strings.ReplaceAll(more, "app/name", "name")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(more), 0o644))

	o := start(t, "-root", root, "-allow", allowed, "-revision", dir, "-hosts", "1")
	require.Zero(t, o.status, o)
	require.FileExists(t, filepath.Join(root, "shared", "name"))
	require.FileExists(t, filepath.Join(allowed, "kept", "name"))
	require.FileExists(t, filepath.Join(root, "host-1", "srv", "app", "name"))
}

func TestUsageExitsWith2(t *testing.T) {
	dir := sample(t, "a", nil)
	file := filepath.Join(dir, "appspec.yml")
	for name, args := range map[string][]string{
		"unknown flag":             {"-nonsense"},
		"argument":                 {"deploy"},
		"no hosts":                 {"-hosts", "0"},
		"unknown strategy":         {"-strategy", "some"},
		"percentage out of range":  {"-strategy", "100%"},
		"revision that is missing": {"-revision", filepath.Join(dir, "missing")},
		"empty revision":           {"-revision", ""},
		"root that is a file":      {"-root", file},
		"resume without root":      {"-resume"},
		"resume of a plan":         {"-resume", "-plan", "-root", dir},
		"empty allow":              {"-allow", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := start(t, args...)
			require.Equal(t, 2, o.status, o)
			require.Contains(t, o.stderr, "onprem: ")
			require.Empty(t, o.stdout)
		})
	}
}

func TestHelpExitsWith0(t *testing.T) {
	o := start(t, "-help")
	require.Zero(t, o.status, o)
	require.Contains(t, o.stderr, "-rerun-interrupted")
}

func TestRevisionWithoutAppSpecIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	root := t.TempDir()
	o := start(t, "-root", root, "-revision", t.TempDir(), "-hosts", "1")
	require.Equal(t, 1, o.status, o)
	require.Contains(t, o.stderr, "AppSpec")
	require.Empty(t, tree(t, filepath.Join(root, "host-1")))
}

func TestResumeStartsADeploymentWhereThereIsNone(t *testing.T) {
	root := t.TempDir()
	o := start(t, "-root", root, "-resume", "-revision", sample(t, "a", nil), "-hosts", "1")
	require.Zero(t, o.status, o)
	require.Equal(t, "a", tree(t, filepath.Join(root, "host-1"))["srv/app/name"])
}

// A script may say -resume every time: what has ended is told, not done again.
func TestResumeOfWhatHasEndedTellsHowItEnded(t *testing.T) {
	root, a := t.TempDir(), sample(t, "a", nil)
	args := []string{"-root", root, "-hosts", "1", "-resume", "-revision"}
	require.Zero(t, start(t, append(args, a)...).status)
	before := logged(t, root)
	o := start(t, append(args, a)...)
	require.Zero(t, o.status, o)
	require.Contains(t, o.stdout, "Nothing to finish")
	require.Contains(t, squeeze(o.stdout), "host-1 succeeded revision a")
	require.Equal(t, before, logged(t, root))

	broken := sample(t, "b", map[lifecycle.Event]string{"AfterInstall": "exit 1"})
	for range 2 {
		o = start(t, append(args, broken)...)
		require.Equal(t, 1, o.status, o)
		require.Contains(t, squeeze(o.stdout), "host-1 failed at AfterInstall succeeded revision a")
	}
}
