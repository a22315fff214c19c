//go:build linux

package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestD11_ScriptNotExecutable(t *testing.T) {
	t.Parallel()
	path := script(t, "#!/bin/sh\necho ran\n")
	require.NoError(t, os.Chmod(path, 0o640))
	r := runHooks(t.Context(), t, env(t), &lifecycle.Script{Location: "a.sh", Path: path})
	require.NoError(t, r.err)
	require.Contains(t, r.noted(), "from 0640 to 0751")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o751), info.Mode())
}

// Rows D12 and S1 to S6: what a file can be, and what comes of it.
func TestD12_S1_S6_WhatAFileCanBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		code lifecycle.Code // empty: success
		says string         // in the message, or in a note of a success
	}{
		"S1 empty":               {"", "", "is empty"},
		"S2 no interpreter line": {"echo plain\n", "", "has no interpreter line; it is run by /bin/sh"},
		"S3 CRLF":                {"#!/bin/sh\r\necho x\r\n", lifecycle.ScriptNotExecutable, `interpreter "/bin/sh\r" not found: the first line ends in a carriage return; save the file with LF line ends`},
		"S4 interpreter missing": {"#!/opt/no/such/thing -x\n", lifecycle.ScriptNotExecutable, "interpreter /opt/no/such/thing not found"},
		"S5 other architecture":  {"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xf3\x00\x01" + strings.Repeat("\x00", 64), lifecycle.ScriptNotExecutable, "cannot run on this machine"},
		"byte order mark":        {"\xef\xbb\xbf#!/bin/sh\necho ran\n", "", "is run by /bin/sh"},
		"junk":                   {"\x7f\x01\x02\x03\n\xff\n", lifecycle.ScriptFailed, "exit status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, c.text)
			if c.code == "" {
				require.NoError(t, r.err)
				require.Contains(t, r.noted(), c.says)
				return
			}
			e := r.failure(t, c.code)
			require.Contains(t, e.Message, c.says)
			require.Equal(t, "a.sh", e.Script)
			require.True(t, strings.HasPrefix(e.Log, "LifecycleEvent - BeforeInstall\nScript - a.sh\n"))
		})
	}
}

func TestS6_NotAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o755))
	require.NoError(t, os.Symlink("nowhere", dir+"/dangling"))
	for name, want := range map[string]struct {
		code lifecycle.Code
		says string
	}{
		"":         {lifecycle.ScriptNotExecutable, "is a directory"},
		"fifo":     {lifecycle.ScriptNotExecutable, "is a named pipe"},
		"dangling": {lifecycle.ScriptMissing, `is a link to "nowhere"`},
		"missing":  {lifecycle.ScriptMissing, "is not in the revision"},
	} {
		r := runHooks(t.Context(), t, env(t), &lifecycle.Script{Location: "x", Path: filepath.Join(dir, name)})
		e := r.failure(t, want.code)
		require.Contains(t, e.Message, want.says)
		if want.code == lifecycle.ScriptMissing {
			require.Equal(t, "LifecycleEvent - BeforeInstall\n", e.Log)
		}
	}
}

func TestS7_NoexecMount(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOEXEC, "size=1m"); err != nil {
		t.Skipf("SKIPPED scripts on a noexec mount: cannot mount: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	require.NoError(t, os.WriteFile(dir+"/a.sh", []byte("#!/bin/sh\n"), 0o755))
	r := runHooks(t.Context(), t, env(t), &lifecycle.Script{Location: "a.sh", Path: dir + "/a.sh"})
	require.Contains(t, r.failure(t, lifecycle.ScriptNotExecutable).Message, "mounted noexec")
}

func TestS8_ExitStatus(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]string{
		"exit 1":        "exit status 1",
		"exit 255":      "exit status 255",
		"/etc/passwd":   "exit status 126: the shell found a command that it could not execute",
		"no-such-thing": "exit status 127: the shell did not find a command",
		"exit 137":      "exit status 137: in a shell that means a command ended by SIGKILL",
	} {
		e := run(t, "#!/bin/sh\n"+end+"\n").failure(t, lifecycle.ScriptFailed)
		require.Contains(t, e.Message, want)
		require.NotZero(t, e.Exit)
		require.Empty(t, e.Signal)
	}
}

func TestD14_KilledBySignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{"KILL", "SEGV", "TERM"} {
		e := run(t, "#!/bin/sh\nkill -"+signal+" $$\n").failure(t, lifecycle.ScriptFailed)
		require.Equal(t, "SIG"+signal, e.Signal)
		require.Zero(t, e.Exit)
		require.Contains(t, e.Message, "ended by SIG"+signal)
	}
}

