package transfer

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sharesOf(s *Sender) (all, users int) {
	s.shares.mu.Lock()
	defer s.shares.mu.Unlock()
	for _, sh := range s.shares.all {
		users += sh.users
	}
	return len(s.shares.all), users
}

func decoded(tb testing.TB, stream []byte) []byte {
	tb.Helper()
	z, err := zstd.NewReader(bytes.NewReader(stream))
	require.NoError(tb, err)
	defer z.Close()
	data, err := io.ReadAll(z)
	require.NoError(tb, err)
	return data
}

// Many hosts that lack the same are sent the same bytes, compressed once; what has no
// room in memory is compressed for each. Nobody sees a difference.
func TestManyHostsShareAStream(t *testing.T) {
	b := tree(t, 50, 1, "")
	want := wire.Want{Files: [][2]int{{1, 20}, {31, 20}}}
	var plain []byte
	for _, r := range want.Files {
		for _, e := range b.Manifest.Entries[r[0] : r[0]+r[1]] {
			data, err := os.ReadFile(filepath.Join(b.Dir, e.Path))
			require.NoError(t, err)
			plain = append(plain, data...)
		}
	}
	for _, limit := range []int64{0, 10_000, 100_000, maxShared} {
		s := NewSender(b)
		s.limit = limit
		var hosts sync.WaitGroup
		for range 16 {
			hosts.Go(func() {
				var got bytes.Buffer
				assert.NoError(t, s.Answer(t.Context(), want, &got))
				assert.Equal(t, plain, decoded(t, got.Bytes()), "limit %d", limit)
			})
		}
		hosts.Wait()
		all, users := sharesOf(s)
		require.Equal(t, 1, all, "all asked for the same")
		require.Zero(t, users)
		require.NoError(t, os.WriteFile(filepath.Join(b.Dir, "files/f00000"), []byte("changed"), 0o644))
		err := s.Answer(t.Context(), want, io.Discard)
		if limit >= 4096 {
			require.NoError(t, err, "the file is not read again")
		} else {
			require.ErrorContains(t, err, "open the revision again")
		}
		require.NoError(t, os.WriteFile(filepath.Join(b.Dir, "files/f00000"), plain[:b.Manifest.Entries[1].Size], 0o644))
	}
}

// Hosts that each lack something else do not fill the memory.
func TestSharesAreFew(t *testing.T) {
	b := tree(t, 20, 1, "")
	s := NewSender(b)
	var leave []func()
	for i := range 10 {
		_, l := s.shares.join([][2]int{{1, i + 1}}, func(sh *share) { <-sh.ctx.Done() })
		leave = append(leave, l)
	}
	all, _ := sharesOf(s)
	require.Equal(t, maxShares, all)
	var got bytes.Buffer
	require.NoError(t, s.Answer(t.Context(), wire.Want{Files: [][2]int{{1, 20}}}, &got))
	require.Len(t, decoded(t, got.Bytes()), int(b.Manifest.Size()))
	for _, l := range leave {
		l()
	}
	all, _ = sharesOf(s)
	require.Zero(t, all, "what nobody reads is not made to its end")
}

// blocked is a host that takes nothing.
type blocked struct{ until <-chan struct{} }

func (b blocked) Write([]byte) (int, error) { <-b.until; return 0, io.ErrClosedPipe }

// One host that hangs, goes away or is cancelled does not hold up the others, and a
// file that changed is an error for all, until it is as it was.
func TestAShareOutlivesItsFirstHost(t *testing.T) {
	b := tree(t, 20, 1, "")
	s := NewSender(b)
	want := wire.Want{Files: [][2]int{{1, 20}}}
	gone, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() { assert.Error(t, s.Answer(gone, want, blocked{gone.Done()})) })
	var got bytes.Buffer
	require.NoError(t, s.Answer(t.Context(), want, &got))
	require.Len(t, decoded(t, got.Bytes()), int(b.Manifest.Size()))
	cancel()
	first.Wait()
	require.ErrorIs(t, s.Answer(gone, wire.Want{Files: [][2]int{{2, 19}}}, io.Discard), context.Canceled)

	path := filepath.Join(b.Dir, "files/f00003")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	want.Files = [][2]int{{3, 4}}
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.ErrorContains(t, s.Answer(t.Context(), want, io.Discard), "files/f00003: has 0 bytes")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	require.NoError(t, s.Answer(t.Context(), want, io.Discard))
}

// When the last host has gone, nothing reads the revision any more: its directory may be
// removed.
func TestNobodyReadsWhenTheLastHostHasGone(t *testing.T) {
	s := &shares{}
	reading, over := make(chan bool), false
	_, leave := s.join([][2]int{{1, 1}}, func(sh *share) {
		close(reading)
		<-sh.ctx.Done()
		time.Sleep(10 * time.Millisecond)
		over = true
	})
	<-reading
	leave()
	require.True(t, over)
}

// What is made for hosts that are gone ends in the middle of a file, too.
func TestShareThatNobodyReadsTakesNoMore(t *testing.T) {
	s := &shares{}
	sh, leave := s.join([][2]int{{1, 1}}, func(sh *share) { <-sh.ctx.Done() })
	leave()
	_, err := sh.Write([]byte("more"))
	require.ErrorIs(t, err, context.Canceled)
}

// What hosts shared is there for the next for a while, and then gives its memory back.
func TestShareThatIsNotUsedIsDropped(t *testing.T) {
	b := tree(t, 3, 1, "")
	synctest.Test(t, func(t *testing.T) {
		s := NewSender(b)
		want := wire.Want{Files: [][2]int{{1, 3}}}
		for range 3 { // each use makes it stay
			require.NoError(t, s.Answer(t.Context(), want, io.Discard))
			time.Sleep(shareIdle - time.Nanosecond)
			all, _ := sharesOf(s)
			require.Equal(t, 1, all)
		}
		_, leave := s.shares.join(want.Files, nil)
		time.Sleep(2 * shareIdle)
		all, users := sharesOf(s)
		require.Equal(t, 1, all, "it is used")
		require.Equal(t, 1, users)
		leave()
		time.Sleep(shareIdle)
		synctest.Wait()
		all, _ = sharesOf(s)
		require.Zero(t, all)
	})
}
