package ec2_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// group reads an Auto Scaling group.
func (w *world) group(t *testing.T, name string) types.AutoScalingGroup {
	t.Helper()
	out, err := w.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	require.NoError(t, err)
	require.Len(t, out.AutoScalingGroups, 1, name)
	return out.AutoScalingGroups[0]
}

// minimum sets a group's minimum size.
func (w *world) minimum(t *testing.T, name string, n int32) {
	t.Helper()
	_, err := w.AutoScaling.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: &n})
	require.NoError(t, err)
}

// ours lists the tags that deployments have set on a group.
func ours(g types.AutoScalingGroup) (keys []string) {
	for _, t := range g.Tags {
		if strings.HasPrefix(*t.Key, "cutover:") {
			keys = append(keys, *t.Key)
		}
	}
	return keys
}

// cutOff runs a deployment whose controller is cut off at its n-th call of the AWS APIs:
// that is done, its answer never comes, and nothing more reaches AWS. Another controller
// ends the deployment. It reports whether there was such a call.
func (w *world) cutOff(t *testing.T, n int, fleet func() *ec2.Fleet, s strategy.Strategy) (res *cutover.Result, cut bool) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	first := len(w.API.Calls())
	w.API.Inject(func(c awsfake.Call) awsfake.Fault {
		switch {
		case cut:
			return awsfake.AccessDenied
		case c.N == first+n:
			cut = true
			cancel(errKilled)
			return awsfake.LostReply
		}
		return awsfake.NoFault
	})
	d := w.deployment(t, fleet(), s)
	d.Journal, d.ID = &journal.Memory{}, "d-1"
	res, err := d.Run(ctx)
	w.API.Inject(nil)
	if err == nil {
		return res, cut
	}
	require.ErrorIs(t, err, errKilled)
	again := w.deployment(t, fleet(), s)
	again.Journal, again.ID = d.Journal, "d-1"
	return w.goOn(t, again), true
}

// Wherever a controller is cut off, another one brings the deployment to the same end:
// the group that serves has all that the original had, nothing is left suspended, and
// nothing is done twice.
func TestCutOffAtEveryCall(t *testing.T) {
	for name, c := range map[string]struct {
		keep   bool
		fault  *fake.Match
		groups []string
	}{
		"blue/green":               {groups: []string{"web-d-1"}},
		"blue/green, kept":         {keep: true, groups: []string{"web", "web-d-1"}},
		"blue/green, failing late": {fault: &fake.Match{Deployment: "d-1", Event: lifecycle.AfterAllowTraffic}, groups: []string{"web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sweep(t, 0, killtest.Every(1, 13), func(t *testing.T, n int) (more bool) {
				w := newWorld(t)
				w.scaled(t, "web", 4)
				w.minimum(t, "web", 3)
				if c.fault != nil {
					w.hosts.On(*c.fault, fake.Fail(lifecycle.ScriptFailed))
				}
				fewest := w.run(t, func() {
					_, more = w.cutOff(t, n, w.blueGreen, strategy.BlueGreen{KeepAlive: c.keep})
					time.Sleep(5 * time.Minute)
				})
				require.GreaterOrEqual(t, fewest, 4, "call %d", n)
				require.Equal(t, c.groups, w.Groups.Names(), "call %d", n)
				for _, name := range c.groups {
					require.Empty(t, w.Groups.Suspended(name), "call %d", n)
					require.NotContains(t, ours(w.group(t, name)), "cutover:held", "call %d", n)
				}
				last := w.group(t, c.groups[len(c.groups)-1])
				require.Equal(t, []string{w.arn}, last.TargetGroupARNs, "call %d", n)
				require.Equal(t, int32(3), *last.MinSize, "call %d", n)
				require.Len(t, w.Serving(w.arn), 4, "call %d", n)
				if c.keep {
					require.Empty(t, w.group(t, "web").TargetGroupARNs, "call %d: what it launches gets no traffic", n)
				}
				if c.fault != nil {
					require.Empty(t, ours(last), "call %d", n)
				}
				done := w.hosts.Done()
				for i, s := range done {
					require.Equal(t, i, slices.Index(done, s), "call %d: %s was done twice", n, s)
				}
				return more
			})
		})
	}
}