func TestD15_S10_Surroundings(t *testing.T) {
	t.Parallel()
	leak, err := syscall.Open(script(t, "leak"), syscall.O_RDONLY, 0) // not marked to be closed
	require.NoError(t, err)
	defer syscall.Close(leak)
	r := run(t, `#!/bin/sh
echo "stdin=$(readlink /proc/$$/fd/0) bytes=$(cat | wc -c | tr -d ' ')"
echo "group=$(test "$(cut -d' ' -f5 /proc/$$/stat)" = $$ && echo own)"
(: </dev/tty) 2>/dev/null && echo terminal || echo no terminal
for fd in /proc/$$/fd/*; do n=${fd##*/}; test $n -gt 2 && readlink $fd; done | grep -v "^$0\$" | grep -v '^pipe:'
env | grep -v '^PWD=\|^CUTOVER_HOOK=\|^_=\|^SHLVL=\|^OLDPWD='
pwd
`)
	require.NoError(t, r.err)
	lines := strings.Split(r.log, "\n")
	require.Equal(t, []string{"[stdout]stdin=/dev/null bytes=0", "[stdout]group=own", "[stdout]no terminal",
		"[stdout]PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, lines[2:6])
}

func TestD16_ScriptDeletesItsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/revision"
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(dir+"/a.sh", []byte("#!/bin/sh\nrm -rf "+dir+"\necho gone\n"), 0o755))
	s := &lifecycle.Script{Location: "a.sh", Path: dir + "/a.sh", Dir: dir}
	r := runHooks(t.Context(), t, env(t), s, s)
	require.Contains(t, r.failure(t, lifecycle.ScriptMissing).Log, "[stdout]gone\n", "the first succeeds, the next says what is missing")
}

func TestD20_RunAs(t *testing.T) {
	for name, says := range map[string]string{"no-such-user": "there is no such account", "4242": "there is no such account"} {
		_, err := lifecycle.LookupAccount(name)
		e, ok := errors.AsType[*lifecycle.Error](err)
		require.True(t, ok)
		require.Equal(t, lifecycle.RunAsInvalid, e.Code)
		require.Contains(t, e.Message, says)
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED running as another account: only root can")
	}
	root, err := lifecycle.LookupAccount("")
	require.NoError(t, err)
	require.Equal(t, "root", root.Name)
	if text, _ := exec.Command("getent", "passwd", "nobody").Output(); strings.Contains(string(text), "nologin") {
		_, err = lifecycle.LookupAccount("nobody")
		require.ErrorContains(t, err, "lets nobody in")
	}
	dir, err := os.MkdirTemp("/tmp", "runas")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.WriteFile(dir+"/a.sh", []byte("#!/bin/sh\nid -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL $KEPT\n"), 0o755))
	a := &lifecycle.Account{Name: "app", UID: 4242, GID: 4243, Groups: []uint32{4243, 4244, 4245}, Home: "/tmp", Shell: "/bin/sh"}
	s := &lifecycle.Script{Location: "a.sh", Path: dir + "/a.sh", Account: a}
	e := env(t, "HOME=/root", "KEPT=yes")
	r := runHooks(t.Context(), t, e, s)
	require.NoError(t, r.err)
	require.Contains(t, r.log, "[stdout]4242\n[stdout]4243\n[stdout]4243 4244 4245\n[stdout]/tmp app app /bin/sh yes\n")

	require.NoError(t, os.Chmod(dir, 0o700))
	r = runHooks(t.Context(), t, e, s)
	require.Contains(t, r.failure(t, lifecycle.ScriptNotExecutable).Message, "cannot be started as app")
}

func TestD25_SameScriptTwice(t *testing.T) {
	t.Parallel()
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\nprintf once\n")}
	r := runHooks(t.Context(), t, env(t), s, s)
	require.NoError(t, r.err)
	require.Equal(t, "LifecycleEvent - BeforeInstall\nScript - a.sh\n[stdout]onceScript - a.sh\n[stdout]once", r.log)
}

func TestFuncHooks(t *testing.T) {
	t.Parallel()
	cause := errors.New("no luck")
	r := runHooks(t.Context(), t, env(t), lifecycle.Func(func(_ context.Context, _ lifecycle.Env, out io.Writer) error {
		_, _ = io.WriteString(out, "a\nb")
		return cause
	}))
	e := r.failure(t, lifecycle.HookFailed)
	require.ErrorIs(t, e, cause)
	require.Equal(t, "LifecycleEvent - BeforeInstall\na\nb", e.Log)
	require.Equal(t, r.env.Step, e.Step)

	r = runHooks(t.Context(), t, env(t), lifecycle.Func(func(context.Context, lifecycle.Env, io.Writer) error { panic(cause) }))
	e = r.failure(t, lifecycle.Panicked)
	require.ErrorIs(t, e, cause)
	require.Contains(t, e.Message, "no luck")
}

func TestNoHooksLogNothing(t *testing.T) {
	r := runHooks(t.Context(), t, env(t))
	require.NoError(t, r.err)
	require.Empty(t, r.log)
}
