package onprem_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// known writes a file of known hosts: marker and key for the address of a server.
func known(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(file, []byte("# ours\n"+strings.Join(lines, "\n")+"\n"), 0o600))
	return file
}

func line(marker string, s *sshtest.Server, key ssh.PublicKey) string {
	return strings.TrimSpace(marker + " " + knownhosts.Line([]string{knownhosts.Normalize(s.Address)}, key))
}

func ecdsaKey(t *testing.T) ssh.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return s
}

// Each row is a host and what is known of it.
func TestHostKeysAndAuthorities(t *testing.T) {
	dir := t.TempDir()
	ca, other := sshtest.NewKey(t, dir, "ca"), sshtest.NewKey(t, dir, "other")
	caKey, otherKey := ca.Signer.PublicKey(), other.Signer.PublicKey()
	const authority, revoked = "@cert-authority", "@revoked"
	certified := sshtest.NewCertified(t, ca, "127.0.0.1")
	elsewhere := sshtest.NewCertified(t, ca, "elsewhere.example.com")
	plain := sshtest.NewWithKeys(t, ecdsaKey(t))
	own := func(s *sshtest.Server) ssh.PublicKey { return s.Host.Signer.PublicKey() }
	for name, c := range map[string]struct {
		s     *sshtest.Server
		cas   []ssh.PublicKey
		lines []string
		says  string // empty: it is trusted
	}{
		"an authority in a file":                      {certified, nil, []string{line(authority, certified, caKey)}, ""},
		"an authority, and another key of the host":   {certified, nil, []string{line(authority, certified, caKey), line("", certified, otherKey)}, ""},
		"its own key, whatever its certificate":       {certified, nil, []string{line("", certified, own(certified))}, ""},
		"its own key, with another authority":         {certified, []ssh.PublicKey{otherKey}, []string{line("", certified, own(certified))}, ""},
		"no certificate, among hosts with authority":  {plain, []ssh.PublicKey{caKey}, []string{line("", plain, own(plain))}, ""},
		"another authority":                           {certified, nil, []string{line(authority, certified, otherKey)}, "no certificate of the authority"},
		"an authority, but the host has none":         {plain, nil, []string{line(authority, plain, caKey)}, "no certificate of the authority"},
		"a certificate for another name":              {elsewhere, nil, []string{line(authority, elsewhere, caKey)}, "not valid for it"},
		"a certificate for another name, and its key": {elsewhere, nil, []string{line(authority, elsewhere, caKey), line("", elsewhere, own(elsewhere))}, ""},
		"an authority that was revoked":               {certified, []ssh.PublicKey{caKey}, []string{line(revoked, certified, caKey)}, "revoked"},
		"a key that was revoked":                      {certified, []ssh.PublicKey{caKey}, []string{line(revoked, certified, own(certified))}, "revoked"},
		"another key":                                 {plain, nil, []string{line("", plain, otherKey)}, "has changed"},
		"nothing":                                     {certified, nil, nil, "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			a := access(t, c.s)
			a.KnownHosts, a.HostCAs = []string{known(t, c.lines...)}, c.cas
			_, hosts := over(t, c.s, a, 1)
			before := c.s.Sessions.Load()
			e := start(t, hosts[0], job(t, t.TempDir(), "one"))
			if c.says == "" {
				require.Nil(t, e)
				return
			}
			require.NotNil(t, e)
			require.Equal(t, lifecycle.IdentityChanged, e.Code)
			require.Contains(t, e.Message, c.says)
			require.Equal(t, before, c.s.Sessions.Load(), "nothing was sent")
		})
	}
}

// serveKeys is an SSH agent with a key, which comes behind n others.
func serveKeys(t *testing.T, file string, n int) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	raw, err := ssh.ParseRawPrivateKey(data)
	require.NoError(t, err)
	ring := sshagent.NewKeyring()
	for range n {
		_, other, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		require.NoError(t, ring.Add(sshagent.AddedKey{PrivateKey: other}))
	}
	require.NoError(t, ring.Add(sshagent.AddedKey{PrivateKey: raw}))
	return serving(t, func(c net.Conn) { _ = sshagent.ServeAgent(ring, c) })
}

// serving is a socket whose connections are dealt with until the test ends.
func serving(t *testing.T, deal func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent-") // paths of sockets must be short
	require.NoError(t, err)
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { deal(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wait.Wait(); _ = os.RemoveAll(dir) })
	return socket
}