// The way back leaves the original as it was. Its copy was smaller than its minimum,
// since one of its instances did not serve.
func TestRollbackLeavesTheOriginalItsSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.scaled(t, "web", 4)
		w.minimum(t, "web", 4)
		w.hosts.On(fake.Match{Event: lifecycle.AfterAllowTraffic}, fake.Fail(lifecycle.ScriptFailed))
		_, err := w.AutoScaling.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String("web"), ScalingProcesses: []string{"HealthCheck"}})
		require.NoError(t, err)
		w.Deregister(w.arn, ids[0])
		w.run(t, func() {
			time.Sleep(time.Minute)
			res, err := w.deployment(t, w.blueGreen(), strategy.BlueGreen{}).Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Rollback.Status), "%+v", res.Rollback)
			time.Sleep(2 * time.Minute)
		})
		g := w.group(t, "web")
		require.Equal(t, [3]int32{4, 4, 10}, [3]int32{*g.MinSize, *g.DesiredCapacity, *g.MaxSize})
		require.Empty(t, ours(g))
		require.Equal(t, []string{"HealthCheck"}, w.Groups.Suspended("web"))
	})
}

// blinkered is Auto Scaling whose answers show, a few times, only some instances.
type blinkered struct {
	ec2.CopyClient
	times int
	shown []string
}

func (b *blinkered) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	out, err := b.CopyClient.DescribeAutoScalingGroups(ctx, in, o...)
	if err != nil || b.times == 0 {
		return out, err
	}
	b.times--
	for i := range out.AutoScalingGroups {
		out.AutoScalingGroups[i].Instances = slices.DeleteFunc(slices.Clone(out.AutoScalingGroups[i].Instances),
			func(m types.Instance) bool { return !slices.Contains(b.shown, *m.InstanceId) })
	}
	return out, err
}

// One look may be older than the group. Nobody is terminated because of what it does
// not show.
func TestGroupsAreNotDeletedByOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 3)
		b := &blinkered{CopyClient: w.AutoScaling}
		f := w.blueGreen()
		f.AutoScaling = b
		w.run(t, func() {
			made, err := f.Provision(t.Context(), "d-1", 3)
			require.NoError(t, err)
			b.times, b.shown = 1, []string{made[0].ID}
			require.NoError(t, f.Retire(t.Context(), made[0].ID))
			require.Len(t, w.Groups.Members("web-d-1"), 2)
			b.times, b.shown = 2, nil
			require.NoError(t, f.Settle(t.Context(), nil, false))
		})
		require.Equal(t, []string{"web", "web-d-1"}, w.Groups.Names())
		require.Len(t, w.Groups.Members("web-d-1"), 2)
		require.Empty(t, w.Groups.Suspended("web-d-1"))
	})
}

// A look that shows what the deployment before had suspended says nothing about now.
func TestProcessesAreSuspendedWhateverAnOldLookShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		d := w.deployment(t, w.fleet(ec2.Selection{Groups: []string{"web"}}), strategy.AllAtOnce())
		d.Rollback.OnFailure = false
		during := make(chan []string, 1)
		w.run(t, func() {
			_, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Empty(t, w.Groups.Suspended("web"))
			over := time.Now().Add(time.Minute)
			w.API.Inject(func(c awsfake.Call) awsfake.Fault {
				if c.Operation == "DescribeAutoScalingGroups" && time.Now().Before(over) {
					return awsfake.StaleRead
				}
				return awsfake.NoFault
			})
			w.hosts.On(fake.Match{Event: lifecycle.Install}, fake.Delay(10*time.Minute))
			time.AfterFunc(9*time.Minute, func() { during <- w.Groups.Suspended("web") })
			_, err = d.Run(t.Context())
			require.NoError(t, err)
		})
		require.Len(t, <-during, 5)
		require.Empty(t, w.Groups.Suspended("web"))
	})
}

