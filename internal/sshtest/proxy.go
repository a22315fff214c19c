package sshtest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands between a controller and a host and is a bad network.
type Proxy struct {
	Address string
	Latency time.Duration // of each piece, in each direction; set it before first use
	Rate    int           // bytes a second in each direction; zero: no limit
	CutAt   atomic.Int64  // bytes towards the host after which a connection is cut, once; zero: never

	Sent  atomic.Int64 // bytes towards the host
	Taken atomic.Int64 // connections that were made by way of it

	to     string
	l      net.Listener
	frozen atomic.Bool
	down   atomic.Bool
	mu     sync.Mutex
	conns  []net.Conn
	quit   chan struct{}
	wait   sync.WaitGroup
}

// NewProxy starts a proxy to an address.
func NewProxy(tb testing.TB, to string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(tb, err)
	p := &Proxy{Address: l.Addr().String(), to: to, l: l, quit: make(chan struct{})}
	p.wait.Go(p.accept)
	tb.Cleanup(func() {
		close(p.quit)
		_ = l.Close()
		p.Cut()
		p.wait.Wait()
	})
	return p
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil || p.down.Load() {
			_ = c.Close()
			if err == nil {
				_ = out.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, out)
		p.mu.Unlock()
		p.Taken.Add(1)
		p.wait.Go(func() { p.pass(out, c, &p.Sent) })
		p.wait.Go(func() { p.pass(c, out, new(atomic.Int64)) })
	}
}

// pass copies one direction, as badly as it was told to.
func (p *Proxy) pass(to, from net.Conn, count *atomic.Int64) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.linger(n)
		if at := p.CutAt.Load(); at > 0 && count == &p.Sent && count.Load() > at && p.CutAt.CompareAndSwap(at, 0) {
			_ = from.Close()
			return
		}
		count.Add(int64(n))
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			if err == io.EOF {
				return
			}
			_ = from.Close()
			return
		}
	}
}

// linger waits for as long as n bytes take, and for ever while frozen.
func (p *Proxy) linger(n int) {
	wait := p.Latency
	if p.Rate > 0 {
		wait += time.Duration(n) * time.Second / time.Duration(p.Rate)
	}
	for wait > 0 || p.frozen.Load() {
		select {
		case <-p.quit:
			return
		case <-time.After(max(wait, time.Millisecond)):
			wait = 0
		}
	}
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// Freeze makes all connections half-open: nothing passes, and nobody is told. New
// ones work once Thaw was called.
func (p *Proxy) Freeze() { p.frozen.Store(true) }

// Thaw lets bytes pass again.
func (p *Proxy) Thaw() { p.frozen.Store(false) }

// Down refuses new connections, and cuts those there are.
func (p *Proxy) Down() { p.down.Store(true); p.Cut() }

// Up takes connections again.
func (p *Proxy) Up() { p.down.Store(false) }
