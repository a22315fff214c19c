package ecs_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// How many calls a deployment makes, in a service of two tasks that need 20 s to start, with
// a test listener and auto scaling: looking is not free, and what is stated here is kept.
func TestCallsOfADeployment(t *testing.T) {
	for name, most := range map[string]int{"all at once": 50, "canary": 58, "linear": 122, "stopped and rolled back": 62} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			before := w.api.Counts()
			ctx := t.Context()
			sc := scenarios[name]
			_, err := sc.prepare(ctx, w, &w.log).Run(ctx)
			require.NoError(t, err)
			total, by := calls(before, w.api.Counts())
			require.LessOrEqual(t, total, most, "%s: %v", name, by)
			t.Log(name, total, by)
		})
	}
}
