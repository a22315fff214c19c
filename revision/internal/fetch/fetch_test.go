package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/revision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var content = bytes.Repeat([]byte("0123456789"), 100)

// flow is a body that gives so many bytes, each after a pause, and then breaks or ends.
type flow struct {
	b     []byte
	n     int // bytes a piece; 0: all
	pause time.Duration
	end   error // in place of the end
	done  chan struct{}
}

func (f *flow) Read(p []byte) (int, error) {
	if f.pause > 0 {
		select {
		case <-time.After(f.pause):
		case <-f.done:
			return 0, errors.New("closed")
		}
	}
	if len(f.b) == 0 {
		if f.end != nil {
			return 0, f.end
		}
		return 0, io.EOF
	}
	n := len(f.b)
	if f.n > 0 {
		n = min(n, f.n)
	}
	n = copy(p, f.b[:n])
	f.b = f.b[n:]
	return n, nil
}

func (f *flow) Close() error {
	if f.done != nil {
		select {
		case <-f.done:
		default:
			close(f.done)
		}
	}
	return nil
}

// breaking answers with parts that break off after so many bytes of the whole; it ends
// well where there are no more.
func breaking(id string, after ...int) (Source, *[]int64) {
	asked := &[]int64{}
	return func(_ context.Context, offset int64, have string) (Part, error) {
		*asked = append(*asked, offset)
		p := Part{Size: int64(len(content)), ID: id}
		if id != "" && have == id {
			p.Offset = offset
		}
		if i := len(*asked) - 1; i < len(after) {
			p.Body = &flow{b: content[p.Offset:max(after[i], int(p.Offset))], end: errors.New("reset by peer")}
			return p, nil
		}
		p.Body = &flow{b: content[p.Offset:]}
		return p, nil
	}, asked
}

func fetchIt(t *testing.T, limit revision.Transfer, ask Source) (Result, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	r, err := ToFile(t.Context(), path, limit, ask)
	if err == nil {
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, got)
		sum := sha256.Sum256(content)
		require.Equal(t, Result{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}, r)
	}
	return r, err
}

func requireCode(t *testing.T, want revision.Code, err error) {
	t.Helper()
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, want, e.Code, "%v", err)
}

func TestF2_GoesOnOrBeginsAnew(t *testing.T) {
	for name, c := range map[string]struct {
		id    string
		after []int
		asked []int64
	}{
		"whole at once":              {"v", nil, []int64{0}},
		"goes on where it was":       {"v", []int{300, 300, 700}, []int64{0, 300, 300, 700}},
		"begins anew":                {"", []int{300, 700}, []int64{0, 0, 0}},
		"ends where it should go on": {"v", []int{1000}, []int64{0, 1000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ask, asked := breaking(c.id, c.after...)
			_, err := fetchIt(t, revision.Transfer{}, ask)
			require.NoError(t, err, name)
			require.Equal(t, c.asked, *asked, name)
		})
	}
}

// Four times without any of it, about a second, two and four between them; one that
// begins anew and comes no further than before has brought nothing.
func TestF2_GivesUp(t *testing.T) {
	for _, id := range []string{"v", ""} {
		synctest.Test(t, func(t *testing.T) {
			ask, asked := breaking(id, 300, 300, 300, 300, 300, 300)
			start := time.Now()
			_, err := fetchIt(t, revision.Transfer{}, ask)
			requireCode(t, revision.Unreachable, err)
			require.ErrorContains(t, err, "broke off after 300 bytes: reset by peer")
			require.Len(t, *asked, 4)
			require.InDelta(t, 7, time.Since(start).Seconds(), 3.6)
		})
	}
}

