//go:build linux

package onprem_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// badNetwork is a host with a real sshd behind a proxy, and a job whose AfterInstall
// waits.
type badNetwork struct {
	fleet
	*sshtest.Proxy
	host target.Host
	job  *target.Job
}

func newBadNetwork(t *testing.T) badNetwork {
	t.Helper()
	f := realFleet(t, 1)
	p := sshtest.NewProxy(t, f.Addresses[0])
	known, err := os.ReadFile(f.Known)
	require.NoError(t, err)
	// The host is known by the proxy's address as well.
	_, port, err := net.SplitHostPort(p.Address)
	require.NoError(t, err)
	_, key, _ := strings.Cut(string(known), " ")
	require.NoError(t, os.WriteFile(f.Known, append(known, "[127.0.0.1]:"+port+" "+key...), 0o600))
	h := f.hosts()[0].(*onprem.SSH)
	h.Address = p.Address
	h.Access.KeepAlive = time.Second
	t.Cleanup(func() { _ = h.Close() })
	return badNetwork{f, p, h, waiting(t, f.Control)}
}

// letGo ends the hook of AfterInstall, which must have run once.
func (n badNetwork) letGo(t *testing.T, done chan *lifecycle.Error) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.Control, "go"), nil, 0o644))
	require.Nil(t, <-done)
	require.Equal(t, "run\n", read(t, n.Control, "ran"))
}

// What hosts of the in-process server go through, with OpenSSH.
func TestFaultsWithARealSSHD(t *testing.T) {
	t.Run("C3: cut in the middle of a hook", func(t *testing.T) {
		n := newBadNetwork(t)
		toInstall(t, n.host, n.job)
		done := slowStep(t, n.host, n.job, n.Control)
		n.Cut()
		n.letGo(t, done)
	})
	t.Run("C13: half-open in the middle of a hook", func(t *testing.T) {
		n := newBadNetwork(t)
		toInstall(t, n.host, n.job)
		done := slowStep(t, n.host, n.job, n.Control)
		thawForTheNext(t, n.Proxy)
		n.letGo(t, done)
	})
	t.Run("C6: the agent is killed", func(t *testing.T) {
		n := newBadNetwork(t)
		toInstall(t, n.host, n.job)
		done := slowStep(t, n.host, n.job, n.Control)
		killAgents(t, n.Dir)
		e := <-done
		require.NotNil(t, e)
		require.Equal(t, lifecycle.Interrupted, e.Code)
		require.Equal(t, "run\n", read(t, n.Control, "ran"))
	})
	t.Run("C2: unreachable", func(t *testing.T) {
		n := newBadNetwork(t)
		n.host.(*onprem.SSH).Access.Patience = time.Millisecond
		n.Down()
		e := doStep(t, n.host, n.job, lifecycle.Start)
		require.NotNil(t, e)
		require.Equal(t, lifecycle.UnitLost, e.Code)
		n.Up()
		require.Nil(t, doStep(t, n.host, n.job, lifecycle.Start))
	})
	t.Run("C14: slow and lossy", func(t *testing.T) {
		n := newBadNetwork(t)
		n.Latency = 2 * time.Millisecond
		require.NoError(t, os.WriteFile(filepath.Join(n.job.Bundle.Dir, "big"), noise(4<<20), 0o644))
		n.job.Revision, n.job.Bundle = reopen(t, n.job.Bundle.Dir)
		n.CutAt.Store(2 << 20) // in the executable
		require.Nil(t, doStep(t, n.host, n.job, lifecycle.Start))
		require.Zero(t, n.CutAt.Load(), "it was cut")
		n.CutAt.Store(n.Sent.Load() - 1)
		require.Nil(t, doStep(t, n.host, n.job, lifecycle.DownloadBundle))
		require.Zero(t, n.CutAt.Load(), "and again")
		require.Nil(t, doStep(t, n.host, n.job, lifecycle.Install))
	})
	// OpenSSH answers the close of a session only when its command has ended.
	t.Run("C14: the login hangs", func(t *testing.T) {
		h := realFleet(t, 1, "ForceCommand exec sleep 60").hosts()[0].(*onprem.SSH)
		h.Access.Dial, h.Access.Patience = 5*time.Second, time.Millisecond
		givenUp(t, h, "the host was silent for 5s")

		j := job(t, t.TempDir(), "one")
		h.Access.Dial = time.Hour
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		time.AfterFunc(time.Second, func() { cancel(enough) })
		err := h.Perform(ctx, target.Task{Job: j, Step: lifecycle.Step{Deployment: "d-1", Unit: h.ID, Event: lifecycle.Start}})
		require.ErrorIs(t, err, enough)
	})
	t.Run("C15: changed host key", func(t *testing.T) {
		n := newBadNetwork(t)
		known := sshtest.KnownHosts(t, sshtest.NewKey(t, t.TempDir(), "other").Signer.PublicKey(), n.Proxy.Address)
		n.host.(*onprem.SSH).Access.KnownHosts = []string{known}
		e := doStep(t, n.host, n.job, lifecycle.Start)
		require.NotNil(t, e)
		require.Equal(t, lifecycle.IdentityChanged, e.Code)
		require.NoDirExists(t, filepath.Join(n.Dir, "state"), "nothing was sent")
	})
}
