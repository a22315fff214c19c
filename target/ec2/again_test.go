package ec2_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/strategy"
)

// A fleet lives on after a deployment whose end went wrong: the copy that serves since is
// what the next deployment replaces.
func TestAFleetIsUsedAgainAfterItCouldNotSettle(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.scaled(t, "web", 3)
			d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{KeepAlive: keep})
			fewest := w.run(t, func() {
				w.API.Inject(awsfake.On("DeleteTags", awsfake.AccessDenied))
				d.ID = "d-1"
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				require.NotZero(t, w.API.Counts()["Auto Scaling.DeleteTags"], "it was refused")
				time.Sleep(2 * time.Minute)
				w.API.Inject(nil)
				d.ID = "d-2"
				res, err = d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				time.Sleep(2 * time.Minute)
			})
			require.GreaterOrEqual(t, fewest, 3)
			require.ElementsMatch(t, w.Groups.Members("web-d-2"), w.Serving(w.arn))
			for _, name := range w.Groups.Names() {
				require.Empty(t, w.Groups.Suspended(name), name)
			}
		})
	}
}
