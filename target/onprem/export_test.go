package onprem

import (
	"context"

	"golang.org/x/crypto/ssh"
)

// SendPlain keeps a test from compressing its own executable, which takes the race
// detector many seconds.
func SendPlain(a *Access) *Access {
	a.plain = true
	return a
}

var Detach = detach

// Asked asks an open connection for a session and for a forwarding, in the belief that
// it has ended.
func Asked(c *ssh.Client, ended error) (session, dial error) {
	over, end := context.WithCancelCause(context.Background())
	end(ended)
	k := &client{c, over}
	_, session = k.session(context.Background())
	_, dial = k.dial(context.Background(), "127.0.0.1:1")
	return session, dial
}
