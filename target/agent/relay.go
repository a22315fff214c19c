package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cutover-deploy/cutover/target/agent/internal/serve"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// relay is the process at the end of a connection: it finds the process that does
// the steps, or starts it, and passes on what is said. When the connection ends, it
// ends; the other one goes on.
func relay(dir, umask, digest string, rw io.ReadWriteCloser) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := makeAgentsDir(dir); err != nil {
		return err
	}
	markUsed(dir, digest)
	if _, err := io.WriteString(rw, wire.Banner(digest)); err != nil {
		return err
	}
	from := wire.NewConn(rw, rw)
	hello, err := from.Read()
	if err != nil {
		return fmt.Errorf("the controller says nothing: %w", err)
	}
	to, answer, err := daemons(dir, umask, digest).reach(hello, from)
	if err != nil {
		_ = from.Send(wire.KindRefuse, 0, wire.Refusal{Why: err.Error()})
		return err
	}
	defer to.Close()
	if err := from.Write(answer.Kind, 0, answer.Payload); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(to, from.Rest()) // to the end of the controller, or of the other process
		_ = to.Close()
	}()
	_, err = io.Copy(rw, to.conn.Rest())
	return ended(err)
}

func ended(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// peer is the process that does the steps, as the relay sees it.
type peer struct {
	net.Conn
	conn *wire.Conn
}

// reachWait bounds the waiting for an agent that neither answers nor lets another
// one take its place. An agent of another build may be doing a step, which takes as
// long as a step may take; the controller is told meanwhile.
const reachWait = 90 * time.Minute

// answerWait bounds the waiting for one answer to a hello. A process that was stopped is
// connected to all the same, and never answers.
const answerWait = 10 * time.Second

// seeker finds the process that does the steps.
type seeker struct {
	dial   func() (net.Conn, error)
	start  func() (c net.Conn, died func() error, err error) // see startDaemon
	answer time.Duration
	wait   time.Duration
}

// daemons is the seeker for a state directory.
func daemons(dir, umask, digest string) *seeker {
	return &seeker{
		dial:   func() (net.Conn, error) { return dialDaemon(dir) },
		start:  func() (net.Conn, func() error, error) { return startDaemon(dir, umask, digest) },
		answer: answerWait, wait: reachWait,
	}
}

// reach returns a connection to the process that does the steps, and what that has
// answered to the hello.
func (s *seeker) reach(hello wire.Frame, from *wire.Conn) (*peer, wire.Frame, error) {
	end := time.Now().Add(s.wait)
	told := time.Time{}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		p, f, err := s.try(hello)
		if err != nil || p != nil {
			return p, f, err
		}
		if time.Now().After(end) {
			return nil, f, errors.New("another agent holds the state directory and does not answer; look for its process on the host")
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			if err := from.Send(wire.KindWait, 0, wire.Wait{For: "the agent that runs there, which finishes what it does or does not answer"}); err != nil {
				return nil, f, err
			}
		}
		time.Sleep(pause)
	}
}

// try connects once. Without an error and without a peer it is to be tried again:
// the other process is just ending, or just beginning.
func (s *seeker) try(hello wire.Frame) (*peer, wire.Frame, error) {
	c, err := s.dial()
	died, answer := func() error { return nil }, s.answer
	if err != nil {
		if c, died, err = s.start(); err != nil {
			return nil, wire.Frame{}, fmt.Errorf("the agent's process cannot be started: %w", err)
		}
		answer *= 6 // it has to come up first
	}
	p := &peer{c, wire.NewConn(c, c)}
	f, err := p.greet(hello, answer)
	if err == nil && !makesRoom(f) {
		return p, f, nil
	}
	_ = c.Close()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, wire.Frame{}, nil
	}
	if err = died(); err != nil {
		err = fmt.Errorf("the agent's process has ended: %w", err)
	}
	return nil, wire.Frame{}, err
}

// greet passes the hello on and returns the answer.
func (p *peer) greet(hello wire.Frame, wait time.Duration) (wire.Frame, error) {
	_ = p.SetDeadline(time.Now().Add(wait)) // it fails on a closed one, which says so below
	if err := p.conn.Write(hello.Kind, 0, hello.Payload); err != nil {
		return wire.Frame{}, err
	}
	f, err := p.conn.Read()
	if err == nil {
		err = p.SetDeadline(time.Time{})
	}
	return f, err
}

// dialDaemon connects to the process that does the steps. Where another account could
// have put the socket, nobody is believed.
func dialDaemon(dir string) (net.Conn, error) {
	path := socketPath(dir)
	if err := ownFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return net.Dial("unix", path)
}

// makesRoom reports whether an agent of another build is about to end.
func makesRoom(f wire.Frame) bool {
	var r wire.Refusal
	return f.Kind == wire.KindRefuse && f.Decode(&r) == nil && len(r.Why) >= len(serve.Retiring) && r.Why[:len(serve.Retiring)] == serve.Retiring
}

// makeAgentsDir makes the state directory and the one for executables in it. Nobody
// else may look into that.
func makeAgentsDir(dir string) error {
	a := &Agent{Dir: dir}
	if err := a.makeDir(); err != nil {
		return fmt.Errorf("the state directory cannot be made: %w", err)
	}
	if err := os.Mkdir(filepath.Join(dir, agentsDir), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the directory for executables cannot be made: %w", err)
	}
	return nil
}
