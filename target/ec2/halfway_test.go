package ec2_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// Behind two load balancers, a controller may be cut off when an instance is in one of
// them. That is nobody else's work: another controller goes on without asking.
func TestCutOffBetweenTwoLoadBalancers(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{
		"in place":         strategy.HalfAtATime(),
		"blue/green":       strategy.BlueGreen{},
		"blue/green, kept": strategy.BlueGreen{KeepAlive: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sweep(t, 0, killtest.Every(1, 3), func(t *testing.T, n int) (more bool) {
				w := newWorld(t)
				w.Classic.Add("old", 20*time.Second)
				w.behind = []string{"old"}
				w.scaled(t, "web", 3)
				_, err := w.AutoScaling.PutWarmPool(t.Context(), &as.PutWarmPoolInput{AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(1)})
				require.NoError(t, err)
				fleet := func() *ec2.Fleet {
					f := w.fleet(ec2.Selection{Groups: []string{"web"}})
					f.Balancers.Classic = w.behind
					if strings.HasPrefix(name, "blue/green") {
						f.Green = &ec2.Green{}
					}
					return f
				}
				w.run(t, func() {
					_, more = w.cutOff(t, n, fleet, s)
					time.Sleep(2 * time.Minute)
				})
				names := w.Groups.Names()
				last := w.group(t, names[len(names)-1])
				require.Len(t, last.Instances, 3, "call %d", n)
				for _, i := range last.Instances {
					require.True(t, w.Healthy(w.arn, *i.InstanceId) && w.Healthy("old", *i.InstanceId), "call %d: %s", n, *i.InstanceId)
				}
				require.Equal(t, []string{w.arn}, last.TargetGroupARNs, "call %d", n)
				require.Equal(t, w.behind, last.LoadBalancerNames, "call %d", n)
				require.NotNil(t, last.WarmPoolConfiguration, "call %d", n)
				return more
			})
		})
	}
}

// A look that is older than the draining does not keep an instance from being retired.
func TestRetireIsNotRefusedForOneOldLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		f := w.blueGreen()
		w.run(t, func() {
			made, err := f.Provision(t.Context(), "d-1", 1)
			require.NoError(t, err)
			require.NoError(t, f.Balancers.SetWeight(t.Context(), made[0].ID, 100))
			require.ErrorContains(t, f.Retire(t.Context(), made[0].ID), "takes traffic")
			require.NoError(t, f.Balancers.SetWeight(t.Context(), made[0].ID, 0))
			time.Sleep(time.Minute)
			old := true
			w.API.Inject(func(c awsfake.Call) awsfake.Fault {
				if c.Operation == "DescribeTargetHealth" && old {
					old = false
					return awsfake.StaleRead
				}
				return awsfake.NoFault
			})
			require.NoError(t, f.Retire(t.Context(), made[0].ID))
			require.False(t, old)
			require.False(t, w.Machines.Up(made[0].ID))
		})
	})
}
