package onprem_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

func start(t *testing.T, h target.Host, j *target.Job) *lifecycle.Error {
	t.Helper()
	return doStep(t, h, j, lifecycle.Start)
}

func doStep(t *testing.T, h target.Host, j *target.Job, e lifecycle.Event) *lifecycle.Error {
	t.Helper()
	return doStepOf(t, h, j, "d-1", e)
}

func doStepOf(t *testing.T, h target.Host, j *target.Job, deployment string, e lifecycle.Event) *lifecycle.Error {
	t.Helper()
	err := h.Perform(t.Context(), target.Task{Job: j, Step: lifecycle.Step{Deployment: deployment, Unit: h.Unit().ID, Event: e}})
	if err == nil {
		return nil
	}
	le, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	return le
}

// givenUp starts a deployment on a host that is out of reach.
func givenUp(t *testing.T, h target.Host, says string) {
	t.Helper()
	e := start(t, h, job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.UnitLost, e.Code)
	require.Contains(t, e.Message, says)
}

// slowStep begins a step whose hook waits for the file go in control.
func slowStep(t *testing.T, h target.Host, j *target.Job, control string) chan *lifecycle.Error {
	t.Helper()
	done := make(chan *lifecycle.Error, 1)
	step := lifecycle.Step{Deployment: "d-1", Unit: h.Unit().ID, Event: lifecycle.AfterInstall}
	go func() {
		err := h.Perform(t.Context(), target.Task{Job: j, Step: step})
		e, _ := errors.AsType[*lifecycle.Error](err)
		if e == nil && err != nil {
			e = &lifecycle.Error{Failure: lifecycle.Failure{Message: err.Error()}}
		}
		done <- e
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(control, "begun")); return err == nil }, 20*time.Second, 5*time.Millisecond)
	return done
}

// waiting is a job whose AfterInstall waits for the file go.
func waiting(t *testing.T, control string) *target.Job {
	t.Helper()
	j := job(t, control, "one")
	dir := j.Bundle.Dir
	hook := "#!/bin/sh\necho run >> $CONTROL/ran; : > $CONTROL/begun; until [ -e $CONTROL/go ]; do sleep 0.01; done\n"
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\nhooks:\n  AfterInstall:\n    - location: hook.sh\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hook.sh"), []byte(hook), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(spec), 0o644))
	j.Revision, j.Bundle = reopen(t, dir)
	return j
}

func toInstall(t *testing.T, h target.Host, j *target.Job) {
	t.Helper()
	for _, e := range []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install} {
		require.Nil(t, doStep(t, h, j, e), e)
	}
}

func TestC3_CutInTheMiddleOfAHook(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	control := t.TempDir()
	j := waiting(t, control)
	toInstall(t, hosts[0], j)
	done := slowStep(t, hosts[0], j, control)
	s.Cut()
	require.Eventually(t, func() bool { return s.Sessions.Load() == 2 }, 20*time.Second, 5*time.Millisecond, "it is connected to again")
	s.Cut()
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.Nil(t, <-done)
	require.Equal(t, "run\n", read(t, control, "ran"))
}

func TestC4_HostThatStaysAwayIsUnknown(t *testing.T) {
	host, p := impatient(t)
	control := t.TempDir()
	j := waiting(t, control)
	toInstall(t, host, j)
	done := slowStep(t, host, j, control)
	p.Down()
	e := <-done
	require.NotNil(t, e)
	require.Equal(t, lifecycle.Unknown, e.Code)
	require.Contains(t, e.Message, "out of reach since")

	p.Up() // it comes back, and tells what became of the step
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.Nil(t, doStep(t, host, j, lifecycle.AfterInstall))
	require.Equal(t, "run\n", read(t, control, "ran"))
}

// impatient is a host that is given up after a second, and the way to it.
func impatient(t *testing.T) (target.Host, *sshtest.Proxy) {
	t.Helper()
	s := sshtest.New(t)
	a := access(t, s)
	a.Patience = time.Second
	_, hosts := over(t, s, a, 1)
	p := sshtest.NewProxy(t, s.Address)
	through(t, s, hosts[0], p)
	return hosts[0], p
}

func TestC2_UnreachableIsLostAndNothingElse(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Patience = time.Millisecond
	_, hosts := over(t, s, a, 1)
	s.Close()
	givenUp(t, hosts[0], s.Address)
}

func TestC2_HostThatIsBackSoonIsWaitedFor(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	p := sshtest.NewProxy(t, s.Address)
	through(t, s, hosts[0], p)
	p.Down()
	time.AfterFunc(300*time.Millisecond, p.Up)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
}

