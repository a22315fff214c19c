package onprem

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// client is a connection to a machine that has let us in.
type client struct {
	*ssh.Client
	over context.Context // ends with the connection
}

// newClient watches over a connection: one that leaves three questions in a row whether
// the other side is there unanswered is closed.
func newClient(c *ssh.Client, keepAlive time.Duration) *client {
	over, end := context.WithCancelCause(context.Background())
	go func() { end(fmt.Errorf("the connection has ended: %w", c.Wait())) }()
	k := &client{c, over}
	go k.keepAlive(keepAlive)
	return k
}

func (c *client) alive() bool { return c.over.Err() == nil }

func (c *client) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answers := make(chan error, 1)
	for asked := 0; ; {
		select {
		case <-c.over.Done():
			return
		case err := <-answers:
			if err != nil {
				_ = c.Close()
				return
			}
			asked = 0
		case <-tick.C:
			if asked++; asked > 3 {
				_ = c.Close()
				return
			}
			if asked == 1 {
				go func() {
					_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
					answers <- err // there is room, or nobody will ask again
				}()
			}
		}
	}
}

// during is a context that ends with the connection, too. What asks for a channel needs
// it: the ssh package waits for the answer for ever if the connection breaks between its
// look whether there is one and the question.
func (c *client) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.over, func() { cancel(context.Cause(c.over)) })
	return ctx, func() { stop(); cancel(nil) }
}

// dial connects to an address from that machine.
func (c *client) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, done := c.during(ctx)
	defer done()
	conn, err := c.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, hint(ctx, err)
	}
	return detach(conn), nil
}

// detached is a forwarded connection whose Close ends it here at once. By itself it goes
// on until the other side agrees, which it does not while it cannot pass on what it has.
type detached struct {
	net.Conn
	of net.Conn
}

func detach(conn net.Conn) net.Conn {
	near, far := net.Pipe()
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}
	go pass(far, conn)
	go pass(conn, far)
	return detached{near, conn}
}

func (d detached) LocalAddr() net.Addr  { return d.of.LocalAddr() }
func (d detached) RemoteAddr() net.Addr { return d.of.RemoteAddr() }

// session opens a session. One that is granted after ctx has ended lasts as long as the
// connection.
func (c *client) session(ctx context.Context) (*ssh.Session, error) {
	ctx, done := c.during(ctx)
	defer done()
	type answer struct {
		s   *ssh.Session
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		s, err := c.NewSession()
		answers <- answer{s, err}
	}()
	select {
	case a := <-answers:
		return a.s, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
