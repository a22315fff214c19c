// Package sshtest has SSH servers for tests: one in this process, which can be cut
// off and stalled, and real ones where OpenSSH is installed. Both listen on loopback
// and run what they are told as the account of the test.
package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Key is a key pair.
type Key struct {
	Signer ssh.Signer
	File   string // the private key, as OpenSSH has it
}

// NewKey makes a key in a file of dir.
func NewKey(tb testing.TB, dir, name string) Key {
	tb.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	check(tb, err)
	s, err := ssh.NewSignerFromKey(priv)
	check(tb, err)
	block, err := ssh.MarshalPrivateKey(priv, name)
	check(tb, err)
	k := Key{Signer: s, File: filepath.Join(dir, name)}
	check(tb, os.WriteFile(k.File, pem.EncodeToMemory(block), 0o600))
	check(tb, os.WriteFile(k.File+".pub", ssh.MarshalAuthorizedKey(s.PublicKey()), 0o644))
	return k
}

// LockKey writes a key to a file with a passphrase.
func LockKey(tb testing.TB, k Key, file, phrase string) {
	tb.Helper()
	data, err := os.ReadFile(k.File)
	check(tb, err)
	raw, err := ssh.ParseRawPrivateKey(data)
	check(tb, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*raw.(*ed25519.PrivateKey), "locked", []byte(phrase))
	check(tb, err)
	check(tb, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
}

// KnownHosts writes a file that says that the hosts have the key.
func KnownHosts(tb testing.TB, key ssh.PublicKey, addresses ...string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "known_hosts")
	var text []byte
	for _, a := range addresses {
		text = append(text, knownhosts.Line([]string{knownhosts.Normalize(a)}, key)+"\n"...)
	}
	check(tb, os.WriteFile(file, text, 0o600))
	return file
}

func check(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}

// Server is an SSH server in this process.
type Server struct {
	Address string
	Host    Key // what it shows
	User    Key // who is let in

	Ended    func(command string) // called when the connection of a command has ended, before that is told to anybody
	Path     string               // put before the PATH of commands
	Bare     bool                 // Path is all of the PATH
	Mute     bool                 // who asks for a session or a forwarding gets no answer
	Shell    string               // printed by the login shell before each command
	Sessions atomic.Int64         // that were opened
	Logins   atomic.Int64         // that succeeded
	Received atomic.Int64         // bytes on all connections

	l      net.Listener
	config *ssh.ServerConfig
	wait   sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// New starts a server that the end of the test stops.
func New(tb testing.TB) *Server {
	tb.Helper()
	return newServer(tb, func(*Server) {})
}

// NewCertified starts one that shows a certificate for the names.
func NewCertified(tb testing.TB, ca Key, names ...string) *Server {
	tb.Helper()
	return newServer(tb, func(s *Server) {
		cert := &ssh.Certificate{
			Key: s.Host.Signer.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: names, ValidBefore: ssh.CertTimeInfinity,
		}
		check(tb, cert.SignCert(rand.Reader, ca.Signer))
		signer, err := ssh.NewCertSigner(cert, s.Host.Signer)
		check(tb, err)
		s.config.AddHostKey(signer)
	})
}

// NewWithKeys starts one that has further host keys.
func NewWithKeys(tb testing.TB, more ...ssh.Signer) *Server {
	tb.Helper()
	return newServer(tb, func(s *Server) {
		for _, k := range more {
			s.config.AddHostKey(k)
		}
	})
}

func newServer(tb testing.TB, with func(*Server)) *Server {
	tb.Helper()
	dir := tb.TempDir()
	s := &Server{Host: NewKey(tb, dir, "host"), User: NewKey(tb, dir, "user"), conns: map[net.Conn]bool{}}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) == string(s.User.Signer.PublicKey().Marshal()) {
			return nil, nil
		}
		return nil, errors.New("not this key")
	}}
	s.config.AddHostKey(s.Host.Signer)
	with(s)
	s.listen(tb)
	tb.Cleanup(s.Close)
	return s
}

func (s *Server) listen(tb testing.TB) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(tb, err)
	s.l, s.Address = l, l.Addr().String()
	s.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.wait.Go(func() { s.serve(c) })
		}
	})
}

// Open is how many connections there are now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Close stops listening and cuts all connections. Commands run on.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	_ = s.l.Close()
	s.mu.Unlock()
	s.Cut()
	s.wait.Wait()
}

// Cut ends all connections without a word. Commands run on, as with OpenSSH.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// counted counts what comes in.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (s *Server) serve(raw net.Conn) {
	s.mu.Lock()
	if s.closed {
		_ = raw.Close()
	}
	s.conns[raw] = true
	s.mu.Unlock()
	defer func() {
		_ = raw.Close()
		s.mu.Lock()
		delete(s.conns, raw)
		s.mu.Unlock()
	}()
	conn, chans, reqs, err := ssh.NewServerConn(counted{raw, &s.Received}, s.config)
	if err != nil {
		return
	}
	s.Logins.Add(1)
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		if s.Mute {
			continue
		}
		switch n.ChannelType() {
		case "session":
			if ch, reqs, err := n.Accept(); err == nil {
				s.Sessions.Add(1)
				go s.session(ch, reqs)
			}
		case "direct-tcpip":
			go forward(n)
		default:
			_ = n.Reject(ssh.UnknownChannelType, "not here")
		}
	}
}

// forward does what a jump host does.
func forward(n ssh.NewChannel) {
	var to struct {
		Host string
		Port uint32
		From string
		At   uint32
	}
	if ssh.Unmarshal(n.ExtraData(), &to) != nil {
		_ = n.Reject(ssh.ConnectionFailed, "what?")
		return
	}
	out, err := net.Dial("tcp", net.JoinHostPort(to.Host, itoa(to.Port)))
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	ch, reqs, err := n.Accept()
	if err != nil {
		_ = out.Close()
		return
	}
	go ssh.DiscardRequests(reqs)
	go func() { _, _ = io.Copy(out, ch); _ = out.Close() }()
	_, _ = io.Copy(ch, out)
	_ = ch.Close()
}

func itoa(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// session runs one command.
func (s *Server) session(ch ssh.Channel, reqs <-chan *ssh.Request) {
	for r := range reqs {
		if r.Type != "exec" || len(r.Payload) < 4 {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		go s.run(ch, string(r.Payload[4:]))
	}
}

// run runs a command with pipes of its own, as OpenSSH does: when the connection is
// gone, the command is not.
func (s *Server) run(ch ssh.Channel, command string) {
	cmd := exec.Command("/bin/sh", "-c", command)
	path := s.Path
	if !s.Bare {
		path += ":" + os.Getenv("PATH")
	}
	// With the race detector programs sleep for a second at their end unless told not to.
	cmd.Env = []string{"PATH=" + path, "HOME=" + os.TempDir(), "GORACE=" + os.Getenv("GORACE")}
	in, err := cmd.StdinPipe()
	if err != nil {
		_ = ch.Close()
		return
	}
	_, _ = io.WriteString(ch, s.Shell)
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	go func() {
		_, _ = io.Copy(in, ch)
		if s.Ended != nil {
			s.Ended(command)
		}
		_ = in.Close()
	}()
	err = cmd.Run()
	status := uint32(0)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		status = uint32(e.ExitCode())
	}
	_, _ = ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
	_ = ch.Close()
}
