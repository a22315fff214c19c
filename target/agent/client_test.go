package agent

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
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

// Frames of data are full, so that few of them are under way: the agent has room for as
// many as it lets be sent ahead.
func TestFramesOfDataAreFull(t *testing.T) {
	b := noise(t, 1<<20)
	var mu sync.Mutex
	var sizes []int64
	var before int64
	_, over, c := sending(t, b, func(h *host, id uint32) {
		mu.Lock()
		defer mu.Unlock()
		got := h.got.Load()
		sizes, before = append(sizes, got-before), got
		go func() {
			_ = h.conn.Write(wire.KindTaken, id, wire.Taken(got))
			if got > 1<<20 {
				_ = h.conn.Send(wire.KindDone, id, wire.Answer{})
			}
		}()
	})
	require.NoError(t, <-over)
	require.NoError(t, c.Close())
	for _, n := range sizes[:len(sizes)-1] {
		require.EqualValues(t, wire.MaxPiece, n)
	}
}

// hostOf is the other end of a connection, which deals with the request of each step.
func hostOf(t *testing.T, deal func(conn *wire.Conn, id uint32, q wire.Request)) *Client {
	ours, theirs := net.Pipe()
	conn := wire.NewConn(theirs, theirs)
	go func() {
		for {
			f, err := conn.Read()
			if err != nil {
				return
			}
			switch f.Kind {
			case wire.KindHello:
				_ = conn.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d/022"})
			case wire.KindPerform:
				var q wire.Request
				assert.NoError(t, f.Decode(&q))
				go deal(conn, f.ID, q)
			case wire.KindData:
				go func() { _ = conn.Write(wire.KindTaken, f.ID, wire.Taken(int64(len(f.Payload)))) }()
			case wire.KindEnd:
				go func() { _ = conn.Send(wire.KindDone, f.ID, wire.Answer{}) }()
			}
		}
	}()
	c, err := Connect(t.Context(), ours, Start{Digest: "d"})
	require.NoError(t, err)
	return c
}

// A cancel waits for no connection that is stuck, be it in what is sent or before that.
func TestCancelWhileTheConnectionIsStuck(t *testing.T) {
	t.Parallel()
	b := noise(t, 1<<20)
	for name, answers := range map[string]bool{"in the request": false, "in the content": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			conn := wire.NewConn(theirs, theirs)
			stuck := make(chan struct{})
			go func() {
				defer close(stuck)
				f, _ := conn.Read()
				_ = conn.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d/022"})
				if answers {
					f, _ = conn.Read()
					_ = conn.Send(wire.KindWant, f.ID, wire.Want{Files: [][2]int{{0, 1}}})
				}
			}()
			c, err := Connect(t.Context(), ours, Start{Digest: "d"})
			require.NoError(t, err)
			enough := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-stuck; cancel(enough) }()
			err = c.Perform(ctx, target.Task{Step: lifecycle.Step{Event: lifecycle.Start}, Job: &target.Job{Bundle: b}}, nil)
			require.ErrorIs(t, err, enough)
			<-c.Ended()
		})
	}
}

// Whoever looks at the output of one step, and takes their time, holds up no other.
func TestSlowWatcherHoldsUpNoOtherStep(t *testing.T) {
	b := noise(t, 1000)
	synctest.Test(t, func(t *testing.T) {
		c := hostOf(t, func(conn *wire.Conn, id uint32, q wire.Request) {
			if q.Step.Event == lifecycle.Start {
				_ = conn.Send(wire.KindWant, id, wire.Want{Files: [][2]int{{0, 1}}})
				return
			}
			line := []byte(strings.Repeat("x", 32<<10))
			for i := range 100 {
				_ = conn.Write(wire.KindOutput, id, wire.Output{Offset: int64(i * len(line)), Data: line}.Append(nil))
			}
			_ = conn.Send(wire.KindDone, id, wire.Answer{})
		})
		out := &held{until: make(chan struct{})}
		slow := make(chan error, 1)
		go func() {
			slow <- c.Perform(t.Context(), target.Task{Step: lifecycle.Step{Event: lifecycle.AfterInstall}, Job: &target.Job{}, Output: out}, nil)
		}()
		synctest.Wait()
		require.NoError(t, c.Perform(t.Context(), target.Task{Step: lifecycle.Step{Event: lifecycle.Start}, Job: &target.Job{Bundle: b}}, nil))
		close(out.until)
		require.NoError(t, <-slow)
		require.Greater(t, out.n, maxInbox/2)
		require.Less(t, out.n, 2*maxInbox, "what nobody takes is not kept without end")
		require.NoError(t, c.Close())
	})
}

// held is a watcher that takes nothing until it is let go.
type held struct {
	until chan struct{}
	n     int
}

func (h *held) Write(p []byte) (int, error) {
	<-h.until
	h.n += len(p)
	return len(p), nil
}

// Notes are not dropped, however slowly they are taken, and come in order.
func TestNotesAreAllTaken(t *testing.T) {
	const all = 40
	synctest.Test(t, func(t *testing.T) {
		c := hostOf(t, func(conn *wire.Conn, id uint32, _ wire.Request) {
			for i := range all {
				_ = conn.Send(wire.KindNote, id, lifecycle.Note{Code: lifecycle.Code(strconv.Itoa(i)), Text: strings.Repeat("x", maxInbox/10)})
			}
			_ = conn.Send(wire.KindDone, id, wire.Answer{})
		})
		var codes []string
		require.NoError(t, c.Perform(t.Context(), target.Task{Job: &target.Job{}, Note: func(n lifecycle.Note) {
			time.Sleep(time.Second)
			codes = append(codes, string(n.Code))
		}}, nil))
		require.Len(t, codes, all)
		require.True(t, slices.IsSortedFunc(codes, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }))
		require.NoError(t, c.Close())
	})
}

// Any number of frames may come while a revision is sent.
func TestFramesThatComeWhileDataIsSent(t *testing.T) {
	b := noise(t, 2*wire.MaxAhead)
	synctest.Test(t, func(t *testing.T) {
		c := hostOf(t, func(conn *wire.Conn, id uint32, _ wire.Request) {
			_ = conn.Send(wire.KindWant, id, wire.Want{Files: [][2]int{{0, 1}}})
			for i := range 100 {
				_ = conn.Send(wire.KindNote, id, lifecycle.Note{Text: strconv.Itoa(i)})
			}
			_ = conn.Send(wire.KindDone, id, wire.Answer{})
		})
		notes := 0
		require.NoError(t, c.Perform(t.Context(), target.Task{Step: lifecycle.Step{Event: lifecycle.Start}, Job: &target.Job{Bundle: b}, Note: func(lifecycle.Note) { notes++ }}, nil))
		require.Equal(t, 100, notes)
		require.NoError(t, c.Close())
	})
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
