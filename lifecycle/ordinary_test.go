//go:build linux

package lifecycle_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// An ordinary user can make no control group as a rule, so this is also the test
// of finding processes without one.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED the same tests as an ordinary user: this is one already")
	}
	dir, err := os.MkdirTemp("", "ordinary")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const somebody = 65534
	require.NoError(t, os.Chown(dir, somebody, somebody))
	copyFile(t, os.Args[0], filepath.Join(dir, "test"))
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.v", "-test.skip=D3_Late|D5|D6|D7|Table|Walk|Key")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestD4_WhatEscapedIsEnded/timeout_double_fork")
	require.Contains(t, string(out), "--- PASS: TestC6_LeftoversOfAKilledRunnerAreEnded")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	require.NoError(t, err)
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(dst, src)
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.NoError(t, os.Chmod(to, 0o755))
}

func TestD20_OnlyRootRunsAsSomebodyElse(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED what an ordinary user is refused: this is root; TestAsAnOrdinaryUser does it")
	}
	_, err := lifecycle.LookupAccount("root")
	require.ErrorContains(t, err, "runas root: only root can run scripts as somebody else; this process has uid ")
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\n"), Account: &lifecycle.Account{Name: "app", UID: 4242, GID: 4242}}
	e := runHooks(t.Context(), t, env(t), s).failure(t, lifecycle.RunAsInvalid)
	require.Contains(t, e.Message, "cannot be run as app")

	own := &lifecycle.Account{Name: "me", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Home: "/home/me", Shell: "/bin/sh"}
	s = &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\nid -u\necho $HOME\n"), Account: own}
	r := runHooks(t.Context(), t, env(t), s)
	require.NoError(t, r.err, "as ourselves everybody can")
	require.True(t, strings.HasSuffix(r.log, "[stdout]/home/me\n"))
}

// Rows #108 and #111: the message names what is in the way.
func TestD20_WhatBarsAnAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED directories that bar an account: only root can run scripts as another")
	}
	top, err := os.MkdirTemp("/tmp", "runas")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	a := &lifecycle.Account{Name: "app", UID: 4242, GID: 4243, Groups: []uint32{4244}, Home: "/", Shell: "/bin/sh"}
	for name, c := range map[string]struct {
		dir, file os.FileMode
		gid       int
		cwd, says string // DIR is the directory
	}{
		"directory of root":     {0o700, 0o755, 0, "/", "cannot be started as app: the account may not enter the directory DIR (mode 0700)"},
		"group may not":         {0o705, 0o755, 4244, "/", "may not enter the directory DIR (mode 0705)"},
		"group may":             {0o710, 0o755, 4244, "/", ""},
		"file of root":          {0o755, 0o744, 0, "/", "the account may not execute the file (mode 0744)"},
		"file of the group":     {0o755, 0o750, 4243, "/", ""},
		"working directory":     {0o755, 0o755, 0, "DIR/cwd", "may not enter the directory DIR/cwd (mode 0700)"},
		"interpreter of root's": {0o755, 0o755, 0, "/", "may not execute the file or its interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(top, strings.ReplaceAll(name, " ", "-"))
			require.NoError(t, os.MkdirAll(dir+"/cwd", 0o700))
			shell := "/bin/sh"
			if strings.HasPrefix(name, "interpreter") {
				shell = dir + "/cwd/sh"
				copyFile(t, "/bin/sh", shell)
			}
			require.NoError(t, os.Chmod(top, 0o755))
			require.NoError(t, os.WriteFile(dir+"/a.sh", []byte("#!"+shell+"\n"), 0o755))
			for path, mode := range map[string]os.FileMode{dir: c.dir, dir + "/a.sh": c.file} {
				require.NoError(t, os.Chown(path, 0, c.gid))
				require.NoError(t, os.Chmod(path, mode))
			}
			s := &lifecycle.Script{Location: "a.sh", Path: dir + "/a.sh", Dir: strings.ReplaceAll(c.cwd, "DIR", dir), Account: a}
			r := runHooks(t.Context(), t, env(t), s)
			if c.says == "" {
				require.NoError(t, r.err)
				return
			}
			require.Contains(t, r.failure(t, lifecycle.ScriptNotExecutable).Message, strings.ReplaceAll(c.says, "DIR", dir))
		})
	}
}

// Whatever comes of a hook, no descriptor and no control group stays.
func TestNothingOfAHookStays(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	missing := &lifecycle.Script{Location: "x", Path: filepath.Join(t.TempDir(), "x")}
	e := env(t)
	runHooks(t.Context(), t, e, &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\n")}) // the first one opens what stays open: the poller
	before := count()
	for range 5 {
		for _, text := range []string{"", "exit 0", "exit 1", "sleep 60", "sleep 60 >/dev/null 2>&1 &", "kill -9 $$"} {
			s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\n"+text+"\n"), Grace: 100 * time.Millisecond}
			if text == "sleep 60" {
				s.Timeout = 100 * time.Millisecond
			}
			runHooks(t.Context(), t, e, s)
		}
		s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/no/such/thing\n")}
		runHooks(t.Context(), t, e, missing)
		runHooks(t.Context(), t, e, s)
	}
	require.Eventually(t, func() bool { return count() == before }, 20*time.Second, 10*time.Millisecond, "descriptors stay")
	noCgroupLeft(t, e)
	n, err := lifecycle.EndLeftovers(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, 5, n, "the daemons")
}
