package ecs_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// changing are the calls that change something, and one that reads.
var changing = []string{"CreateTaskSet", "ModifyListener", "UpdateServicePrimaryTaskSet", "DeleteTaskSet", "DescribeTargetHealth"}

// onThe puts a fault on an operation: on its first call, or on all.
func onThe(operation string, f awsfake.Fault, once bool) func(awsfake.Call) awsfake.Fault {
	met := false
	return func(c awsfake.Call) awsfake.Fault {
		if c.Operation != operation || once && met {
			return awsfake.NoFault
		}
		met = true
		return f
	}
}

// One call hangs once, done or not: the deployment ends as planned. Other calls are in
// the sweep.
func TestACallThatHangsIsMadeAgain(t *testing.T) {
	for _, operation := range changing {
		for _, f := range []awsfake.Fault{awsfake.Hang, awsfake.HungReply} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.api.Inject(onThe(operation, f, true))
				sc := scenarios["canary"]
				res, err := sc.prepare(t.Context(), w, &w.log).Run(t.Context())
				require.NoError(t, err, "%s, %s", operation, f)
				sc.ends(w, res)
			})
		}
	}
}

// All calls of a kind hang, and nothing was done: the deployment ends, and says what did
// not answer.
func TestCallsThatAlwaysHang(t *testing.T) {
	for _, operation := range []string{"CreateTaskSet", "ModifyListener", "UpdateServicePrimaryTaskSet"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.api.Inject(onThe(operation, awsfake.Hang, false))
			began := time.Now()
			res, err := scenarios["all at once"].prepare(t.Context(), w, &w.log).Run(t.Context())
			require.NoError(t, err)
			require.ErrorContains(t, res.Err(), operation+" did not answer within 1m0s")
			require.Equal(t, lifecycle.Unknown, codeOf(res.Err()), operation)
			require.Less(t, time.Since(began), 2*time.Hour, operation)
		})
	}
}

// What was done shows, though no call of the kind ever answers: one task set is made.
func TestWhatWasDoneIsSeenWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api.Inject(onThe("CreateTaskSet", awsfake.HungReply, false))
		sc := scenarios["all at once"]
		res, err := sc.prepare(t.Context(), w, &w.log).Run(t.Context())
		require.NoError(t, err)
		sc.ends(w, res)
	})
}

func TestCallsThatHangAreLeftOnCancel(t *testing.T) {
	for _, operation := range changing[:2] {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var since time.Time
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("gone")
			w.api.Inject(func(c awsfake.Call) awsfake.Fault {
				if c.Operation != operation {
					return awsfake.NoFault
				}
				since = time.Now()
				time.AfterFunc(30*time.Second, func() { cancel(gone) })
				return awsfake.Hang
			})
			_, err := scenarios["all at once"].prepare(ctx, w, &w.log).Run(ctx)
			require.ErrorIs(t, err, gone, operation)
			require.Equal(t, 30*time.Second, time.Since(since), operation)
		})
	}
}
