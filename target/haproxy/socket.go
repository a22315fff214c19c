package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// maxAnswer bounds an answer: a table of 100,000 servers has less.
const maxAnswer = 64 << 20

// retryDial is how soon a socket that does not answer is tried again. During a reload
// nobody listens for a moment, and HAProxy lets only a few in at once.
const retryDial = 50 * time.Millisecond

// ask sends one command and returns the answer, without the blank lines around it.
// When ctx is over nothing is sent.
func (t *Traffic) ask(ctx context.Context, socket, command string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, or(t.Timeout, defaultTimeout))
	defer cancel()
	conn, err := t.connect(limited, socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(limited, func() { conn.SetDeadline(time.Unix(1, 0)) }) // long past: it ends now
	defer stop()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", unanswered(socket, command, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", unanswered(socket, command, err)
	}
	if !whole(string(answer), 1+strings.Count(command, ";")) {
		return "", unanswered(socket, command, io.ErrUnexpectedEOF)
	}
	text := strings.TrimSpace(string(answer))
	if strings.HasPrefix(text, "Permission denied") {
		return "", failed(lifecycle.Denied, nil, "HAProxy at %s does not allow %q: give the socket level admin in its configuration", socket, command)
	}
	return text, nil
}

// whole says that an answer has come to its end, and not only the connection to its own,
// as it does when HAProxy dies. An empty line ends what each command says, also when it
// says nothing.
func whole(answer string, commands int) bool {
	if strings.Trim(answer, "\n") == "" {
		return len(answer) >= commands
	}
	return strings.HasSuffix(answer, "\n\n")
}

// tell sends a command that answers nothing when it was done.
func (t *Traffic) tell(ctx context.Context, s *spot, command string) error {
	answer, err := t.ask(ctx, s.socket, command)
	if err == nil && answer != "" {
		err = failed(lifecycle.TargetFailed, nil, "HAProxy at %s refuses %q: %.200q", s.socket, command, answer)
	}
	return err
}

func unanswered(socket, command string, err error) error {
	return failed(lifecycle.Unknown, err, "HAProxy at %s does not answer %q: %v", socket, command, err)
}

// connect dials until somebody answers or ctx ends.
func (t *Traffic) connect(ctx context.Context, socket string) (net.Conn, error) {
	dial := t.Dial
	if dial == nil {
		network, address, err := local(socket)
		if err != nil {
			return nil, err
		}
		dial = func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}
	for {
		conn, err := dial(ctx, socket)
		if err == nil {
			return conn, nil
		}
		if !pause(ctx, retryDial) {
			return nil, failed(lifecycle.Unknown, err, "HAProxy at %s cannot be reached: %v; does it run, and may this account use its socket?", socket, err)
		}
	}
}

// local takes a socket's name apart and refuses other machines.
func local(socket string) (network, address string, err error) {
	if path := strings.TrimPrefix(socket, "unix@"); strings.HasPrefix(path, "/") {
		return "unix", path, nil
	}
	host, _, err := net.SplitHostPort(socket)
	if err != nil {
		return "", "", failed(lifecycle.Unsupported, err, "socket %q is neither an absolute path nor HOST:PORT: %v", socket, err)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return "", "", failed(lifecycle.Unsupported, nil, "socket %s is on another machine, and the runtime API has no password: use a tunnel and Traffic.Dial", socket)
	}
	return "tcp", socket, nil
}

// pause waits and reports whether it was left alone.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// plain says that a name can stand in a command. HAProxy itself allows no others.
func plain(name string) error {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:", r))
	}
	if name == "" || strings.IndexFunc(name, bad) >= 0 {
		return fmt.Errorf("%q is no name of a backend or server: letters, digits, and any of -_.: are", name)
	}
	return nil
}
