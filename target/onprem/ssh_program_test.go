package onprem_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/onprem"
)

func TestExecutableIsSentOnceForAllConnections(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	_, hosts := over(t, s, a, 1)
	j := job(t, t.TempDir(), "one")
	require.Nil(t, start(t, hosts[0], j))
	first := s.Received.Load()
	require.NoError(t, hosts[0].(*onprem.SSH).Close())
	require.Nil(t, doStep(t, hosts[0], j, lifecycle.DownloadBundle))
	require.EqualValues(t, 2, s.Sessions.Load())
	require.Less(t, s.Received.Load()-first, int64(64<<10))
}

// The executable goes compressed to a host that has gzip, and as it is to others.
func TestExecutableIsSentCompressed(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	info, err := os.Stat(self)
	require.NoError(t, err)
	s := sshtest.New(t)
	a := &onprem.Access{User: "deploy", Keys: []string{s.User.File}, KnownHosts: []string{sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address)}}
	defer a.Close()
	_, hosts := over(t, s, a, 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
	require.Less(t, s.Received.Load(), info.Size()*6/10)

	s = sshtest.New(t)
	s.Bare, s.Path = true, t.TempDir()
	for _, tool := range []string{"sh", "id", "uname", "mkdir", "mktemp", "head", "cat", "chmod", "rm"} {
		path, err := exec.LookPath(tool)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(s.Path, tool)))
	}
	_, hosts = over(t, s, access(t, s), 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
	require.Greater(t, s.Received.Load(), info.Size())
}

func TestProgramThatIsNoAgentIsNotSent(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Executable = "/bin/sh"
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.ErrorContains(t, e, "agent.Main()")
	require.Zero(t, s.Sessions.Load())
}

func TestProgramsForOtherPlatforms(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Executables = t.TempDir()
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.ErrorContains(t, e, "linux-")
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(a.Executables, platform())))
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
}

func TestC14_HostThatHangsWhenTheAgentIsStartedIsGivenUp(t *testing.T) {
	s := sshtest.New(t)
	s.Path = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(s.Path, "uname"), []byte("#!/bin/sh\nexec sleep 20\n"), 0o755))
	a := access(t, s)
	a.Dial, a.Patience = 5*time.Second, time.Millisecond
	_, hosts := over(t, s, a, 1)
	givenUp(t, hosts[0], "silent for 5s")
}

func TestSudoThatRefusesSaysSo(t *testing.T) {
	s := sshtest.New(t)
	s.Path = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(s.Path, "sudo"), []byte("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"), 0o755))
	_, hosts := over(t, s, access(t, s), 1)
	hosts[0].(*onprem.SSH).Sudo = true
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.ErrorContains(t, e, "without a password")
	require.Equal(t, lifecycle.TargetFailed, e.Code)
}

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
