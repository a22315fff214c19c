package lifecycle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A number that is used again is not the process that had it before.
func TestSignalMeansOneProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	p, ok := readProc(cmd.Process.Pid)
	require.True(t, ok)
	require.Equal(t, os.Getpid(), p.parent)
	require.LessOrEqual(t, p.start, ticks())

	before := p
	before.start--
	require.False(t, before.signal(syscall.SIGKILL), "somebody else's number")
	again, ok := readProc(p.pid)
	require.True(t, ok && !again.dead)
	require.True(t, p.signal(syscall.SIGTERM))
}

// A group whose leader began after the script has only the number in common
// with the script's.
func TestGroupOfAnotherIsNotOurs(t *testing.T) {
	all := []proc{{pid: 100, group: 100, start: 50}, {pid: 101, group: 100, start: 51}}
	for after, want := range map[uint64]bool{40: false, 50: true, 60: true} {
		require.Equal(t, want, (&group{pid: 100, after: after}).leads(all))
	}
	require.True(t, (&group{pid: 100, after: 40}).leads(all[1:]), "the leader may have ended")
	require.False(t, (&group{after: 40}).leads(all), "nothing was started")
}

func TestKin(t *testing.T) {
	all := []proc{
		{pid: 10, parent: 1, group: 10, session: 5},   // the script
		{pid: 11, parent: 10, group: 10, session: 5},  // its child
		{pid: 12, parent: 11, group: 12, session: 12}, // left the session
		{pid: 13, parent: 1, group: 13, session: 12},  // and lost its parent
		{pid: 14, parent: 1, group: 10, session: 5},   // lost its parent only
		{pid: 15, parent: 1, group: 0, session: 0},    // outside our view
		{pid: 20, parent: 5, group: 20, session: 5},   // another child of who started the script
	}
	for inOurs, last := range map[bool]int{false: 0, true: 20} {
		found := map[int]proc{10: all[0]}
		kin(found, all, inOurs)
		for _, pid := range []int{10, 11, 12, 13, 14} {
			require.Contains(t, found, pid)
		}
		require.NotContains(t, found, 15)
		require.Equal(t, last != 0, len(found) == 6, "session 5 is that of who started the script, unless we are in it")
	}
}

func TestAccountsExpireOnTheirDay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shadow")
	require.NoError(t, os.WriteFile(file, []byte("old:!:1:0:99999:7::1:\nnone:!:1:0:99999:7:::\nyoung:!:1:0:99999:7::99999:\nbad:!\n"+
		"today:!:1:0:99999:7::"+strconv.FormatInt(today(), 10)+":\n"), 0o600))
	for name, want := range map[string]bool{"old": true, "none": false, "young": false, "bad": false, "today": true, "unknown": false} {
		require.Equal(t, want, expired(dbField(file, name, 7)), name)
	}
	require.Contains(t, (&Account{Name: "x", Shell: "/usr/sbin/nologin"}).refusal(), "lets nobody in")
	require.Contains(t, (&Account{Name: "x", Shell: "/no/shell", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}).refusal(), "does not exist")
}
