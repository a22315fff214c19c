package ecs_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/strategy"
)

func TestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = w.revision("web:2", allHooks)
		began := time.Now()
		res, err := w.deployment("d-2", strategy.ECS{Shift: strategy.Canary(10, 5*time.Minute), Termination: strategy.Wait{For: time.Hour}}).Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Err())
		require.Equal(t, map[string]int32{"web-blue": 0, "web-green": 100}, w.weights(w.production))
		require.Equal(t, map[string]int32{"web-blue": 0, "web-green": 100}, w.weights(w.test))
		require.Equal(t, []string{"d-2 PRIMARY web:2"}, w.sets())
		require.False(t, w.suspendedNow())
		require.Equal(t, []string{"BeforeInstall check", "AfterInstall check", "AfterAllowTestTraffic check", "BeforeAllowTraffic check", "AfterAllowTraffic check"}, w.hooks.runs)
		require.InDelta(t, 67*time.Minute, time.Since(began), float64(3*time.Minute))
		t.Log(w.api.Counts())
	})
}
