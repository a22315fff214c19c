//go:build linux || darwin

package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// The test binary, run again with these set, does one install or recovery and kills
// itself before its n-th effect.
const (
	childJob   = "CUTOVER_INSTALL_CHILD"
	childKill  = "CUTOVER_INSTALL_KILL"
	childState = "CUTOVER_INSTALL_STATE"
)

func TestMain(m *testing.M) {
	job, state := os.Getenv(childJob), os.Getenv(childState)
	if job == "" && state == "" {
		os.Exit(m.Run())
	}
	n, _ := strconv.Atoi(os.Getenv(childKill))
	seam := countdown(n, func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) })
	if state != "" {
		_, err := recoverState(ctx(), state, seam)
		exit(err)
	}
	b, err := os.ReadFile(job)
	if err != nil {
		exit(err)
	}
	var r Request
	if err := json.Unmarshal(b, &r); err != nil {
		exit(err)
	}
	r.seam = seam
	p, err := NewPlan(ctx(), r)
	if err == nil {
		err = p.Apply(ctx())
	}
	exit(err)
}

func ctx() context.Context { return context.Background() }

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runChild(t *testing.T, env ...string) (killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	var ee *exec.ExitError
	require.ErrorAs(t, err, &ee)
	ws := ee.Sys().(syscall.WaitStatus)
	require.True(t, ws.Signaled(), "child: %s", out)
	return true
}

// change is a world with an old revision, foreign files, and a new revision that
// meets every kind of change.
func change(t *testing.T, base string) (*world, Request) {
	w := worldIn(t, base)
	w.write("srv/foreign.txt", "foreign")
	w.write("srv/taken", "taken before", 0o600)
	w.write("srv/b.conf", "operator's", 0o640)
	w.write("keep/mine", "mine")
	w.deploy(files{
		"app/a": "1", "app/same": "same", "app/gone/x": "x", "app/gone/y/z": "z", "app/d2f/in": "in", "app/f2d": "f",
		"app/l": "-> a", "app/taken": "by us", "app/edited": "e1", "app/logs/keep": "k", "app/links/l1": "-> ../a",
	}, overwrite)
	w.write("srv/logs/app.log", "log")
	w.write("srv/edited", "by hand")
	w.write("srv/gone/other", "not ours")
	r := w.request(files{
		"app/a": "2", "app/same": "same", "app/d2f": "now a file", "app/f2d/in": "now a directory", "app/l": "-> same",
		"app/edited": "e2", "app/b.conf": "ours", "app/new/p/q": "q", "app/new/p/r": "-> q", "app/new/e/": "", "app/links/l1": "file",
	}, overwrite, func(r *Request) { r.Spec = spec("app", "/srv", "app/a", "/opt/tool/bin") })
	return w, r
}

// replay makes copies of one old state, so that every run starts alike.
func replay(t *testing.T, each func(n int, w *world, r Request, before, after []string) (over bool)) {
	w, r := change(t, t.TempDir())
	before := snapshot(t, w.root)
	backup := filepath.Join(t.TempDir(), "b")
	copyTree(t, w.base, backup)
	_, err := w.try(r)
	require.NoError(t, err)
	after := snapshot(t, w.root)
	require.NotEqual(t, before, after)
	for n := 1; ; n++ {
		require.NoError(t, os.RemoveAll(w.base))
		copyTree(t, backup, w.base)
		if each(n, w, r, before, after) {
			return
		}
		require.Less(t, n, 1000)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func noTraces(t *testing.T, w *world) {
	t.Helper()
	for _, p := range w.tree() {
		require.NotContains(t, p, tempPrefix)
	}
	for _, name := range []string{undoName, nextName} {
		require.NoFileExists(t, filepath.Join(w.state("g"), name))
	}
}

func TestE1_KilledAtEveryEffect(t *testing.T) {
	old, fresh := 0, 0
	replay(t, func(n int, w *world, r Request, before, after []string) bool {
		b, err := json.Marshal(r)
		require.NoError(t, err)
		job := filepath.Join(t.TempDir(), "job")
		require.NoError(t, os.WriteFile(job, b, 0o600))
		if !runChild(t, childJob+"="+job, childKill+"="+strconv.Itoa(n)) {
			require.Equal(t, after, snapshot(t, w.root))
			return true
		}
		// Recovery is killed as well, at an effect that moves with n, then done.
		runChild(t, childState+"="+r.State, childKill+"="+strconv.Itoa(1+n%7))
		rec, err := Recover(t.Context(), r.State)
		require.NoError(t, err)
		got := snapshot(t, w.root)
		if fmt.Sprint(got) == fmt.Sprint(after) {
			fresh++
		} else {
			require.Equal(t, before, got, "kill %d: neither old nor new (%s)", n, rec.Outcome)
			old++
		}
		noTraces(t, w)
		_, err = w.try(r)
		require.NoError(t, err, "the next install goes through")
		require.Equal(t, after[0], snapshot(t, w.root)[0])
		return false
	})
	require.Greater(t, old, 10)
	require.Greater(t, fresh, 5)
}

func TestE1_ErrorAtEveryEffect(t *testing.T) {
	failed := 0
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		replay(t, func(n int, w *world, r Request, before, after []string) bool {
			hit := false
			r.seam = countdown(n, func() error { hit = true; return cause })
			p, err := NewPlan(t.Context(), r)
			require.NoError(t, err)
			err = p.Apply(t.Context())
			switch {
			case !hit:
				require.NoError(t, err)
				return true
			case err == nil: // while tidying up: the new tree stands
				_, err := Recover(t.Context(), r.State)
				require.NoError(t, err)
				require.Equal(t, after, snapshot(t, w.root))
			default:
				failed++
				le, ok := errors.AsType[*lifecycle.Error](err)
				require.True(t, ok)
				require.Equal(t, lifecycle.InstallFailed, le.Code)
				require.ErrorIs(t, err, cause)
				require.Equal(t, before, snapshot(t, w.root), "effect %d", n)
			}
			noTraces(t, w)
			return false
		})
	}
	require.Greater(t, failed, 20)
}
