package lambda_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// before is a job with the snapshot in it, as the engine makes it.
func (w *world) before(t *testing.T) *target.Job {
	t.Helper()
	s, err := w.alias.Snapshot(t.Context(), &target.Job{})
	require.NoError(t, err)
	return &target.Job{Before: &s}
}

// The new version gets calls when its provisioned concurrency is ready, and a rollback
// takes that away again.
func TestProvisionedConcurrencyOfTheNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Warm, w.alias.Provisioned = 3*time.Minute, 7
		w.Provision("checkout", "1", 7, false)
		job := w.before(t)
		require.Zero(t, w.Provisioned("checkout", "2"), "looking changes nothing")
		began := time.Now()
		step := w.allow("2", 10)
		step.Job = job
		require.NoError(t, w.alias.Perform(t.Context(), step))
		require.EqualValues(t, 7, w.Provisioned("checkout", "2"))
		routes := w.Routes("checkout", "live")
		require.GreaterOrEqual(t, routes[len(routes)-1].At.Sub(began), 3*time.Minute, "no calls before it is warm")

		step.Step.Weight = 100
		require.NoError(t, w.alias.Perform(t.Context(), step))
		require.Equal(t, 1, w.api.Counts()["Lambda.PutProvisionedConcurrencyConfig"])

		back := w.allow("1", 0)
		back.Job = job
		require.NoError(t, w.alias.Perform(t.Context(), back))
		require.Zero(t, w.Provisioned("checkout", "2"))
		require.EqualValues(t, 7, w.Provisioned("checkout", "1"), "that of others is left alone")
		require.NoError(t, w.alias.Perform(t.Context(), back), "and again")
	})
}

// What was there before is not ours to take away.
func TestProvisionedConcurrencyThatWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.alias.Provisioned = 7
		w.Provision("checkout", "2", 3, false)
		job := w.before(t)
		for _, step := range []target.Task{w.allow("2", 10), w.allow("1", 0)} {
			step.Job = job
			require.NoError(t, w.alias.Perform(t.Context(), step))
		}
		require.EqualValues(t, 3, w.Provisioned("checkout", "2"))
	})
}

func TestProvisionedConcurrencyThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.alias.Provisioned = 7
		w.Provision("checkout", "2", 1, true)
		err := w.alias.Perform(t.Context(), w.allow("2", 10))
		require.Equal(t, lifecycle.TrafficUnhealthy, codeOf(err), "%v", err)
		require.Equal(t, fakelambda.Routing{"1": 1}, w.shares())
	})
}

// An alias that has provisioned concurrency passes through weights of Lambda's own.
// They are no change of somebody else's, and they are waited for.
func TestProvisionedConcurrencyOfTheAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Warm = 4 * time.Minute
		w.Provision("checkout", "live", 5, false)
		job := w.before(t)
		canary := w.allow("2", 10)
		canary.Job = job
		err := w.alias.Perform(t.Context(), canary)
		require.Equal(t, lifecycle.Unsupported, codeOf(err), "%v", err)
		require.Zero(t, w.api.Counts()["Lambda.UpdateAlias"])

		all := w.allow("2", 100)
		all.Job, all.Expect = job, weight(0)
		began := time.Now()
		require.NoError(t, w.alias.Perform(t.Context(), all))
		require.InDelta(t, 4*time.Minute, time.Since(began), float64(10*time.Second))
		require.Equal(t, fakelambda.Routing{"2": 1}, w.shares())
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Warm = time.Minute
		w.Provision("checkout", "live", 5, true)
		all := w.allow("2", 100)
		all.Job = w.before(t)
		err := w.alias.Perform(t.Context(), all)
		require.Equal(t, lifecycle.TrafficUnhealthy, codeOf(err), "%v", err)
	})
}

// A rollback succeeds although what costs money cannot be taken away; it is told.
func TestProvisionedConcurrencyThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, told := newWorld(t), &notes{}
		w.alias.Provisioned = 7
		job := w.before(t)
		step := w.allow("2", 100)
		step.Job = job
		require.NoError(t, w.alias.Perform(t.Context(), step))
		w.api.Inject(awsfake.On("DeleteProvisionedConcurrencyConfig", awsfake.AccessDenied))
		back := w.allow("1", 0)
		back.Job, back.Note = job, told.take
		require.NoError(t, w.alias.Perform(t.Context(), back))
		require.Len(t, told.all, 1)
		require.Contains(t, told.all[0].Text, "money")
	})
}