// through sends what is for the host through a proxy.
func through(t *testing.T, s *sshtest.Server, h target.Host, p *sshtest.Proxy) {
	x := h.(*onprem.SSH)
	x.Address = p.Address
	x.Access.KnownHosts = []string{sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), p.Address)}
}

// thawForTheNext makes the connection through a proxy half-open until it is given up for
// another one.
func thawForTheNext(t *testing.T, p *sshtest.Proxy) {
	t.Helper()
	had := p.Taken.Load()
	p.Freeze()
	require.Eventually(t, func() bool { return p.Taken.Load() > had }, time.Minute, time.Millisecond, "it is not given up")
	p.Thaw()
}

func TestC13_HalfOpenConnectionIsNoticed(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.KeepAlive = time.Second // four of which the executable must get over in
	_, hosts := over(t, s, a, 1)
	p := sshtest.NewProxy(t, s.Address)
	through(t, s, hosts[0], p)
	control := t.TempDir()
	j := waiting(t, control)
	toInstall(t, hosts[0], j)
	done := slowStep(t, hosts[0], j, control)
	thawForTheNext(t, p)
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.Nil(t, <-done)
	require.GreaterOrEqual(t, s.Sessions.Load(), int64(2), "it was given up, and another one made")
	require.Equal(t, "run\n", read(t, control, "ran"))
}

func TestC14_SlowLink(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	p := sshtest.NewProxy(t, s.Address)
	p.Latency = 10 * time.Millisecond
	through(t, s, hosts[0], p)
	toInstall(t, hosts[0], job(t, t.TempDir(), "one"))
}

// A connection is cut again and again while the executable and the revision go over
// it; what has come is not lost.
func TestC14_LossyLink(t *testing.T) {
	s := sshtest.New(t)
	dir, hosts := over(t, s, access(t, s), 1)
	p := sshtest.NewProxy(t, s.Address)
	through(t, s, hosts[0], p)
	j := job(t, t.TempDir(), "one")
	cut := func(deployment string, content []byte) {
		for i := range 8 {
			require.NoError(t, os.WriteFile(filepath.Join(j.Bundle.Dir, "big-"+strconv.Itoa(i)), content[i<<20:][:1<<20], 0o644))
		}
		j.Revision, j.Bundle = reopen(t, j.Bundle.Dir)
		before := p.Sent.Load()
		p.CutAt.Store(before + 5<<20) // in the executable, the first time
		require.Nil(t, doStepOf(t, hosts[0], j, deployment, lifecycle.Start))
		require.Zero(t, p.CutAt.Load(), "it was cut")
		if deployment == "d-2" {
			require.Less(t, p.Sent.Load()-before, int64(12<<20), "what had come whole was not sent again")
		}
		require.FileExists(t, filepath.Join(dir, "state", "host-1", "g", deployment, ".prepared", "deployment-archive", "big-7"))
	}
	cut("d-1", noise(8<<20))
	cut("d-2", noise(9 << 20)[1<<19:])
}

func TestC15_ChangedHostKeyIsRefusedBeforeAnythingIsSent(t *testing.T) {
	s, other := sshtest.New(t), sshtest.New(t)
	a := access(t, s)
	a.KnownHosts = []string{sshtest.KnownHosts(t, other.Host.Signer.PublicKey(), s.Address)}
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.IdentityChanged, e.Code)
	require.Contains(t, e.Message, "has changed")
	require.Zero(t, s.Sessions.Load())
}

func TestUnknownHostIsRefused(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.KnownHosts = []string{sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), "elsewhere:22")}
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.IdentityChanged, e.Code)
	require.Contains(t, e.Message, "is not known")
}

func TestV10_NoHostKeysIsAMistake(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.KnownHosts = nil
	_, hosts := over(t, s, a, 1)
	j := job(t, t.TempDir(), "one")
	_, err := hosts[0].(target.Checker).Check(t.Context(), j)
	require.ErrorContains(t, err, "set Access.KnownHosts or Access.HostCAs")
	e := start(t, hosts[0], j)
	require.Equal(t, lifecycle.TargetFailed, e.Code)
	require.Zero(t, s.Sessions.Load())
}

