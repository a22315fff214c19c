package onprem_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// access lets hosts of an in-process server be reached.
func access(t *testing.T, s *sshtest.Server) *onprem.Access {
	a := onprem.SendPlain(&onprem.Access{
		User: "deploy", Keys: []string{s.User.File},
		KnownHosts: []string{sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address)},
		Patience:   20 * time.Second,
	})
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// over makes n hosts of a server, each with directories of its own.
func over(t *testing.T, s *sshtest.Server, a *onprem.Access, n int) (string, []target.Host) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ssh-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	var hosts []target.Host
	for i := range n {
		id := "host-" + string(rune('1'+i))
		h := &onprem.SSH{ID: id, Address: s.Address, Access: a, State: filepath.Join(dir, "state", id), Root: filepath.Join(dir, id)}
		require.NoError(t, os.MkdirAll(h.Root, 0o755))
		t.Cleanup(func() { _ = h.Close() })
		hosts = append(hosts, h)
	}
	return dir, hosts
}

func TestDeploymentOverSSH(t *testing.T) {
	s := sshtest.New(t)
	s.Shell = "Welcome to this machine!\n"
	dir, hosts := over(t, s, access(t, s), 2)
	control := t.TempDir()
	_, b := bundle(t, "one")
	d := &cutover.Deployment{
		Group: "web", Revision: revision.Dir(b.Dir), Target: &target.Fleet{Hosts: hosts}, Strategy: strategy.OneAtATime(),
		Journal: &journal.File{Dir: t.TempDir()}, Env: []string{"CONTROL=" + control},
	}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, result.Status, "%+v", result)
	for _, h := range []string{"host-1", "host-2"} {
		require.Equal(t, "one", read(t, dir, h+"/srv/app/page.txt"))
		for _, e := range hooked {
			require.Equal(t, 1, strings.Count(read(t, control, "runs-"+result.Deployment+"-"+h+"-"+string(e)), "run"))
		}
	}
	require.EqualValues(t, 2, s.Sessions.Load(), "one session for each host")
}
