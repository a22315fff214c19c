package onprem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginError is a host that does not let us in. Trying again does not help.
type loginError struct{ err error }

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// setupError is a mistake in what the caller has set.
type setupError struct{ err error }

func (e *setupError) Error() string { return e.err.Error() }
func (e *setupError) Unwrap() error { return e.err }

// final reports whether trying again is of no use.
func final(err error) bool {
	_, identity := errors.AsType[*identityError](err)
	_, login := errors.AsType[*loginError](err)
	_, setup := errors.AsType[*setupError](err)
	return identity || login || setup
}

// keepTrying calls do until it succeeds, fails for good, or has failed for as long as
// patience. The pauses grow, and differ between hosts, so that a fleet does not come
// back all at once.
func keepTrying(ctx context.Context, patience time.Duration, do func() error) error {
	end := time.Now().Add(patience)
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := do()
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait := pause/2 + rand.N(pause)
		if time.Now().Add(wait).After(end) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// connect logs in to an address, through its jump hosts.
func (a *Access) connect(ctx context.Context, address string, jump []string) (*client, error) {
	a.init()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p, err := a.resolve(address, jump)
	if err != nil {
		return nil, &setupError{err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.dial(), fmt.Errorf("no answer within %v", a.dial()))
	defer cancel()
	via, err := a.through(ctx, p.jump)
	if err != nil {
		return nil, err
	}
	return a.login(ctx, p, via)
}

// through returns the connection to the last of the jump hosts; nil: none. It is
// shared by all hosts behind it.
func (a *Access) through(ctx context.Context, jump []string) (via *client, err error) {
	path := ""
	for _, address := range jump {
		path += " " + strings.TrimSpace(address)
		if via, err = a.jumpHost(ctx, path, strings.TrimSpace(address), via); err != nil {
			return nil, fmt.Errorf("jump host %s: %w", address, err)
		}
	}
	return via, nil
}

// jump is a jump host, and the way to it.
type jump struct {
	slot chan struct{} // holds who connects
	c    *client       // nil: none; it may have ended; guarded by Access.mu
}

// jumpHost connects to a jump host, once: a fleet that is connected to all at once must
// not come to it with a login for each host.
func (a *Access) jumpHost(ctx context.Context, path, address string, via *client) (*client, error) {
	a.mu.Lock()
	j := a.jumps[path]
	if j == nil {
		j = &jump{slot: make(chan struct{}, 1)}
		a.jumps[path] = j
	}
	a.mu.Unlock()
	select {
	case j.slot <- struct{}{}:
		defer func() { <-j.slot }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if c := a.jumpClient(j); c != nil && c.alive() {
		return c, nil
	}
	p, err := a.resolve(address, nil)
	if err != nil {
		return nil, &setupError{err}
	}
	c, err := a.login(ctx, p, via)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	j.c = c
	a.mu.Unlock()
	return c, nil
}

func (a *Access) jumpClient(j *jump) *client {
	a.mu.Lock()
	defer a.mu.Unlock()
	return j.c
}

// Close ends the connections to jump hosts. Hosts connect again when they need to.
func (a *Access) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	for _, j := range a.jumps {
		if j.c != nil && j.c.alive() {
			err = errors.Join(err, j.c.Close())
		}
	}
	return err
}

// login connects to one machine and logs in.
func (a *Access) login(ctx context.Context, p place, via *client) (*client, error) {
	t, err := a.trust(p)
	if err != nil {
		return nil, &setupError{err}
	}
	methods, done, err := a.auth(ctx, p)
	if err != nil {
		return nil, &setupError{err}
	}
	defer done()
	conn, err := dialVia(ctx, p.address, via)
	if err != nil {
		return nil, hint(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, p.name, &ssh.ClientConfig{
		User: p.user, Auth: methods, HostKeyCallback: t.check, HostKeyAlgorithms: t.algorithms(p.name),
		ClientVersion: "SSH-2.0-cutover",
	})
	if err != nil {
		_ = conn.Close()
		return nil, hint(ctx, loginFailed(p, err))
	}
	return newClient(ssh.NewClient(c, chans, reqs), a.keepAlive()), nil
}

func dialVia(ctx context.Context, address string, via *client) (net.Conn, error) {
	if via != nil {
		return via.dial(ctx, address)
	}
	d := net.Dialer{}
	return d.DialContext(ctx, "tcp", address)
}

// hint puts the reason for the end of ctx into an error that it caused.
func hint(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !final(err) {
		return cause
	}
	return err
}

// loginFailed tells a refusal from a connection that broke.
func loginFailed(p place, err error) error {
	if _, ok := errors.AsType[*identityError](err); ok {
		return err
	}
	// The package has no type for it.
	switch text := strings.ToLower(err.Error()); {
	case strings.Contains(text, "unable to authenticate"):
		return &loginError{fmt.Errorf("%s is not let in: %w; check the user and the keys", p.user, err)}
	case strings.Contains(text, "too many authentication failures"):
		return &loginError{fmt.Errorf("%s is not let in: %w; the host does not look at so many keys: offer fewer", p.user, err)}
	}
	return err
}