func TestV11_KeyFiles(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	x := hosts[0].(*onprem.SSH)
	j := job(t, t.TempDir(), "one")
	try := func(a *onprem.Access) error {
		h := &onprem.SSH{ID: "h", Address: s.Address, Access: a, State: x.State}
		_, err := h.Check(t.Context(), j)
		return err
	}
	like := func(file string) *onprem.Access {
		return onprem.SendPlain(&onprem.Access{Keys: []string{file}, KnownHosts: x.Access.KnownHosts})
	}
	dir := t.TempDir()
	data, err := os.ReadFile(s.User.File)
	require.NoError(t, err)
	open := filepath.Join(dir, "open")
	require.NoError(t, os.WriteFile(open, data, 0o644))
	require.ErrorContains(t, try(like(open)), "other accounts may read it")
	none := filepath.Join(dir, "none")
	require.NoError(t, os.WriteFile(none, []byte("hello"), 0o600))
	require.ErrorContains(t, try(like(none)), "no private key")
	require.ErrorContains(t, try(like(filepath.Join(dir, "missing"))), "missing")
	require.ErrorContains(t, try(&onprem.Access{KnownHosts: x.Access.KnownHosts}), "no key to log in with")

	locked := filepath.Join(dir, "locked")
	sshtest.LockKey(t, s.User, locked, "open sesame")
	require.ErrorContains(t, try(like(locked)), "needs a passphrase")
	a := like(locked)
	a.Passphrase = func(string) ([]byte, error) { return []byte("wrong"), nil }
	require.ErrorContains(t, try(a), "cannot be opened")
	a = like(locked)
	a.Passphrase = func(string) ([]byte, error) { return []byte("open sesame"), nil }
	require.NoError(t, try(a))
}

func TestKeyThatIsNotLetInIsDenied(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Keys = []string{sshtest.NewKey(t, t.TempDir(), "other").File}
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.Denied, e.Code)
	require.Contains(t, e.Message, "deploy is not let in")
}

func TestHostIsReachedThroughJumpHosts(t *testing.T) {
	host, one, two := sshtest.New(t), sshtest.New(t), sshtest.New(t)
	a := access(t, host)
	for _, s := range []*sshtest.Server{one, two} {
		s.User = host.User
		a.KnownHosts = append(a.KnownHosts, sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address))
	}
	a.Jump = []string{one.Address, "other@" + two.Address}
	dir, hosts := over(t, host, a, 2)
	j := job(t, t.TempDir(), "one")
	for _, h := range hosts {
		toInstall(t, h, j)
	}
	require.Equal(t, "one", read(t, dir, "host-2/srv/app/page.txt"))
	require.Positive(t, two.Received.Load())
}

func TestHostWithACertificate(t *testing.T) {
	ca := sshtest.NewKey(t, t.TempDir(), "ca")
	s, other := sshtest.NewCertified(t, ca, "127.0.0.1"), sshtest.New(t)
	a := access(t, s)
	a.KnownHosts, a.HostCAs = nil, []ssh.PublicKey{ca.Signer.PublicKey()}
	_, hosts := over(t, s, a, 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))

	h := &onprem.SSH{ID: "other", Address: other.Address, Access: a, State: t.TempDir()}
	e := start(t, h, job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.IdentityChanged, e.Code)
}

func TestAddressFromSSHConfig(t *testing.T) {
	s := sshtest.New(t)
	known := access(t, s).KnownHosts[0]
	name, port, _ := strings.Cut(s.Address, ":")
	file := filepath.Join(t.TempDir(), "config")
	text := "Host web-*\n  HostName " + name + "\n  Port " + port + "\n  User deploy\n  IdentityFile " + s.User.File + "\n  UserKnownHostsFile " + known + "\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	a := onprem.SendPlain(&onprem.Access{Config: file})
	h := &onprem.SSH{ID: "web-1", Address: "web-1", Access: a, State: filepath.Join(t.TempDir(), "state"), Root: t.TempDir()}
	t.Cleanup(func() { _ = h.Close() })
	require.Nil(t, start(t, h, job(t, t.TempDir(), "one")))

	require.NoError(t, os.WriteFile(file, []byte(text+"  ProxyCommand nc %h %p\n"), 0o600))
	e := start(t, &onprem.SSH{ID: "web-1", Address: "web-1", Access: &onprem.Access{Config: file}}, job(t, t.TempDir(), "one"))
	require.ErrorContains(t, e, "ProxyCommand")
	require.NoError(t, os.WriteFile(file, []byte("Match user x\n"), 0o600))
	e = start(t, &onprem.SSH{ID: "web-1", Address: "web-1", Access: &onprem.Access{Config: file}}, job(t, t.TempDir(), "one"))
	require.ErrorContains(t, e, "Match")
}
