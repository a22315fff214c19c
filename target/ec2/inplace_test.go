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
