package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doubler doubles numbers, in batches that it remembers.
func doubler(window time.Duration, max int) (*batch.Gatherer[string, int, int], *[][]int) {
	var mu sync.Mutex
	var sent [][]int
	return &batch.Gatherer[string, int, int]{Window: window, Max: max, Send: func(ctx context.Context, _ string, items []int) []batch.Result[int] {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, slices.Clone(items))
		var out []batch.Result[int]
		for _, i := range items {
			r := batch.Result[int]{Value: 2 * i}
			if i == 13 {
				r.Err = errors.New("unlucky")
			}
			out = append(out, r)
		}
		return out
	}}, &sent
}

func TestWhatIsAskedForTogetherIsSentTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sent := doubler(time.Second, 50)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				got, err := g.Do(t.Context(), "one", i)
				require.Equal(t, 2*i, got)
				require.Equal(t, i == 13, err != nil)
			})
		}
		all.Wait()
		require.Len(t, *sent, 20)
	})
}

func TestGroupsAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sent := doubler(time.Second, 0)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				_, err := g.Do(t.Context(), fmt.Sprint(i%2), i)
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.Len(t, *sent, 2)
		for _, items := range *sent {
			for _, i := range items {
				require.Equal(t, items[0]%2, i%2)
			}
		}
	})
}

func TestOthersGoOnWhenTheLeaderIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sent := doubler(time.Second, 0)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var all sync.WaitGroup
		all.Go(func() {
			_, err := g.Do(ctx, "", 1)
			require.ErrorIs(t, err, gone)
		})
		synctest.Wait()
		for i := 2; i < 5; i++ {
			all.Go(func() {
				got, err := g.Do(t.Context(), "", i)
				require.NoError(t, err)
				require.Equal(t, 2*i, got)
			})
		}
		synctest.Wait()
		cancel(gone)
		all.Wait()
		require.Len(t, *sent, 1)
		require.ElementsMatch(t, []int{2, 3, 4}, (*sent)[0])
	})
}

func TestMissingResultIsAnError(t *testing.T) {
	g := &batch.Gatherer[string, int, int]{Send: func(context.Context, string, []int) []batch.Result[int] { return nil }}
	_, err := g.Do(t.Context(), "", 1)
	require.Error(t, err)
}

// counter reads how often it was read, in a second.
func counter() (*batch.Shared[int], *int) {
	n := new(int)
	return &batch.Shared[int]{Read: func(ctx context.Context) (int, error) {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		*n++
		return *n, nil
	}}, n
}

func TestReadersShareAReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n := counter()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				mark := 0
				for range 5 {
					got, at, err := s.After(t.Context(), mark)
					require.NoError(t, err)
					require.Greater(t, at, mark)
					require.Equal(t, at, got)
					mark = at
					time.Sleep(5 * time.Second)
				}
			})
		}
		all.Wait()
		require.Equal(t, 5, *n)
	})
}

// What was begun before the mark does not count: it may not know what was written.
func TestReadingIsNewerThanTheMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := counter()
		var all sync.WaitGroup
		all.Go(func() { s.After(t.Context(), 0) })
		synctest.Wait() // it is being read
		_, at, err := s.After(t.Context(), s.Mark())
		require.NoError(t, err)
		require.Equal(t, 2, at)
		all.Wait()
	})
}

func TestAnotherReaderTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n := counter()
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var all sync.WaitGroup
		all.Go(func() {
			_, _, err := s.After(ctx, 0)
			require.ErrorIs(t, err, gone)
		})
		synctest.Wait()
		all.Go(func() {
			got, _, err := s.After(t.Context(), 0)
			require.NoError(t, err)
			require.Equal(t, 1, got)
		})
		synctest.Wait()
		cancel(gone)
		all.Wait()
		require.Equal(t, 1, *n)
	})
}

// However many ask for a new reading at once, one is in progress and one waits.
func TestManyWhoWantItNewShareTwoReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n := counter()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, _, err := s.After(t.Context(), s.Mark())
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.LessOrEqual(t, *n, 2)
	})
}

func TestRecentReadingIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n := counter()
		for _, want := range []int{1, 1, 2} {
			got, err := s.Recent(t.Context(), 0, 5*time.Second)
			require.NoError(t, err)
			require.Equal(t, want, got)
			time.Sleep(3 * time.Second)
		}
		_, err := s.Recent(t.Context(), s.Mark(), time.Hour)
		require.NoError(t, err)
		require.Equal(t, 3, *n, "something was written since")
	})
}