// A configuration lists a key with a passphrase, which the SSH agent has: that is how
// most people log in.
func TestKeyWithAPassphraseThatTheAgentHas(t *testing.T) {
	s := sshtest.New(t)
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked")
	sshtest.LockKey(t, s.User, locked, "open sesame")
	config := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(config, []byte("Host *\n  User deploy\n  IdentityFile "+locked+"\n"), 0o600))
	a := access(t, s)
	a.Keys, a.Config, a.Agent = nil, config, serveKeys(t, s.User.File, 0)
	_, hosts := over(t, s, a, 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))

	a = access(t, s)
	a.Keys, a.Config = nil, config
	_, hosts = over(t, s, a, 1)
	require.ErrorContains(t, start(t, hosts[0], job(t, t.TempDir(), "one")), "needs a passphrase")
}

// A host looks at six keys. One that is in a file and in the SSH agent is shown once.
func TestKeyInAFileAndInTheAgentIsShownOnce(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Keys, a.Config = nil, ""
	ring := sshagent.NewKeyring()
	add := func(file string) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		raw, err := ssh.ParseRawPrivateKey(data)
		require.NoError(t, err)
		require.NoError(t, ring.Add(sshagent.AddedKey{PrivateKey: raw}))
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		file := sshtest.NewKey(t, t.TempDir(), name).File
		a.Keys = append(a.Keys, file)
		add(file)
	}
	add(s.User.File)
	a.Agent = serving(t, func(c net.Conn) { _ = sshagent.ServeAgent(ring, c) })
	_, hosts := over(t, s, a, 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
}

// A host looks at six keys. IdentitiesOnly picks the right one of an agent that has more.
func TestIdentitiesOnly(t *testing.T) {
	s := sshtest.New(t)
	dir := t.TempDir()
	pub, err := os.ReadFile(s.User.File + ".pub")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "id.pub"), pub, 0o644)) // the key itself is in the agent only
	config := filepath.Join(dir, "config")
	a := access(t, s)
	a.Keys, a.Config, a.Agent = nil, config, serveKeys(t, s.User.File, 10)
	for _, c := range []struct{ only, code string }{{"no", string(lifecycle.Denied)}, {"yes", ""}} {
		require.NoError(t, os.WriteFile(config, []byte("Host *\n  IdentityFile "+dir+"/id\n  IdentitiesOnly "+c.only+"\n"), 0o600))
		_, hosts := over(t, s, a, 1)
		e := start(t, hosts[0], job(t, t.TempDir(), "one"))
		if c.code == "" {
			require.Nil(t, e)
			continue
		}
		require.NotNil(t, e)
		require.EqualValues(t, c.code, e.Code)
	}
}

func TestAgentThatDoesNotAnswerIsGivenUp(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	a.Dial, a.Patience = 100*time.Millisecond, time.Millisecond
	a.Agent = serving(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = c.Read(make([]byte, 100))
		_, _ = c.Read(make([]byte, 100))
	})
	_, hosts := over(t, s, a, 1)
	require.ErrorContains(t, start(t, hosts[0], job(t, t.TempDir(), "one")), "does not answer")
}

// With a configuration that names neither keys nor known hosts, the usual files count, as
// for the ssh command.
func TestUsualKeysAndKnownHosts(t *testing.T) {
	s := sshtest.New(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	files := map[string]string{"id_ed25519": s.User.File, "known_hosts": sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address)}
	require.NoError(t, os.Mkdir(filepath.Join(home, ".ssh"), 0o700))
	for name, from := range files {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(home, ".ssh", name), data, 0o600))
	}
	config := filepath.Join(home, "config")
	require.NoError(t, os.WriteFile(config, []byte("Host *\n  User deploy\n  GlobalKnownHostsFile none\n"), 0o600))
	a := onprem.SendPlain(&onprem.Access{Config: config})
	_, hosts := over(t, s, a, 1)
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))

	require.NoError(t, os.Remove(filepath.Join(home, ".ssh", "known_hosts")))
	_, hosts = over(t, s, onprem.SendPlain(&onprem.Access{Config: config}), 1)
	require.ErrorContains(t, start(t, hosts[0], job(t, t.TempDir(), "one")), "set Access.KnownHosts")
}

func TestTooManyKeysAreDeniedAtOnce(t *testing.T) {
	s := sshtest.New(t)
	a := access(t, s)
	for range 10 {
		a.Signers = append(a.Signers, ecdsaKey(t))
	}
	_, hosts := over(t, s, a, 1)
	e := start(t, hosts[0], job(t, t.TempDir(), "one"))
	require.NotNil(t, e)
	require.Equal(t, lifecycle.Denied, e.Code)
}

