package ec2_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/tags"
)

// colored launches n machines of a color; blue ones serve.
func (w *world) colored(color string, n int) (ids []string) {
	for i := range n {
		id := w.Machines.Launch(ec2world.Zones[i%3], map[string]string{"color": color})
		w.host(id)
		ids = append(ids, id)
	}
	time.Sleep(time.Minute)
	for _, id := range ids {
		if color == "blue" {
			w.Register(w.arn, id)
		}
	}
	time.Sleep(time.Minute)
	return ids
}

func color(name string) ec2.Selection {
	return ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "color", Value: name}}}}
}

// discovering is a fleet whose replacements are there already.
func (w *world) discovering(blue, green ec2.Selection) *ec2.Fleet {
	f := w.fleet(blue)
	f.Green = &ec2.Green{Selection: green}
	return f
}

// A green fleet that is there already takes over. The blue one goes, or stays without
// traffic, and can take over again.
func TestExistingGreenFleet(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			blue, green := w.colored("blue", 4), w.colored("green", 3)
			var between []string
			fewest := w.run(t, func() {
				d := w.deployment(t, w.discovering(color("blue"), color("green")), strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}, KeepAlive: keep})
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				between = w.Serving(w.arn)
				if keep {
					d = w.deployment(t, w.discovering(color("green"), color("blue")), strategy.BlueGreen{KeepAlive: true})
					res, err = d.Run(t.Context())
					require.NoError(t, err)
					require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				}
				time.Sleep(time.Minute)
			})
			require.Equal(t, green, between)
			require.GreaterOrEqual(t, fewest, 3)
			if keep {
				require.Equal(t, append(blue, green...), w.Machines.IDs())
				require.Equal(t, blue, w.Serving(w.arn))
			} else {
				require.Equal(t, green, w.Machines.IDs())
			}
		})
	}
}

// A failure, wherever it comes, gives the traffic back to the blue fleet. The green one
// stays: nobody made it for the deployment.
func TestExistingGreenFleetFails(t *testing.T) {
	for _, event := range []lifecycle.Event{lifecycle.Install, lifecycle.BeforeAllowTraffic, lifecycle.AfterAllowTraffic} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			blue, green := w.colored("blue", 3), w.colored("green", 3)
			w.hosts.On(fake.Match{Event: event}, fake.Fail(lifecycle.ScriptFailed))
			fewest := w.run(t, func() {
				res, err := w.deployment(t, w.discovering(color("blue"), color("green")), strategy.BlueGreen{}).Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Failed", string(res.Status))
				require.NotNil(t, res.Rollback, "%+v", res)
				require.Equal(t, "Succeeded", string(res.Rollback.Status), "%+v", res.Rollback)
				time.Sleep(time.Minute)
			})
			require.GreaterOrEqual(t, fewest, 3)
			require.Equal(t, blue, w.Serving(w.arn), event)
			require.Equal(t, append(blue, green...), w.Machines.IDs())
		})
	}
}

// Both fleets are Auto Scaling groups: the blue group goes with its last instance, and
// what was suspended of it is given back if it stays.
func TestExistingGreenGroup(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			blue := w.scaled(t, "blue", 3)
			require.NoError(t, w.Group(t.Context(), "green", 3)) // without load balancers
			w.pass(t, 3*time.Minute)
			green := w.Groups.Members("green")
			f := w.discovering(ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green"}})
			w.run(t, func() {
				res, err := w.deployment(t, f, strategy.BlueGreen{KeepAlive: keep}).Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				time.Sleep(2 * time.Minute)
			})
			require.Equal(t, green, w.Serving(w.arn))
			require.Equal(t, []string{w.arn}, w.balancers(t, "green"), "what it launches is registered")
			if keep {
				require.Equal(t, []string{"blue", "green"}, w.Groups.Names())
				require.Equal(t, blue, w.Groups.Members("blue"))
				require.Empty(t, w.Groups.Suspended("blue"))
				require.Empty(t, w.balancers(t, "blue"))
			} else {
				require.Equal(t, []string{"green"}, w.Groups.Names())
			}
		})
	}
}

