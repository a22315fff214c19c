package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// noise is a bundle of one file that cannot be compressed.
func noise(t *testing.T, size int) *revision.Bundle {
	dir := t.TempDir()
	data := make([]byte, size)
	x := uint32(1)
	for i := range data {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		data[i] = byte(x)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), data, 0o644))
	b, err := revision.Dir(dir).Open(t.Context(), "")
	require.NoError(t, err)
	return b
}

// host is the other end of a connection. It wants all of a revision.
type host struct {
	conn *wire.Conn
	got  atomic.Int64 // bytes of data
	data func(id uint32)
}

// serve returns when the connection has ended.
func (h *host) serve() {
	for {
		f, err := h.conn.Read()
		if err != nil {
			return
		}
		switch f.Kind {
		case wire.KindHello:
			_ = h.conn.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d/022"})
		case wire.KindPerform:
			go func() { _ = h.conn.Send(wire.KindWant, f.ID, wire.Want{Files: [][2]int{{0, 1}}}) }()
		case wire.KindData:
			h.got.Add(int64(len(f.Payload)))
			h.data(f.ID)
		}
	}
}

// sending performs a step of which the host wants the revision.
func sending(t *testing.T, b *revision.Bundle, data func(h *host, id uint32)) (h *host, over chan error, c *Client) {
	ours, theirs := net.Pipe()
	h = &host{conn: wire.NewConn(theirs, theirs)}
	h.data = func(id uint32) { data(h, id) }
	go h.serve()
	c, err := Connect(t.Context(), ours, Start{Digest: "d"})
	require.NoError(t, err)
	over = make(chan error, 1)
	go func() {
		over <- c.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Event: lifecycle.Start}, Job: &target.Job{Group: "g", Bundle: b}}, nil)
	}()
	return h, over, c
}

// A host whose disk is full says so in the middle of a transfer. The rest is not sent.
func TestC20_WhatNobodyWantsAnyMoreIsNotSent(t *testing.T) {
	b := noise(t, 32<<20)
	var once sync.Once
	h, over, c := sending(t, b, func(h *host, id uint32) {
		got := h.got.Load()
		go func() {
			_ = h.conn.Write(wire.KindTaken, id, wire.Taken(got))
			once.Do(func() {
				_ = h.conn.Send(wire.KindDone, id, wire.Answer{Failure: &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "make room"}})
			})
		}()
	})
	err := <-over
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.True(t, strings.HasSuffix(e.Message, "make room"))
	require.NoError(t, c.Close())
	require.Less(t, h.got.Load(), b.Manifest.Size()/2)
}

// What a host has not taken yet is waited for: no backlog builds up on the way.
func TestNoMoreIsSentThanIsTaken(t *testing.T) {
	b := noise(t, 4<<20)
	synctest.Test(t, func(t *testing.T) {
		var id atomic.Uint32
		h, over, c := sending(t, b, func(_ *host, of uint32) { id.Store(of) })
		for taken := int64(0); taken < 3*wire.MaxAhead; {
			synctest.Wait()
			require.LessOrEqual(t, h.got.Load()-taken, int64(wire.MaxAhead))
			require.Greater(t, h.got.Load()-taken, int64(wire.MaxAhead-wire.MaxPiece))
			taken = h.got.Load()
			require.NoError(t, h.conn.Write(wire.KindTaken, id.Load(), wire.Taken(taken)))
		}
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-over, ErrLost)
	})
}