// A fleet comes to its jump host with one login, also when all begin at once.
func TestJumpHostIsLoggedInToOnce(t *testing.T) {
	host, jump := sshtest.New(t), sshtest.New(t)
	jump.User = host.User
	a := access(t, host)
	a.KnownHosts = append(a.KnownHosts, sshtest.KnownHosts(t, jump.Host.Signer.PublicKey(), jump.Address))
	a.Jump = []string{jump.Address}
	_, hosts := over(t, host, a, 4)
	j := job(t, t.TempDir(), "one")
	var wait sync.WaitGroup
	failures := make([]error, len(hosts))
	for i, h := range hosts {
		step := lifecycle.Step{Deployment: "d-1", Unit: h.Unit().ID, Event: lifecycle.Start}
		wait.Go(func() { failures[i] = h.Perform(t.Context(), target.Task{Job: j, Step: step}) })
	}
	wait.Wait()
	require.NoError(t, errors.Join(failures...))
	require.EqualValues(t, 1, jump.Logins.Load())

	jump.Cut() // it is connected to again
	require.Eventually(t, func() bool { return host.Open() == 0 }, 20*time.Second, time.Millisecond)
	require.Nil(t, doStep(t, hosts[0], j, lifecycle.DownloadBundle))
	require.EqualValues(t, 2, jump.Logins.Load())
}

// The ssh package itself would wait for ever for a channel that it asks for in the moment
// in which the connection breaks.
func TestC3_WhatIsAskedOfABrokenConnectionIsNotWaitedFor(t *testing.T) {
	s := sshtest.New(t)
	s.Mute = true
	c, err := ssh.Dial("tcp", s.Address, &ssh.ClientConfig{
		User: "deploy", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.User.Signer)}, HostKeyCallback: ssh.FixedHostKey(s.Host.Signer.PublicKey()),
	})
	require.NoError(t, err)
	defer c.Close()
	broken := errors.New("broken")
	session, dial := onprem.Asked(c, broken)
	require.ErrorIs(t, session, broken)
	require.ErrorIs(t, dial, broken)
}

// stubborn is a connection that goes on after Close.
type stubborn struct{ net.Conn }

func (stubborn) Close() error { return nil }

// A forwarded connection is over when we say so, even if the jump host cannot agree.
func TestC13_ForwardedConnectionEndsAtOnce(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := onprem.Detach(stubborn{near})
	go func() { _, _ = far.Write([]byte("hello")) }()
	got := make([]byte, 5)
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	ended := make(chan error, 2)
	go func() { _, err := c.Read(got); ended <- err }()
	go func() { _, err := c.Write(make([]byte, 100_000)); ended <- err }() // nobody takes it
	require.NoError(t, c.Close())
	require.Error(t, <-ended)
	require.Error(t, <-ended)
}

// One that grants no session is tried again until patience ends.
func TestC13_SessionThatIsNeverGranted(t *testing.T) {
	s := sshtest.New(t)
	s.Mute = true
	a := access(t, s)
	a.Dial, a.Patience = 3*time.Second, time.Millisecond
	_, hosts := over(t, s, a, 1)
	givenUp(t, hosts[0], "no session is granted: no answer within 3s")
}

// A connection whose agent has ended is closed when the next one is made.
func TestC6_ConnectionOfAnAgentThatDiedIsClosed(t *testing.T) {
	s := sshtest.New(t)
	dir, hosts := over(t, s, access(t, s), 1)
	control := t.TempDir()
	j := waiting(t, control)
	toInstall(t, hosts[0], j)
	pids := agentsOf(dir)
	require.Len(t, pids, 1)
	p, err := os.FindProcess(pids[0])
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	require.Eventually(t, func() bool { return len(agentsOf(dir)) == 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.Nil(t, doStep(t, hosts[0], j, lifecycle.AfterInstall))
	require.Eventually(t, func() bool { return s.Open() == 1 }, 20*time.Second, time.Millisecond)
}

func TestC6_KilledAgentIsAnInterruptedStep(t *testing.T) {
	s := sshtest.New(t)
	dir, hosts := over(t, s, access(t, s), 1)
	control := t.TempDir()
	j := waiting(t, control)
	toInstall(t, hosts[0], j)
	done := slowStep(t, hosts[0], j, control)
	killAgents(t, dir)
	e := <-done
	require.NotNil(t, e)
	require.Equal(t, lifecycle.Interrupted, e.Code)
	require.Equal(t, "run\n", read(t, control, "ran"))
}

// killAgents kills the agents below dir, and nothing that they have started.
func killAgents(t *testing.T, dir string) {
	t.Helper()
	pids := agentsOf(dir)
	require.NotEmpty(t, pids)
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		require.NoError(t, err)
		require.NoError(t, p.Kill())
	}
}

// What sudo says by the way is no refusal.
func TestSudoThatWarnsIsTriedAgain(t *testing.T) {
	s := sshtest.New(t)
	s.Path = t.TempDir()
	text := "#!/bin/sh\necho 'sudo: unable to resolve host web-1: Name or service not known' >&2\nmkdir \"" + s.Path + "/again\" 2>/dev/null && exit 1\nshift 2\nexec \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.Path, "sudo"), []byte(text), 0o755))
	_, hosts := over(t, s, access(t, s), 1)
	hosts[0].(*onprem.SSH).Sudo = true
	require.Nil(t, start(t, hosts[0], job(t, t.TempDir(), "one")))
}

func TestPathsWithTildesAreRefused(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	hosts[0].(*onprem.SSH).State = "~/cutover"
	j := job(t, t.TempDir(), "one")
	_, err := hosts[0].(target.Checker).Check(t.Context(), j)
	require.ErrorContains(t, err, "write whole paths")
	require.ErrorContains(t, start(t, hosts[0], j), "write whole paths")
	require.Zero(t, s.Sessions.Load())
}

// What a script prints is seen while it runs, and once, also when the connection is lost
// in the middle.
func TestOutputIsSeenWhileAScriptRuns(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	control := t.TempDir()
	j, out := talking(t, control), watch(hosts[0])
	toInstall(t, hosts[0], j)
	done := slowStep(t, hosts[0], j, control)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "first") }, 20*time.Second, time.Millisecond)
	s.Cut()
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "second") }, 20*time.Second, time.Millisecond)
	require.NoError(t, os.WriteFile(filepath.Join(control, "end"), nil, 0o644))
	require.Nil(t, <-done)
	require.Equal(t, 1, strings.Count(out.String(), "first"), out)
}