func TestOddAnswers(t *testing.T) {
	part := func(p Part) Source {
		return func(context.Context, int64, string) (Part, error) {
			p.Body = &flow{b: content}
			return p, nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := fetchIt(t, revision.Transfer{}, part(Part{Size: -1}))
		require.NoError(t, err, "a length is not needed")
		_, err = fetchIt(t, revision.Transfer{}, part(Part{Size: 1001}))
		requireCode(t, revision.ArchiveTruncated, err)
		_, err = fetchIt(t, revision.Transfer{}, part(Part{Offset: 5, Size: 1000}))
		requireCode(t, revision.Unreachable, err)

		// Another version in the middle is never joined to the first one.
		n := 0
		_, err = fetchIt(t, revision.Transfer{}, func(_ context.Context, offset int64, id string) (Part, error) {
			n++
			switch n {
			case 1:
				return Part{Body: &flow{b: content[:300], end: errors.New("broken")}, Size: 1000, ID: "v1"}, nil
			case 2:
				return Part{Body: &flow{b: []byte("x")}, Offset: offset, Size: 301, ID: "v2"}, nil
			}
			require.Zero(t, offset)
			require.Empty(t, id)
			return Part{Body: &flow{b: content}, Size: 1000, ID: "v3"}, nil
		})
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

func TestF4_LargeSlowAndEndless(t *testing.T) {
	slow := func(n int, pause time.Duration) Source {
		return func(context.Context, int64, string) (Part, error) {
			return Part{Body: &flow{b: content, n: n, pause: pause, done: make(chan struct{})}, Size: -1}, nil
		}
	}
	for name, c := range map[string]struct {
		limit revision.Transfer
		ask   Source
		code  revision.Code // empty: it comes
		took  time.Duration // at least
	}{
		"slow, and fast enough": {revision.Transfer{Rate: 9}, slow(10, time.Second), "", 100 * time.Second},
		"slower than allowed":   {revision.Transfer{Rate: 11, Tries: 1}, slow(10, time.Second), revision.Stalled, 30 * time.Second},
		"stands still":          {revision.Transfer{Tries: 1}, slow(1000, time.Hour), revision.Stalled, 30 * time.Second},
		"tried four times":      {revision.Transfer{}, slow(1000, time.Hour), revision.Stalled, 120 * time.Second},
		"no answer": {revision.Transfer{Tries: 1}, func(ctx context.Context, _ int64, _ string) (Part, error) {
			<-ctx.Done()
			return Part{}, ctx.Err()
		}, revision.Stalled, 30 * time.Second},
		"as large as allowed": {revision.Transfer{Bytes: 1000}, slow(1000, 0), "", 0},
		"too large":           {revision.Transfer{Bytes: 999}, slow(1000, 0), revision.TooLarge, 0},
		"says it is too large": {revision.Transfer{Bytes: 999}, func(context.Context, int64, string) (Part, error) {
			return Part{Body: &flow{}, Size: 1000}, nil
		}, revision.TooLarge, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := fetchIt(t, c.limit, c.ask)
			if c.code == "" {
				require.NoError(t, err, name)
			} else {
				requireCode(t, c.code, err)
			}
			require.GreaterOrEqual(t, time.Since(start), c.took, name)
			require.Less(t, time.Since(start), c.took*2+time.Second, name)
		})
	}
}

func TestFinalErrorsAndCancelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, no := 0, errors.New("no")
		_, err := fetchIt(t, revision.Transfer{}, func(context.Context, int64, string) (Part, error) { n++; return Part{}, Final(no) })
		require.Equal(t, no, err)
		require.Equal(t, 1, n)

		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(no) })
		_, err = ToFile(ctx, filepath.Join(t.TempDir(), "f"), revision.Transfer{Tries: 100}, func(context.Context, int64, string) (Part, error) {
			return Part{}, errors.New("later")
		})
		require.Equal(t, no, err)
	})
}

func TestToMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask, _ := breaking("", 300)
		got, err := ToMemory(t.Context(), 1000, revision.Transfer{}, ask)
		require.NoError(t, err)
		require.Equal(t, content, got)
		_, err = ToMemory(t.Context(), 999, revision.Transfer{}, ask)
		requireCode(t, revision.TooLarge, err)
	})
}
