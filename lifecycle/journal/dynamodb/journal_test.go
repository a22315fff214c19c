package dynamodb_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/dynamodb"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

func record(id string, seq int64) lifecycle.Record {
	return lifecycle.Record{Seq: seq, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kind: lifecycle.Ended, Step: lifecycle.Step{Deployment: id, Unit: "web-1"}}
}

// big is a record of about n bytes that does not compress.
func big(id string, seq int64, n int) lifecycle.Record {
	noise := make([]byte, n/2)
	rand.Read(noise)
	r := record(id, seq)
	r.Data, _ = json.Marshal(fmt.Sprintf("%x", noise)) // hex compresses to a half
	return r
}

func seqs(t *testing.T, r journal.Reader, id string, from int64) (got []int64) {
	t.Helper()
	for rec, err := range r.Records(t.Context(), id, from) {
		require.NoError(t, err)
		got = append(got, rec.Seq)
	}
	return got
}

func open(t *testing.T, j *dynamodb.Journal) journal.Log {
	t.Helper()
	l, err := j.Open(t.Context(), "web")
	require.NoError(t, err)
	return l
}

func TestConformance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := journaltest.Check(t.Context(), func() (*journaltest.Harness, error) {
			tb := newTable()
			j, _ := tb.controller("one")
			return &journaltest.Harness{Journal: j, Reopen: func() (journal.Journal, error) {
				next, _ := tb.controller("next")
				return next, nil
			}}, nil
		})
		require.NoError(t, err)
	})
}

// An Append of any size is there or not, within the limits of the service.
func TestLargeAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, _ := tb.controller("one")
		l := open(t, j)
		sizes := []int{10, 500_000, 900_000, 8_000_000, 100}
		if testing.Short() {
			sizes[3] = 1_000_000 // the race detector takes its time to compress
		}
		for i, n := range sizes {
			require.NoError(t, l.Append(t.Context(), big("d-1", int64(2*i+1), n), record("d-1", int64(2*i+2))))
		}
		require.LessOrEqual(t, tb.most, itemLimit)
		require.NoError(t, l.Close())
		for from := int64(1); from <= 11; from++ {
			require.Len(t, seqs(t, j.Reader("web"), "d-1", from), int(11-from))
		}
		l = open(t, j)
		require.NoError(t, l.Append(t.Context(), record("d-1", 11)))
		require.Len(t, seqs(t, l, "d-1", 1), 11)
		require.NoError(t, l.Close())
	})
}

func TestPagesAreReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, _ := tb.controller("one")
		l := open(t, j)
		for n := int64(1); n <= 30; n++ {
			require.NoError(t, l.Append(t.Context(), big("d-1", n, 150_000)))
		}
		before := tb.api.Counts()["DynamoDB.Query"]
		require.Len(t, seqs(t, l, "d-1", 1), 30)
		require.Greater(t, tb.api.Counts()["DynamoDB.Query"]-before, 2)
		require.Equal(t, []int64{29, 30}, seqs(t, l, "d-1", 29))
		require.NoError(t, l.Close())
	})
}

// A13: every call of a small history is done and its reply lost, or throttled, or
// fails, in turn. The history is the same each time.
func TestA13_LostReplyOfAnyCall(t *testing.T) {
	history := func(t *testing.T, choose func(awsfake.Call) awsfake.Fault) (calls int) {
		synctest.Test(t, func(t *testing.T) {
			tb := newTable()
			tb.api.Inject(choose)
			j, _ := tb.controller("one")
			j.SetPart(1000)
			for round := range int64(2) {
				l := open(t, j)
				require.NoError(t, l.Append(t.Context(), record("d-1", 4*round+1)))
				require.NoError(t, l.Append(t.Context(), big("d-1", 4*round+2, 3000), record("d-1", 4*round+3)))
				require.NoError(t, l.Append(t.Context(), record("d-1", 4*round+4)))
				require.NoError(t, l.Close())
			}
			calls = len(tb.api.Calls())
			tb.api.Inject(nil)
			l := open(t, j)
			require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8}, seqs(t, l, "d-1", 1))
			require.NoError(t, l.Close())
		})
		return calls
	}
	calls := history(t, nil)
	for _, f := range []awsfake.Fault{awsfake.LostReply, awsfake.Throttle, awsfake.ServerError} {
		for n := range calls {
			t.Run(fmt.Sprintf("%s of call %d", f, n), func(t *testing.T) { history(t, awsfake.At(n, f)) })
		}
	}
}

func TestThrottlingIsWaitedOutAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, _ := tb.controller("one")
		l := open(t, j)
		busy := func(d time.Duration) {
			until := time.Now().Add(d)
			tb.api.Inject(func(c awsfake.Call) awsfake.Fault {
				if c.Operation == "TransactWriteItems" && time.Now().Before(until) {
					return awsfake.Throttle
				}
				return awsfake.NoFault
			})
		}
		busy(20 * time.Second)
		require.NoError(t, l.Append(t.Context(), record("d-1", 1)), "the lease is renewed meanwhile")
		busy(time.Hour)
		began := time.Now()
		err := l.Append(t.Context(), record("d-1", 2))
		require.ErrorContains(t, err, "no success within 30s")
		within(t, began, 40*time.Second)
		require.ErrorIs(t, l.Append(t.Context(), record("d-1", 2)), journal.ErrFailed)
		require.NoError(t, l.Close())
		tb.api.Inject(nil)
		l = open(t, j)
		require.Equal(t, []int64{1}, seqs(t, l, "d-1", 1))
		require.NoError(t, l.Close())
	})
}

func TestPermissionIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		tb.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.AccessDenied })
		j, _ := tb.controller("one")
		_, err := j.Open(t.Context(), "web")
		require.ErrorContains(t, err, "group web")
		require.ErrorContains(t, err, "GetItem")
		require.Len(t, tb.api.Calls(), 1, "it is not tried again")
	})
}

func TestDamageIsFound(t *testing.T) {
	records := "r/web/000000000001"
	damages := map[string]func(*table){
		"is missing or was changed":  func(tb *table) { delete(tb.items[records], "0000000000000000003") },
		"first records are missing":  func(tb *table) { clear(tb.items[records]) },
		"from here to 4 are missing": func(tb *table) { delete(tb.items[records], "0000000000000000004") },
		"part 2 should be here": func(tb *table) {
			for sk := range tb.items[records] {
				if strings.HasSuffix(sk, "/0002") {
					delete(tb.items[records], sk)
				}
			}
		},
		"not a record": func(tb *table) {
			tb.items[records]["0000000000000000003"]["records"] = &types.AttributeValueMemberB{Value: []byte("{")}
		},
		"sum of what comes before does not fit": func(tb *table) {
			it := tb.items[records]["0000000000000000004"]
			text := it["records"].(*types.AttributeValueMemberB)
			it["records"] = &types.AttributeValueMemberB{Value: []byte(strings.Replace(string(text.Value), "web-1", "web-2", 1))}
		},
		"attribute lastSeq is missing": func(tb *table) { delete(tb.items[records]["0000000000000000003"], "lastSeq") },
	}
	for want, damage := range damages {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := newTable()
				j, _ := tb.controller("one")
				j.SetPart(1000)
				l := open(t, j)
				require.NoError(t, l.Append(t.Context(), record("d-1", 1)))
				require.NoError(t, l.Append(t.Context(), big("d-1", 2, 6000)))
				require.NoError(t, l.Append(t.Context(), record("d-1", 3)))
				require.NoError(t, l.Append(t.Context(), record("d-1", 4)))
				require.NoError(t, l.Close())
				damage(tb)
				var err error
				for _, err = range j.Reader("web").Records(t.Context(), "d-1", 2) {
				}
				require.ErrorIs(t, err, journal.ErrCorrupt)
				require.ErrorContains(t, err, want)
			})
		})
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, _ := tb.controller("one")
		l := open(t, j)
		require.NoError(t, l.Append(t.Context(), record("d-1", 1)))
		require.NoError(t, l.Close())
		tb.items["g/web"]["d/000000000001"]["v"] = &types.AttributeValueMemberN{Value: "2"}
		_, err := j.Open(t.Context(), "web")
		require.ErrorIs(t, err, journal.ErrTooNew)
		h, err := j.Holder(t.Context(), "web")
		require.NoError(t, err)
		require.Empty(t, h.ID, "the lease was given back")
	})
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	for _, j := range []*dynamodb.Journal{{}, {Client: newTable().client()}, {Client: newTable().client(), Table: "t", Renew: 10 * time.Second}} {
		_, err := j.Open(t.Context(), "web")
		require.Error(t, err)
	}
}

// errNothing is a cause that tests recognise.
var errNothing = errors.New("nothing in particular")

func TestCancelledOpenReturnsItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, l := tb.controller("one")
		l.down.Store(true)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errNothing) })
		_, err := j.Open(ctx, "web")
		require.ErrorIs(t, err, errNothing)
	})
}

// Whoever may only read can: plans and status call nothing else.
func TestReadersCallWhatTheyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable()
		j, _ := tb.controller("one")
		l := open(t, j)
		require.NoError(t, l.Append(t.Context(), big("d-1", 1, 900_000), record("d-1", 2)))
		require.NoError(t, l.Close())

		written := len(tb.api.Calls())
		ids, err := j.Reader("web").Deployments(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"d-1"}, ids)
		require.Equal(t, []int64{1, 2}, seqs(t, j.Reader("web"), "d-1", 1))
		_, err = j.Holder(t.Context(), "web")
		require.NoError(t, err)
		called := map[string]bool{}
		for _, c := range tb.api.Calls()[written:] {
			called["dynamodb:"+c.Operation] = true
		}
		var policy struct{ Statement []struct{ Action []string } }
		require.NoError(t, json.Unmarshal([]byte(dynamodb.ReadPolicy("arn")), &policy))
		require.ElementsMatch(t, policy.Statement[0].Action, slices.Collect(maps.Keys(called)))
	})
}
