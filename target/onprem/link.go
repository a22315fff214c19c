package onprem

import (
	"context"
	"errors"
	"time"

	"github.com/cutover-deploy/cutover/target/agent"
)

// connected returns the connection to the host, made if there is none. The caller
// gives it back by release.
func (h *SSH) connected(ctx context.Context) (*link, error) {
	h.once.Do(func() { h.slot = make(chan struct{}, 1) })
	select {
	case h.slot <- struct{}{}:
		defer func() { <-h.slot }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l, dead := h.take()
	if l != nil {
		return l, nil
	}
	if dead != nil {
		dead.close()
	}
	err := keepTrying(ctx, h.Access.patience(), func() (err error) {
		l, err = h.newLink(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link, l.users = l, 1
	return l, nil
}

// take takes the connection that is there, if it still is one. Dead is one whose agent
// has ended, and that nobody would close any more: who still uses one closes it.
func (h *SSH) take() (l, dead *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l = h.link
	if l == nil {
		return nil, nil
	}
	if l.idle != nil {
		l.idle.Stop()
	}
	if l.alive() {
		l.users++
		return l, nil
	}
	h.link = nil
	if l.users > 0 {
		return nil, nil
	}
	return nil, l
}

// release gives a connection back. One that broke is closed, one that nobody uses for
// a while, too.
func (h *SSH) release(l *link, err error) {
	broken := errors.Is(err, agent.ErrLost) || errors.Is(err, agent.ErrAgain)
	h.mu.Lock()
	l.users--
	if broken && h.link == l {
		h.link = nil
	}
	unused := l.users == 0
	if unused && !broken && h.link == l {
		l.idle = time.AfterFunc(h.Access.idle(), func() { h.drop(l) })
		unused = false
	}
	h.mu.Unlock()
	if unused {
		l.close()
	}
}

// drop closes a connection that is still unused.
func (h *SSH) drop(l *link) {
	h.mu.Lock()
	unused := l.users == 0 && h.link == l
	if unused {
		h.link = nil
	}
	h.mu.Unlock()
	if unused {
		l.close()
	}
}

// Close ends the connection to the host if no step uses it. Steps may come after it.
// What the host is doing goes on.
func (h *SSH) Close() error {
	h.mu.Lock()
	l := h.link
	if l != nil && l.idle != nil {
		l.idle.Stop()
	}
	h.mu.Unlock()
	if l != nil {
		h.drop(l)
	}
	return nil
}

func (h *SSH) newLink(ctx context.Context) (*link, error) {
	c, err := h.Access.connect(ctx, h.Address, h.Jump)
	if err != nil {
		return nil, err
	}
	a, err := h.startAgent(ctx, c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return &link{ssh: c, agent: a}, nil
}
