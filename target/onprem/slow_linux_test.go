package onprem_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// The time that it takes here to compress the executable is no silence of the host. The
// file is a pipe by then that says nothing for longer than a host may.
func TestC14_TimeToCompressIsNotTheHosts(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.Symlink(self, program))
	s := sshtest.New(t)
	a := access(t, s)
	a = &onprem.Access{User: a.User, Keys: a.Keys, KnownHosts: a.KnownHosts, Patience: a.Patience, Executable: program, Dial: 5 * time.Second}
	_, hosts := over(t, s, a, 1)
	j := job(t, t.TempDir(), "one")
	_, err = hosts[0].(*onprem.SSH).Check(t.Context(), j) // reads it for its digest
	require.NoError(t, err)

	require.NoError(t, os.Remove(program))
	require.NoError(t, syscall.Mkfifo(program, 0o700))
	go func() {
		content, _ := os.ReadFile(self)
		f, err := os.OpenFile(program, os.O_WRONLY, 0) // when it is compressed
		if err != nil {
			return
		}
		defer f.Close()
		time.Sleep(a.Dial + time.Second)
		_, _ = f.Write(content)
	}()
	require.Nil(t, start(t, hosts[0], j))
	require.EqualValues(t, 1, s.Logins.Load())
}
