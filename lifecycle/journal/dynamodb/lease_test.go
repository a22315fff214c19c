package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/dynamodb"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

const (
	ttl    = 15 * time.Second
	settle = ttl + ttl/10
)

func lost(l journal.Log) bool {
	select {
	case <-l.(journal.Leased).Lost():
		return true
	default:
		return false
	}
}

// B1: of many that come at once one wins, and the others know at once.
func TestB1_ManyRaceForAFreeGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		var wg sync.WaitGroup
		won := make(chan journal.Log, 64)
		refused := make(chan error, 64)
		for i := range 64 {
			wg.Go(func() {
				j, _ := tb.controller(fmt.Sprintf("c-%d", i))
				l, err := j.Open(t.Context(), "web")
				if err != nil {
					refused <- err
				} else {
					won <- l
				}
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		require.Len(t, refused, 63)
		require.ErrorIs(t, <-refused, journal.ErrLocked)
		require.NoError(t, (<-won).Close())
	})
}

// Also of many that wait for a dead one.
func TestB1_ManyRaceForADeadOnesGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, wire := tb.controller("dead")
		dead := open(t, j)
		wire.down.Store(true)
		var wg sync.WaitGroup
		won := make(chan journal.Log, 64)
		for i := range 64 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Millisecond)
				j, _ := tb.controller(fmt.Sprintf("c-%d", i))
				l, err := j.Open(t.Context(), "web")
				if err == nil {
					won <- l
				} else if !errors.Is(err, journal.ErrLocked) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		require.NoError(t, (<-won).Close())
		require.NoError(t, dead.Close())
	})
}

// A holder that lives is noticed by his next renewal.
func TestLockedWithinARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, _ := tb.controller("ci, build 7")
		l := open(t, one)
		<-time.After(time.Hour)
		require.False(t, lost(l))
		two, _ := tb.controller("two")
		began := time.Now()
		_, err := two.Open(t.Context(), "web")
		require.ErrorIs(t, err, journal.ErrLocked)
		require.ErrorContains(t, err, `"ci, build 7"`)
		within(t, began, 6*time.Second)
		require.NoError(t, l.Append(t.Context(), record("d-1", 1)))
		require.NoError(t, l.Close())
		began = time.Now()
		require.NoError(t, open(t, two).Close())
		within(t, began, time.Second)
	})
}

// A12, B2: one that is cut off can do nothing more, knows it before anybody else may
// take over, and that happens within two lease times.
func TestA12_B2_CutOff(t *testing.T) {
	for _, phase := range []time.Duration{0, time.Second, 4900 * time.Millisecond, 5 * time.Second, 7 * time.Second} {
		t.Run(phase.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := newTable()
				one, wire := tb.controller("one")
				old := open(t, one)
				require.NoError(t, old.Append(t.Context(), record("d-1", 1)))
				<-time.After(phase)
				synctest.Wait() // a renewal of this very moment has arrived: the heir need not see it do so
				wire.down.Store(true)
				cut := time.Now()
				var knew time.Time
				known := make(chan bool)
				go func() {
					<-old.(journal.Leased).Lost()
					knew = time.Now()
					close(known)
				}()
				two, _ := tb.controller("two")
				heir := open(t, two)
				within(t, cut, 2*ttl)
				<-known
				require.True(t, knew.Before(time.Now()), "the old one stopped first")
				require.Equal(t, []int64{1}, seqs(t, heir, "d-1", 1))

				wire.down.Store(false)
				before := tb.dump()
				gone := old.Append(t.Context(), record("d-1", 2))
				require.ErrorIs(t, gone, journal.ErrLost)
				require.ErrorContains(t, gone, "deadline", "why it could not be renewed")
				require.NoError(t, old.Close())
				require.Equal(t, before, tb.dump(), "the old one has written nothing")
				require.NoError(t, heir.Append(t.Context(), record("d-1", 2)))
				require.NoError(t, heir.Close())
			})
		})
	}
}