// What has failed in a green group stays out of traffic when the group gets the load
// balancers of the blue one. Nothing of it stays suspended, wherever the controller was
// cut off.
func TestAGreenGroupIsNotRegisteredAsAWhole(t *testing.T) {
	for _, keep := range []bool{false, true} {
		sweep(t, 0, killtest.Every(1, 13), func(t *testing.T, n int) (more bool) {
			w := newWorld(t)
			w.scaled(t, "blue", 4)
			require.NoError(t, w.Group(t.Context(), "green", 4))
			w.pass(t, 3*time.Minute)
			green := w.Groups.Members("green")
			bad, good := green[0], green[1:]
			w.hosts.On(fake.Match{Event: lifecycle.Install, Unit: bad}, fake.Fail(lifecycle.ScriptFailed))
			fleet := func() *ec2.Fleet {
				return w.discovering(ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green"}})
			}
			fewest := w.run(t, func() {
				var res *cutover.Result
				res, more = w.cutOff(t, n, fleet, strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}, KeepAlive: keep})
				require.Equal(t, "Succeeded", string(res.Status), "call %d: %+v", n, res)
			})
			require.GreaterOrEqual(t, fewest, 3, "call %d", n)
			require.NotContains(t, w.ELB.Targets(w.arn), bad, "call %d", n)
			require.Subset(t, w.Serving(w.arn), good, "call %d", n)
			require.Equal(t, []string{w.arn}, w.balancers(t, "green"), "call %d: what it launches is registered", n)
			require.Empty(t, w.Groups.Suspended("green"), "call %d", n)
			require.Empty(t, ours(w.group(t, "green")), "call %d", n)
			return more
		})
	}
}

// balancers are the target groups that a group is behind.
func (w *world) balancers(t *testing.T, group string) []string {
	out, err := w.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	require.NoError(t, err)
	return out.AutoScalingGroups[0].TargetGroupARNs
}

// A green fleet that is not there, or that is the blue one, is an error before anything
// happens.
func TestExistingGreenFleetThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		blue := w.colored("blue", 2)
		before := len(w.API.Calls())
		for name, tc := range map[string]struct {
			green ec2.Selection
			code  lifecycle.Code
			text  string
		}{
			"nothing":            {color("green"), lifecycle.NoUnits, "color=green"},
			"the blue":           {color("blue"), lifecycle.TargetFailed, blue[0]},
			"a group that isn't": {ec2.Selection{Groups: []string{"green"}}, lifecycle.NoUnits, "green"},
		} {
			res, err := w.deployment(t, w.discovering(color("blue"), tc.green), strategy.BlueGreen{}).Run(t.Context())
			if err == nil {
				err = res.Err()
			}
			require.Error(t, err, name)
			_, err = w.discovering(color("blue"), tc.green).Units(t.Context())
			code, text := codeAndText(err)
			require.Equal(t, tc.code, code, "%s: %v", name, err)
			require.Contains(t, text, tc.text)
		}
		for _, c := range w.API.Calls()[before:] {
			require.Contains(t, c.Operation, "Describe")
		}
		require.Equal(t, blue, w.Serving(w.arn))

		f := w.discovering(color("blue"), ec2.Selection{Groups: []string{"green"}})
		f.AutoScaling = nil
		_, err := f.Units(t.Context())
		require.ErrorContains(t, err, "Fleet.AutoScaling")
	})
}

// A green group that is not there is said, also if another one is.
func TestEveryGreenGroupMustBeThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "blue", 2)
		require.NoError(t, w.Group(t.Context(), "green", 2))
		w.pass(t, 3*time.Minute)
		_, err := w.discovering(ec2.Selection{Groups: []string{"blue"}}, ec2.Selection{Groups: []string{"green", "gren"}}).Units(t.Context())
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.NoUnits, code, "%v", err)
		require.Contains(t, text, `"gren"`)
	})
}
