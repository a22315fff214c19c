package fake_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/fake"
)

// Invariants 3, 7, 13, 19, 22 under seeded faults and kills, with the real engine:
// the deployment ends; nothing is done twice; weights are whole and somebody serves;
// success means that the replacement serves, and a rollback that succeeded that the
// original does.
func TestDeploy_Seeds(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	ends := map[strategy.Verdict]int{}
	each(t, func(t *testing.T, kind string) {
		for seed := range seeds {
			s := kinds[kind](t)
			before := s.serving()
			s.Randomize(seed, fake.Rates{Fail: 0.02, LoseReply: 0.2, MaxDelay: time.Minute})
			res := s.runKilled(t, rand.New(rand.NewPCG(seed, 1)))
			ends[res.Status]++
			require.Len(t, unique(s.Done()), len(s.Done()), "%s, seed %d: done twice", kind, seed)
			switch {
			case res.Status == strategy.DeploymentSucceeded:
				for id := range before {
					require.Zero(t, s.weights()[id], "%s, seed %d: the original still serves", kind, seed)
				}
			case res.Rollback != nil && res.Rollback.Status == strategy.DeploymentSucceeded:
				require.Equal(t, before, s.serving(), "%s, seed %d", kind, seed)
			}
		}
	})
	require.NotZero(t, ends[strategy.DeploymentSucceeded])
	require.NotZero(t, ends[strategy.DeploymentFailed])
}

// runKilled kills the controller a few times on the way.
func (s *scene) runKilled(t *testing.T, dice *rand.Rand) *cutover.Result {
	t.Helper()
	killed := errors.New("killed")
	for range 4 {
		ctx, kill := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(time.Duration(dice.Int64N(int64(90*time.Minute))), func() { kill(killed) })
		res, err := s.deploy.Resume(ctx, "d-2")
		if errors.Is(err, journal.ErrNotFound) {
			res, err = s.deploy.Run(ctx)
		}
		timer.Stop()
		kill(nil)
		if err == nil {
			return res
		}
		require.ErrorIs(t, err, killed)
		synctest.Wait()
	}
	return s.resume(t, false)
}