// A renewal whose answer never comes is made again while there is time: one connection
// that hangs does not cost the lease.
func TestARenewalThatHangsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, wire := tb.controller("one")
		var next atomic.Int64 // none yet
		wire.failAt = func(n int64) bool { return n == next.Load() }
		l := open(t, one)
		next.Store(wire.n.Load() + 1)
		<-time.After(time.Minute)
		require.False(t, lost(l))
		next.Store(wire.n.Load() + 1)
		require.NoError(t, l.Append(t.Context(), record("d-1", 1)), "the same goes for what is written")
		require.Greater(t, wire.n.Load(), next.Load())
		require.NoError(t, l.Close())
	})
}

// A12: an Append that is under way when the way is cut ends when the lease does.
func TestA12_AppendInAPartitionEndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, wire := tb.controller("one")
		l := open(t, one)
		wire.down.Store(true)
		began := time.Now()
		require.ErrorIs(t, l.Append(t.Context(), record("d-1", 1)), journal.ErrLost)
		within(t, began, ttl+time.Second)
		require.NoError(t, l.Close())
	})
}

// A14, B3: one that was paused believes that the lease is his, since his clock stood
// still. What he does then is refused by the lease's epoch. Here his goroutine that
// renews is what stands still.
func TestA14_B3_PausedOneIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, _ := tb.controller("one")
		one.TTL, one.Renew = 24*time.Hour, 8*time.Hour // he thinks so
		old := open(t, one)
		require.NoError(t, old.Append(t.Context(), record("d-1", 1)))
		tb.items["g/web"]["lease"]["ttlMillis"] = &types.AttributeValueMemberN{Value: "15000"} // others know better

		two, _ := tb.controller("two")
		heir := open(t, two)
		before := tb.dump()
		require.False(t, lost(old))
		require.ErrorIs(t, old.Append(t.Context(), big("d-1", 2, 20_000)), journal.ErrLost)
		require.True(t, lost(old), "the run hears of it")
		require.ErrorIs(t, old.Append(t.Context(), record("d-2", 1)), journal.ErrLost)
		require.NoError(t, old.Close())
		require.Equal(t, before, tb.dump())
		require.NoError(t, heir.Append(t.Context(), record("d-1", 2)))
		require.NoError(t, heir.Close())
	})
}

// B4: a live one is unlocked by somebody who names him exactly, and it is kept who.
func TestB4_ForcedUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, _ := tb.controller("one")
		old := open(t, one)
		operator, _ := tb.controller("operator")
		h, err := operator.Holder(t.Context(), "web")
		require.NoError(t, err)
		require.Equal(t, "one", h.Name)
		require.Equal(t, int64(1), h.Epoch)

		require.ErrorIs(t, operator.Unlock(t.Context(), "web", "somebody", "ann"), dynamodb.ErrNotHolder)
		require.Error(t, operator.Unlock(t.Context(), "web", h.ID, ""))
		require.NoError(t, operator.Unlock(t.Context(), "web", h.ID, "ann: the runner is gone"))
		require.Contains(t, tb.dump(), `unlockedBy="Sann: the runner is gone"`)
		began := time.Now()
		<-old.(journal.Leased).Lost()
		within(t, began, 5*time.Second+time.Millisecond)
		require.ErrorIs(t, old.Append(t.Context(), record("d-1", 1)), journal.ErrLost)

		heir := open(t, operator)
		require.NoError(t, old.Close(), "which unlocks nobody else")
		require.NoError(t, heir.Append(t.Context(), record("d-1", 1)))
		require.ErrorIs(t, operator.Unlock(t.Context(), "web", h.ID, "ann"), dynamodb.ErrNotHolder)
		require.NoError(t, heir.Close())
	})
}

