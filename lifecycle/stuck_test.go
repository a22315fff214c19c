//go:build linux

package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// stuck is a writer that takes nothing until it is released, as a pipe into a pager that
// was stopped.
type stuck struct {
	begun, release chan struct{}
	writes         atomic.Int32
}

func newStuck() *stuck { return &stuck{make(chan struct{}), make(chan struct{}), atomic.Int32{}} }

func (s *stuck) Write(p []byte) (int, error) {
	if s.writes.Add(1) == 1 {
		close(s.begun)
	}
	<-s.release
	return len(p), nil
}

// over releases the writer and makes sure that nothing more comes.
func (s *stuck) over(t *testing.T) {
	t.Helper()
	require.EqualValues(t, 1, s.writes.Load(), "the one that has begun")
	close(s.release)
	require.Never(t, func() bool { return s.writes.Load() != 1 }, 50*time.Millisecond, 5*time.Millisecond)
}

// floods prints more than all that may wait.
const floods = "#!/bin/sh\nwhile :; do echo 0123456789012345678901234567890123456789; done\n"

func TestWriterThatBlocksDoesNotDisableLimits(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"much": floods, "little": "#!/bin/sh\necho one\nsleep 300\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, notes := newStuck(), ""
			r := lifecycle.Runner{Log: w, Note: func(n lifecycle.Note) { notes += n.Text }}
			s := &lifecycle.Script{Location: "a.sh", Path: script(t, text), Timeout: time.Second, Grace: time.Second}
			err := r.Run(t.Context(), env(t), []lifecycle.Hook{s})
			result{err: err}.failure(t, lifecycle.ScriptTimedOut)
			require.Contains(t, notes, "the log of the scripts could not be written")
			w.over(t)
		})
	}
}

func TestWriterThatBlocksDoesNotHoldUpACancel(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	for name, text := range map[string]string{"much": floods, "little": "#!/bin/sh\necho one\nsleep 300\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStuck()
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-w.begun; cancel(why) }()
			r := lifecycle.Runner{Log: w}
			err := r.Run(ctx, env(t), []lifecycle.Hook{&lifecycle.Script{Location: "a.sh", Path: script(t, text), Grace: time.Second}})
			require.ErrorIs(t, err, why)
			w.over(t)
		})
	}
}

// The same without a runner.
func TestWriterOfAScriptThatBlocks(t *testing.T) {
	t.Parallel()
	w := newStuck()
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, floods), Timeout: time.Second, Grace: time.Second}
	result{err: s.Run(t.Context(), env(t), w)}.failure(t, lifecycle.ScriptTimedOut)
	w.over(t)
}

// The same where a hook passes the output on, as one that keeps it for itself too.
func TestWriterBehindAnotherThatBlocks(t *testing.T) {
	t.Parallel()
	w := newStuck()
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, floods), Timeout: time.Second, Grace: time.Second}
	hook := lifecycle.Func(func(ctx context.Context, env lifecycle.Env, out io.Writer) error {
		return s.Run(ctx, env, io.MultiWriter(io.Discard, out))
	})
	err := (&lifecycle.Runner{Log: w}).Run(t.Context(), env(t), []lifecycle.Hook{hook})
	result{err: err}.failure(t, lifecycle.ScriptTimedOut)
	w.over(t)
}

// A script that ends is told nothing of a writer that is only slow.
func TestSlowWriterGetsEverything(t *testing.T) {
	t.Parallel()
	w := newStuck()
	go func() { <-w.begun; close(w.release) }()
	r := lifecycle.Runner{Log: w, Note: func(n lifecycle.Note) { t.Errorf("noted: %s", n.Text) }}
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\nseq 1 100000\n")}
	require.NoError(t, r.Run(t.Context(), env(t), []lifecycle.Hook{s}))
}

// broken is a writer that panics.
type broken struct{}

func (broken) Write([]byte) (int, error) { panic("no luck") }

func TestWriterThatPanicsEndsNothing(t *testing.T) {
	t.Parallel()
	notes := ""
	r := lifecycle.Runner{Log: broken{}, Note: func(n lifecycle.Note) { notes += n.Text }}
	require.NoError(t, r.Run(t.Context(), env(t), []lifecycle.Hook{&lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\necho one\n")}}))
	require.Contains(t, notes, "no luck")
}