// What a script prints while its host is out of reach is shown when it is back, and what
// was seen is not shown again: also if the step had been given up as unknown.
func TestC4_OutputOfAHostThatWasAway(t *testing.T) {
	host, p := impatient(t)
	control := t.TempDir()
	j, out := talking(t, control), watch(host)
	toInstall(t, host, j)
	done := slowStep(t, host, j, control)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "first") }, 20*time.Second, time.Millisecond)
	p.Down()
	require.Equal(t, lifecycle.Unknown, (<-done).Code)
	require.NoError(t, os.WriteFile(filepath.Join(control, "go"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(control, "end"), nil, 0o644))
	p.Up()
	require.Nil(t, doStep(t, host, j, lifecycle.AfterInstall))
	require.Equal(t, 1, strings.Count(out.String(), "first"), out)
	require.Equal(t, 1, strings.Count(out.String(), "second"), out)
}

// talking is a job whose hook prints, and waits in between for what a test says.
func talking(t *testing.T, control string) *target.Job {
	t.Helper()
	j := waiting(t, control)
	hook := "#!/bin/sh\necho first; : > $CONTROL/begun; until [ -e $CONTROL/go ]; do sleep 0.01; done; echo second; until [ -e $CONTROL/end ]; do sleep 0.01; done\n"
	require.NoError(t, os.WriteFile(filepath.Join(j.Bundle.Dir, "hook.sh"), []byte(hook), 0o755))
	j.Revision, j.Bundle = reopen(t, j.Bundle.Dir)
	return j
}

// watch looks at what the hook prints on a host.
func watch(h target.Host) *watched {
	out := &watched{}
	h.(*onprem.SSH).Output = func(s lifecycle.Step) io.Writer {
		if s.Event == lifecycle.AfterInstall {
			return out
		}
		return nil
	}
	return out
}

// watched is output that may be looked at meanwhile.
type watched struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *watched) Write(p []byte) (int, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.b.Write(p) }
func (w *watched) String() string              { w.mu.Lock(); defer w.mu.Unlock(); return w.b.String() }

// Login shells print what they like, such as the title of a window, which ends in no
// line break.
func TestLoginShellThatPrints(t *testing.T) {
	s := sshtest.New(t)
	s.Shell = "Welcome!\n\x1b]0;web-1\a"
	a := access(t, s)
	a.Dial, a.Patience = 5*time.Second, time.Millisecond
	_, hosts := over(t, s, a, 1)
	j := job(t, t.TempDir(), "one")
	require.Nil(t, start(t, hosts[0], j), "the executable is sent")
	require.NoError(t, hosts[0].(*onprem.SSH).Close())
	require.Nil(t, doStep(t, hosts[0], j, lifecycle.DownloadBundle), "it is there")

	require.NoError(t, hosts[0].(*onprem.SSH).Close())
	s.Shell = strings.Repeat("y", 1<<20)
	require.ErrorContains(t, doStep(t, hosts[0], j, lifecycle.Install), "prints without end")
}
