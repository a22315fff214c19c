package lambda_test

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

// A server takes requests and never answers: the step ends in minutes, and says so. What
// one such call does to a deployment is in the sweep.
func TestCallsThatAlwaysHang(t *testing.T) {
	for _, operation := range []string{"GetAlias", "UpdateAlias", "GetFunctionConfiguration"} {
		for _, f := range awsfake.Hangs() {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.api.Inject(awsfake.On(operation, f))
				began := time.Now()
				err := w.alias.Perform(t.Context(), w.allow("2", 10))
				require.Equal(t, lifecycle.Unknown, codeOf(err), "%s, %s: %v", operation, f, err)
				require.ErrorContains(t, err, operation+" did not answer within 1m0s")
				require.ErrorContains(t, err, "nobody can say whether it was done")
				require.Less(t, time.Since(began), 10*time.Minute, operation)
			})
		}
	}
}

func TestCallsThatHangAreLeftOnCancel(t *testing.T) {
	for _, operation := range []string{"GetAlias", "UpdateAlias"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.api.Inject(awsfake.On(operation, awsfake.Hang))
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("gone")
			time.AfterFunc(90*time.Second, func() { cancel(gone) }) // in the second try
			began := time.Now()
			require.ErrorIs(t, w.alias.Perform(ctx, w.allow("2", 10)), gone)
			require.Equal(t, 90*time.Second, time.Since(began), operation)
		})
	}
}

// A hook may run for 15 minutes, and is not called again when its answer does not come.
func TestHookIsWaitedForAsLongAsItMayRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.On("LooksBefore", func(context.Context, []byte) ([]byte, error) {
			time.Sleep(15 * time.Minute)
			return []byte(`{"hookStatus":"SUCCEEDED"}`), nil
		})
		require.NoError(t, w.alias.Perform(t.Context(), w.hook()))
	})
}
