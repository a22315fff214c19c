package ec2_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// An instance of the original vanishes during a blue/green deployment, and Auto Scaling
// launches another one in its place, with the old revision. It loses its traffic as the
// others do.
func TestC16_OriginalThatLaunchesMeanwhile(t *testing.T) {
	for _, existing := range []bool{false, true} {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprintf("existing %v, kept %v", existing, keep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					blue := w.scaled(t, "web", 4)
					f, green := w.blueGreen(), "web-d-1"
					if existing {
						require.NoError(t, w.Group(t.Context(), "green", 4))
						w.pass(t, 3*time.Minute)
						f, green = w.discovering(ec2.Selection{Groups: []string{"web"}}, ec2.Selection{Groups: []string{"green"}}), "green"
					}
					d := w.deployment(t, f, strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}, KeepAlive: keep, Ready: strategy.Wait{For: 20 * time.Minute}})
					d.ID, d.LostBudget = "d-1", 1
					w.run(t, func() {
						time.AfterFunc(5*time.Minute, func() { w.Vanish(blue[0], w.arn) })
						res, err := d.Run(t.Context())
						require.NoError(t, err)
						require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
						time.Sleep(10 * time.Minute)
					})
					require.Equal(t, w.Groups.Members(green), w.Serving(w.arn))
					require.Equal(t, []string{w.arn}, w.balancers(t, green))
					if keep {
						require.Empty(t, w.balancers(t, "web"))
						require.Empty(t, w.Groups.Suspended("web"))
					}
				})
			})
		}
	}
}

// Looks that are older than the copy do not let the original go before the copy has what
// it had.
func TestOriginalWaitsUntilItsCopyIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
		d.ID = "d-1"
		drained, old := false, 0
		w.API.Inject(func(c awsfake.Call) awsfake.Fault {
			drained = drained || c.Operation == "DeregisterTargets"
			if drained && c.Operation == "DescribeAutoScalingGroups" && old < 6 {
				old++
				return awsfake.StaleRead
			}
			return awsfake.NoFault
		})
		w.run(t, func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
			time.Sleep(2 * time.Minute)
		})
		require.Equal(t, 6, old)
		require.Equal(t, []string{"web-d-1"}, w.Groups.Names())
		require.Equal(t, []string{w.arn}, w.balancers(t, "web-d-1"))
		require.Equal(t, w.Groups.Members("web-d-1"), w.Serving(w.arn))
	})
}