// C19: the clocks of controllers play no part. The only times in the table are for
// people, so any of them does.
func TestC19_ClocksOfOthersPlayNoPart(t *testing.T) {
	for _, since := range []string{"1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "yesterday"} {
		synctest.Test(t, func(t *testing.T) {
			tb := newTable()
			one, wire := tb.controller("one")
			old := open(t, one)
			tb.items["g/web"]["lease"]["since"] = &types.AttributeValueMemberS{Value: since}
			two, _ := tb.controller("two")
			_, err := two.Open(t.Context(), "web")
			require.ErrorIs(t, err, journal.ErrLocked, "he renews")
			wire.down.Store(true)
			began := time.Now()
			heir := open(t, two)
			within(t, began, 2*ttl)
			require.Greater(t, time.Since(began), settle-5*time.Second)
			require.NoError(t, heir.Close())
			require.NoError(t, old.Close())
		})
	}
}

// A crash between the parts of a long Append leaves nothing that counts, and what it
// leaves is in nobody's way.
func TestCrashInTheMiddleOfALongAppend(t *testing.T) {
	for cut := int64(1); ; cut++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			tb := newTable()
			one, wire := tb.controller("one")
			one.SetPart(1000)
			old := open(t, one)
			require.NoError(t, old.Append(t.Context(), record("d-1", 1)))
			calls := wire.n.Load()
			wire.failAt = func(n int64) bool { return n >= calls+cut }
			err := old.Append(t.Context(), big("d-1", 2, 60_000))
			done = err == nil
			two, _ := tb.controller("two")
			two.SetPart(1000)
			heir := open(t, two)
			if !done {
				require.ErrorIs(t, err, journal.ErrLost)
				require.Equal(t, []int64{1}, seqs(t, heir, "d-1", 1))
				require.NoError(t, heir.Append(t.Context(), big("d-1", 2, 20_000)))
			}
			require.NoError(t, heir.Append(t.Context(), record("d-1", 3)))
			for from := int64(1); from <= 3; from++ {
				require.Len(t, seqs(t, two.Reader("web"), "d-1", from), int(4-from))
			}
			require.NoError(t, heir.Close())
			require.NoError(t, old.Close())
		})
		if done {
			require.Greater(t, cut, int64(2), "it took several calls")
			return
		}
	}
}

// host is one on which every step succeeds at once.
type host struct {
	zone string
	did  *int
}

func (h host) Unit() lifecycle.Unit { return lifecycle.Unit{ID: "web-" + h.zone, Zone: h.zone} }

func (h host) Perform(ctx context.Context, _ target.Task) error {
	*h.did++
	return context.Cause(ctx)
}

// A run that only waits, for hours, is abandoned when its group is taken away, and can
// be resumed.
func TestB4_RunThatWaitsInAHoldHearsOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		one, _ := tb.controller("one")
		did := 0
		hold := strategy.InPlace{Zonal: &strategy.Zonal{Monitor: 4 * time.Hour}}
		d := &cutover.Deployment{Group: "web", Journal: one, Strategy: hold, Rollback: rollback.Policy{OnFailure: true},
			Revision: revision.Dir(t.TempDir()), Target: &target.Fleet{Hosts: []target.Host{host{"a", &did}, host{"b", &did}}}}
		ended := make(chan error, 1)
		go func() {
			_, err := d.Run(t.Context())
			ended <- err
		}()
		<-time.After(time.Hour)
		require.Equal(t, len(lifecycle.InPlace.Events()), did, "of the first zone")
		operator, _ := tb.controller("operator")
		h, err := operator.Holder(t.Context(), "web")
		require.NoError(t, err)
		require.NoError(t, operator.Unlock(t.Context(), "web", h.ID, "ann"))
		began := time.Now()
		err = <-ended
		require.ErrorIs(t, err, journal.ErrLost)
		require.ErrorContains(t, err, "can be resumed")
		within(t, began, 6*time.Second)

		before := did
		d.Journal = operator
		result, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Nil(t, result.Failure)
		require.Equal(t, 2*before, did, "the second zone was left")
	})
}
