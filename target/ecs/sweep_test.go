package ecs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// swept are the scenarios whose every call meets every fault. Together they come to every
// call of the driver.
var swept = []string{"canary", "failing after traffic", "stopped and rolled back", "rolled back from the end", "crash loop"}

// One fault at one call, for all calls of a deployment and all faults: it ends as it would
// have, or it is refused or rolled back with a clear reason; no task set is made twice or left
// unknown, and weights are whole at every instant.
func TestSingleFaults(t *testing.T) {
	for _, name := range swept {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := map[string]int{}
			for _, fault := range awsfake.Faults() {
				for n, more := 0, true; more; n += killtest.Every(1, 13) {
					t.Run(fmt.Sprintf("%s %d", fault, n), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							var end string
							end, more = withFault(t, scenarios[name], n, fault)
							ends[string(fault)+": "+end]++
						})
					})
				}
			}
			t.Log(ends)
		})
	}
}

// withFault runs a scenario with a fault on its nth call, and says how it ended and whether
// there was such a call.
func withFault(t *testing.T, sc scenario, n int, fault awsfake.Fault) (end string, met bool) {
	w := newWorld(t)
	first := len(w.api.Calls())
	w.api.Inject(awsfake.At(first+n, fault))
	ctx, stop := context.WithTimeoutCause(t.Context(), 48*time.Hour, errors.New("it never ends"))
	defer stop()
	d := sc.prepare(ctx, w, &w.log)
	res, err := d.Run(ctx)
	w.api.Inject(nil)
	if err != nil { // it was refused, or could not go on: then the next one can
		clear(t, err)
		again, errAgain := d.Resume(ctx, "")
		if !errors.Is(errAgain, cutover.ErrNothingToResume) {
			res, err = again, errAgain
			require.NoError(t, err)
		}
	}
	met = len(w.api.Calls()) > first+n
	w.whole()
	if err != nil {
		require.Equal(t, served, w.sets(), "what is refused touches nothing: %v", err)
		require.Equal(t, map[string]int32{"web-blue": 1}, w.weights(w.production))
		return "refused", met
	}
	if asPlanned(sc, res) {
		sc.ends(w, res)
		return "as planned", met
	}
	return otherwise(w, res), met
}

func asPlanned(sc scenario, res *cutover.Result) bool {
	return res.Status == sc.status && sc.back == (res.Rollback != nil) && (res.Rollback == nil || res.Rollback.Status == strategy.DeploymentSucceeded && clean(res.Rollback)) && clean(res)
}

// clean reports whether nothing was left over.
func clean(res *cutover.Result) bool {
	return res.Status != strategy.DeploymentSucceeded || !slices.ContainsFunc(res.Units, func(u cutover.UnitResult) bool { return u.Failure != nil })
}

// otherwise checks a deployment that the fault has brought to another end.
func otherwise(w *world, res *cutover.Result) string {
	w.Helper()
	sets := w.sets()
	require.LessOrEqual(w, len(sets), 2)
	for _, s := range sets {
		require.True(w, strings.HasPrefix(s, "first ") || strings.HasPrefix(s, "d-2 "), "nobody knows of %s", s)
	}
	if res.Status != strategy.DeploymentSucceeded {
		clear(w, res.Err())
	}
	switch back := res.Rollback; {
	case back != nil && back.Status == strategy.DeploymentSucceeded && clean(back):
		require.Equal(w, served, sets)
		require.Equal(w, map[string]int32{"web-blue": 1}, w.weights(w.production))
		require.False(w, w.suspendedNow())
		return "rolled back"
	case back != nil && back.Status != strategy.DeploymentSucceeded:
		clear(w, back.Err())
		return "rollback failed"
	case back != nil:
		return "rolled back, cleanup pending"
	case res.Status == strategy.DeploymentSucceeded && !clean(res):
		return "cleanup pending"
	default:
		require.Fail(w, "neither as planned nor rolled back", "%s %v", res.Status, res.Err())
		return ""
	}
}

// clear wants an error to say what happened.
func clear(t testing.TB, err error) {
	t.Helper()
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%T %v", err, err)
	require.NotEmpty(t, e.Code)
	require.NotEmpty(t, e.Message)
}
