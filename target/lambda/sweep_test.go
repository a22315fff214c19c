package lambda_test

import (
	"fmt"
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

// Whatever goes wrong with one call of the API, whichever it is: the alias has planned
// weights at every instant, and the deployment ends right or says clearly why not.
func TestSingleFaultSweep(t *testing.T) {
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			calls := 0
			synctest.Test(t, func(t *testing.T) {
				e, w := fakeEnv(t)
				_, err := s.play(t, e, run(t))
				require.NoError(t, err)
				calls = len(w.api.Calls())
			})
			ends := map[string]int{}
			for n := 0; n < calls; n += killtest.Every(1, 13) {
				for _, f := range awsfake.Faults() {
					synctest.Test(t, func(t *testing.T) {
						e, w := fakeEnv(t)
						w.api.Inject(awsfake.At(n, f))
						began := time.Now()
						res, err := s.play(t, e, run(t))
						w.api.Inject(nil)
						where := fmt.Sprintf("call %d of %d, %s", n, calls, f)
						planned(t, w, s.shift(e))
						how := s.end(t, e, res, err, where)
						ends[how]++
						unread := codeOf(err) == lifecycle.AlarmActive // the first look at the alarms has to succeed
						if f != awsfake.AccessDenied && !unread {
							require.Equal(t, "as planned", how, where)
						}
						require.Less(t, time.Since(began), 2*time.Hour, where)
					})
				}
			}
			t.Logf("%d runs: %v", len(awsfake.Faults())*calls, ends)
		})
	}
}

// end checks an end, and names it.
func (s scenario) end(t *testing.T, e *env, res *cutover.Result, err error, where string) string {
	version, weights := e.readBack(t)
	for hook, n := range e.hooks.calls {
		require.Equal(t, 1, n, "%s: %s", where, hook)
	}
	switch {
	case err != nil: // it was refused before anything was touched
		require.NotEmpty(t, codeOf(err), "%s: %v", where, err)
		require.Equal(t, "1", version, where)
		require.Empty(t, weights, where)
		require.Empty(t, e.hooks.calls, where)
		return "refused"
	case res.Status == strategy.DeploymentSucceeded:
		require.Equal(t, s.status, res.Status, where)
		s.check(t, e, res)
		return "as planned"
	}
	require.NotEmpty(t, codeOf(res.Err()), where)
	require.NotContains(t, []lifecycle.Code{lifecycle.Panicked}, codeOf(res.Err()), where)
	if res.Rollback != nil && res.Rollback.Status != strategy.DeploymentSucceeded {
		require.NotEmpty(t, res.Rollback.Err(), where)
		return "rollback failed: " + string(codeOf(res.Rollback.Err()))
	}
	if res.Rollback != nil {
		require.Equal(t, "1", version, where)
		require.Empty(t, weights, where)
	}
	if res.Status == s.status {
		return "as planned"
	}
	return "failed: " + string(codeOf(res.Err()))
}
