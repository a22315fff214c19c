package ec2_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/strategy"
)

func TestTaggedFleetInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tagged(10)
		d := w.deployment(t, w.fleet(webTag), strategy.Percent(70))
		fewest := w.run(t, func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "map[Succeeded:10]", statuses(res), "%+v", res)
		})
		require.Len(t, w.Serving(w.arn), 10)
		require.GreaterOrEqual(t, fewest, 7)
	})
}

// Instances that are chosen by tags may be in a group that nobody named: nothing of it
// is suspended, since nobody would give it back.
func TestGroupsThatAreNotNamedAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		f := w.fleet(webTag)
		f.Balancers = nil
		w.run(t, func() {
			res, err := w.deployment(t, f, strategy.AllAtOnce()).Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "map[Succeeded:2]", statuses(res))
		})
		require.Empty(t, w.Groups.Suspended("web"))
		require.Zero(t, w.API.Counts()["Auto Scaling.SuspendProcesses"])
	})
}
