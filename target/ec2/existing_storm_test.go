package ec2_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// A5, A6: killed at every write of the journal, another controller brings a deployment
// to a green fleet that was there to the same end.
func TestExistingGreenFleetKilledAtEveryWrite(t *testing.T) {
	for name, c := range map[string]struct {
		groups bool
		keep   bool
		fail   bool
		left   []string // groups
	}{
		"groups":          {groups: true, left: []string{"green"}},
		"groups, kept":    {groups: true, keep: true, left: []string{"blue", "green"}},
		"groups, failing": {groups: true, fail: true, left: []string{"blue", "green"}},
		"tags":            {},
		"tags, failing":   {fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, after := range []bool{false, true} {
				sweep(t, 1, killtest.Every(1, 11), func(t *testing.T, n int) (more bool) {
					w := newWorld(t)
					fleet := func() *ec2.Fleet { return w.discovering(color("blue"), color("green")) }
					var blue, green []string
					if c.groups {
						blue = w.scaled(t, "blue", 3)
						require.NoError(t, w.Group(t.Context(), "green", 3))
						w.pass(t, 3*time.Minute)
						green = w.Groups.Members("green")
						fleet = func() *ec2.Fleet {
							return w.discovering(ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green"}})
						}
					} else {
						blue, green = w.colored("blue", 3), w.colored("green", 3)
					}
					want, status := green, "Succeeded"
					if c.fail {
						w.hosts.On(fake.Match{Event: lifecycle.AfterAllowTraffic}, fake.Fail(lifecycle.ScriptFailed))
						want, status = blue, "Failed"
					}
					w.run(t, func() {
						res, killed := w.kill(t, n, after, fleet, strategy.BlueGreen{KeepAlive: c.keep})
						more = killed
						require.Equal(t, status, string(res.Status), "write %d, after %v: %+v", n, after, res.Failure)
						time.Sleep(5 * time.Minute)
					})
					require.Equal(t, want, w.Serving(w.arn), "write %d, after %v", n, after)
					if c.groups {
						require.Equal(t, c.left, w.Groups.Names(), "write %d, after %v", n, after)
					}
					for _, g := range c.left {
						require.Empty(t, w.Groups.Suspended(g), "write %d, after %v: %s", n, after, g)
					}
					return more
				})
			}
		})
	}
}

// The same with calls that go wrong, and one of the originals that vanishes, for which
// another is launched: what nobody serves from any more has no load balancers in the end,
// and what serves has them.
func TestStormExistingGreenGroup(t *testing.T) {
	for seed := range uint64(seeds(t, 12)) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			blue := w.scaled(t, "blue", 8)
			require.NoError(t, w.Group(t.Context(), "green", 8))
			w.pass(t, 3*time.Minute)
			green := w.Groups.Members("green")
			w.API.Inject(storm(seed))
			f := w.discovering(ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green"}})
			d := w.deployment(t, f, strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}, KeepAlive: seed%2 == 0})
			d.LostBudget = 1
			fewest := w.run(t, func() {
				time.AfterFunc(time.Duration(seed%60)*5*time.Second, func() { w.Vanish(blue[seed%8], w.arn) })
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "seed %d: %+v", seed, res.Failure)
				w.API.Inject(nil)
				time.Sleep(10 * time.Minute)
			})
			require.GreaterOrEqual(t, fewest, 7, "seed %d", seed)
			require.Equal(t, green, w.Serving(w.arn), "seed %d", seed)
			require.Equal(t, []string{w.arn}, w.balancers(t, "green"), "seed %d", seed)
			if seed%2 == 0 {
				require.Empty(t, w.balancers(t, "blue"), "seed %d", seed)
				require.Empty(t, w.Groups.Suspended("blue"), "seed %d", seed)
			}
		})
	}
}