// Whoever sees only the copy that has taken over may name it.
func TestACopyMayBeNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		w.run(t, func() {
			d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
			d.ID = "d-1"
			_, err := d.Run(t.Context())
			require.NoError(t, err)
			before := w.API.Counts()["Auto Scaling.SuspendProcesses"]

			f := w.blueGreen()
			f.Groups, f.Green = []string{"web-d-1"}, nil
			d = w.deployment(t, f, strategy.AllAtOnce())
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status))
			require.Greater(t, w.API.Counts()["Auto Scaling.SuspendProcesses"], before)

			f = w.blueGreen()
			f.Groups = []string{"web-d-1"}
			d = w.deployment(t, f, strategy.BlueGreen{})
			d.ID = "d-2"
			res, err = d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res.Failure)
			time.Sleep(2 * time.Minute)
		})
		require.Equal(t, []string{"web-d-1-d-2"}, w.Groups.Names())
		require.Empty(t, w.Groups.Suspended("web-d-1-d-2"))
		require.Equal(t, []string{w.arn}, w.group(t, "web-d-1-d-2").TargetGroupARNs)
	})
}

// Asked again after a crash, what vanished meanwhile is made anew.
func TestProvisionMakesWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 3)
		w.run(t, func() {
			made, err := w.blueGreen().Provision(t.Context(), "d-1", 3)
			require.NoError(t, err)
			w.Machines.Terminate(made[0].ID)
			time.Sleep(time.Minute)
			again, err := w.blueGreen().Provision(t.Context(), "d-1", 3)
			require.NoError(t, err)
			require.Len(t, again, 3)
			require.NotContains(t, again, made[0])
		})
		require.Contains(t, w.Groups.Suspended("web-d-1"), "Launch", "nobody would deploy to more")
	})
}

// An instance is terminated once, and the group wants one fewer once, though the answer
// is lost.
func TestTerminationsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 3)
		f := w.blueGreen()
		w.run(t, func() {
			made, err := f.Provision(t.Context(), "d-1", 3)
			require.NoError(t, err)
			lost := false
			w.API.Inject(func(c awsfake.Call) awsfake.Fault {
				if c.Operation == "TerminateInstanceInAutoScalingGroup" && !lost {
					lost = true
					return awsfake.LostReply
				}
				return awsfake.NoFault
			})
			require.NoError(t, f.Retire(t.Context(), made[0].ID))
			require.True(t, lost)
			time.Sleep(2 * time.Minute)
		})
		require.Len(t, w.Groups.Members("web-d-1"), 2)
		require.Equal(t, int32(2), *w.group(t, "web-d-1").DesiredCapacity)
	})
}

// forgetful is EC2 that does not list an instance the first time.
type forgetful struct {
	ec2.Instances
	id string
}

func (f *forgetful) Describe(ctx context.Context, q ec2.Query) ([]ec2.Instance, error) {
	found, err := f.Instances.Describe(ctx, q)
	id := f.id
	f.id = ""
	return slices.DeleteFunc(found, func(i ec2.Instance) bool { return i.ID == id }), err
}

// An instance that is not in one answer is not gone.
func TestRetireLooksTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		f := w.blueGreen()
		w.run(t, func() {
			made, err := f.Provision(t.Context(), "d-1", 1)
			require.NoError(t, err)
			f.Instances = &forgetful{f.Instances, made[0].ID}
			require.NoError(t, f.Retire(t.Context(), made[0].ID))
			require.False(t, w.Machines.Up(made[0].ID))
		})
	})
}

// Blue/green moves traffic: without load balancers nothing is retired, nor made.
func TestBlueGreenNeedsBalancers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.scaled(t, "web", 2)
		f := w.blueGreen()
		f.Balancers = nil
		require.ErrorContains(t, f.Retire(t.Context(), ids[0]), "Fleet.Balancers")
		_, err := f.Provision(t.Context(), "d-1", 1)
		require.ErrorContains(t, err, "Fleet.Balancers")
		require.True(t, w.Machines.Up(ids[0]))
	})
}

// What an operator has suspended in the original stays suspended in what takes over,
// and nothing else.
func TestWhatPeopleSuspendStaysSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		_, err := w.AutoScaling.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String("web"), ScalingProcesses: []string{"AZRebalance", "Launch"}})
		require.NoError(t, err)
		w.run(t, func() {
			d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
			d.ID = "d-1"
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res.Failure)
		})
		require.Equal(t, []string{"AZRebalance", "Launch"}, w.Groups.Suspended("web-d-1"))
		require.NotContains(t, ours(w.group(t, "web-d-1")), "cutover:held")
	})
}
