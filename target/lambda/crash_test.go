package lambda_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

var errCrash = errors.New("the controller ends here")

// G22: a controller ends before or after any write to its journal, and another one goes
// on: the same end, no hook called twice, no weight that is not planned.
func TestG22_CrashAtEveryWrite(t *testing.T) {
	for name, s := range scenarios {
		for _, when := range []string{"before", "after"} {
			t.Run(name+", "+when, func(t *testing.T) {
				crashes := 0
				for n := 1; ; n++ {
					crashed := false
					synctest.Test(t, func(t *testing.T) { crashed = s.crash(t, when, n) })
					if !crashed {
						break
					}
					crashes++
				}
				require.Greater(t, crashes, 3)
			})
		}
	}
}

// crash plays a scenario with a crash at the nth write, if there are as many.
func (s scenario) crash(t *testing.T, when string, n int) (crashed bool) {
	e, w := fakeEnv(t)
	real, writes := e.journal, 0
	tap := func(now string) func([]lifecycle.Record) error {
		return func([]lifecycle.Record) error {
			if now == "before" {
				writes++
			}
			if now == when && writes == n {
				crashed = true
				return errCrash
			}
			return nil
		}
	}
	e.journal = &journaltest.Tap{Journal: real, Before: tap("before"), After: tap("after")}
	res, err := s.play(t, e, run(t))
	if crashed {
		require.ErrorIs(t, err, errCrash)
		e.journal = real
		res, err = s.play(t, e, func(d *cutover.Deployment) (*cutover.Result, error) {
			res, err := d.Resume(t.Context(), "")
			if errors.Is(err, cutover.ErrNothingToResume) {
				res, err = d.Resume(t.Context(), d.ID)
			}
			if errors.Is(err, journal.ErrNotFound) {
				res, err = d.Run(t.Context())
			}
			return res, err
		})
	}
	require.NoError(t, err, fmt.Sprintf("%s write %d", when, n))
	if s.at == 0 { // what happens meanwhile happens again only if its record was not written
		s.check(t, e, res)
	}
	planned(t, w, s.shift(e))
	for hook, n := range e.hooks.calls {
		require.Equal(t, 1, n, hook)
	}
	return crashed
}
