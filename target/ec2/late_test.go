package ec2_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
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

// old lets n looks at groups be from before, once an instance was taken out of traffic.
func (w *world) old(n int) (met *int) {
	drained, met := false, new(int)
	w.API.Inject(func(c awsfake.Call) awsfake.Fault {
		drained = drained || c.Operation == "DeregisterTargets"
		if drained && c.Operation == "DescribeAutoScalingGroups" && *met < n {
			*met++
			return awsfake.StaleRead
		}
		return awsfake.NoFault
	})
	return met
}

// Looks that are older than the copy do not let the original go before the copy has what
// it had.
func TestOriginalWaitsUntilItsCopyIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
		d.ID = "d-1"
		met := w.old(6)
		w.run(t, func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
			time.Sleep(2 * time.Minute)
		})
		require.Equal(t, 6, *met)
		require.Equal(t, []string{"web-d-1"}, w.Groups.Names())
		require.Equal(t, []string{w.arn}, w.balancers(t, "web-d-1"))
		require.Equal(t, w.Groups.Members("web-d-1"), w.Serving(w.arn))
	})
}

// failing is a blue/green deployment of two instances that fails in the replacements at an
// event, and is not rolled back.
func (w *world) failing(t *testing.T, f *ec2.Fleet, at lifecycle.Event) *cutover.Deployment {
	t.Helper()
	d := w.deployment(t, f, strategy.BlueGreen{Ready: strategy.Wait{For: 20 * time.Minute}})
	d.ID, d.Rollback, d.LostBudget = "d-1", rollback.Policy{}, 2
	for _, id := range []string{"i-00000000000000003", "i-00000000000000004"} {
		w.hosts.On(fake.Match{Unit: id, Event: at}, fake.Fail(lifecycle.ScriptFailed))
	}
	return d
}

// Only a deployment that has succeeded takes the traffic of what was launched meanwhile.
func TestC16_OriginalThatServesAfterAFailureStays(t *testing.T) {
	for name, again := range map[string]bool{"the deployment that failed": false, "one in place after it": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				blue := w.scaled(t, "web", 2)
				d := w.failing(t, w.blueGreen(), lifecycle.AfterAllowTraffic) // both groups serve
				gone := func() {
					for _, id := range blue {
						time.AfterFunc(5*time.Minute, func() { w.Vanish(id, w.arn) })
					}
				}
				w.run(t, func() {
					if !again {
						gone()
					}
					res, err := d.Run(t.Context())
					require.NoError(t, err)
					require.Equal(t, "Failed", string(res.Status))
					if again {
						gone()
						w.hosts.On(fake.Match{Event: lifecycle.ApplicationStart}, fake.Delay(10*time.Minute))
						d.ID, d.Strategy = "d-2", strategy.OneAtATime()
						_, err = d.Run(t.Context())
						require.NoError(t, err)
					}
					time.Sleep(10 * time.Minute)
				})
				require.Equal(t, []string{w.arn}, w.balancers(t, "web"))
				require.Subset(t, w.Serving(w.arn), w.Groups.Members("web"))
			})
		})
	}
}

// What a failed deployment has left of its copy can be retired, also when the next one
// has replaced the original.
func TestCopyThatWasLeftIsRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		f := w.blueGreen()
		d := w.failing(t, f, lifecycle.Install)
		w.run(t, func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Failed", string(res.Status))
			left := w.Groups.Members("web-d-1")
			d.ID = "d-2"
			res, err = d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status))
			for _, id := range left {
				require.NoError(t, f.Retire(t.Context(), id))
			}
			time.Sleep(2 * time.Minute)
		})
		require.Equal(t, []string{"web-d-2"}, w.Groups.Names())
		require.Equal(t, []string{w.arn}, w.balancers(t, "web-d-2"))
	})
}

// The copy of a group that was kept, and could not be marked, is an original of the next
// deployment: it goes after its own copy has taken over, whatever old looks show.
func TestOriginalThatIsACopyWaitsToo(t *testing.T) {
	for stale := range 8 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.scaled(t, "web", 2)
			d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{KeepAlive: true})
			d.ID = "d-1"
			detached := false
			w.API.Inject(func(c awsfake.Call) awsfake.Fault {
				detached = detached || c.Operation == "DetachLoadBalancerTargetGroups"
				if detached && c.Operation == "CreateOrUpdateTags" {
					return awsfake.AccessDenied
				}
				return awsfake.NoFault
			})
			w.run(t, func() {
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status))
				w.old(stale)
				d.ID, d.Strategy = "d-2", strategy.BlueGreen{}
				res, err = d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status))
				time.Sleep(3 * time.Minute)
			})
			require.Equal(t, []string{"web", "web-d-2"}, w.Groups.Names(), "%d old looks", stale)
			require.Equal(t, []string{w.arn}, w.balancers(t, "web-d-2"), "%d old looks", stale)
			require.Equal(t, w.Groups.Members("web-d-2"), w.Serving(w.arn), "%d old looks", stale)
		})
	}
}
