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

// One call hangs once, done or not: the deployment ends as planned. Other calls are in
// the sweep.
func TestACallThatHangsIsMadeAgain(t *testing.T) {
	for _, operation := range changing {
		for _, f := range awsfake.Hangs() {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.api.Inject(awsfake.Once(operation, f))
				sc := scenarios["canary"]
				res, err := sc.prepare(t.Context(), w, &w.log).Run(t.Context())
				require.NoError(t, err, "%s, %s", operation, f)
				sc.ends(w, res)
				require.True(t, w.api.Met(), operation)
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
			w.api.Inject(awsfake.On(operation, awsfake.Hang))
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
		w.api.Inject(awsfake.On("CreateTaskSet", awsfake.HungReply))
		sc := scenarios["all at once"]
		res, err := sc.prepare(t.Context(), w, &w.log).Run(t.Context())
		require.NoError(t, err)
		sc.ends(w, res)
		require.True(t, w.api.Met())
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
