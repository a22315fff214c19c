package autoscaling_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/autoscaling"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
)

// front is a load balancer whose instances are healthy as soon as they are registered.
type front map[string]bool

func (f front) Register(_, id string)     { f[id] = true }
func (f front) Deregister(_, id string)   { delete(f, id) }
func (f front) Healthy(_, id string) bool { return f[id] }
func (f front) suspend(c *sdk.Client, t *testing.T, p ...string) {
	t.Helper()
	_, err := c.SuspendProcesses(t.Context(), &sdk.SuspendProcessesInput{AutoScalingGroupName: aws.String("web"), ScalingProcesses: p})
	require.NoError(t, err)
}

func group(t *testing.T) (*autoscaling.Groups, *sdk.Client, front, *machines.World) {
	t.Helper()
	api, w, f := &awsfake.API{}, &machines.World{Boot: 10 * time.Second}, front{}
	g := autoscaling.New(api, w, f)
	c := sdk.NewFromConfig(api.Config())
	_, err := c.CreateAutoScalingGroup(t.Context(), &sdk.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(1), MaxSize: aws.Int32(9),
		DesiredCapacity: aws.Int32(3), LaunchConfigurationName: aws.String("web"), HealthCheckType: aws.String("ELB"), AvailabilityZones: []string{"a", "b", "c"}, TargetGroupARNs: []string{"arn:web"}})
	require.NoError(t, err)
	settle(g, time.Minute)
	require.Len(t, f, 3)
	return g, c, f, w
}

func settle(g *autoscaling.Groups, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		g.Settle()
	}
}

func TestLostInstancesAreReplacedUnlessLaunchIsSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c, f, w := group(t)
		w.Terminate(g.Members("web")[0])
		settle(g, time.Minute)
		require.Len(t, g.Members("web"), 3)
		f.suspend(c, t, "Launch")
		w.Terminate(g.Members("web")[0])
		settle(g, time.Minute)
		require.Len(t, g.Members("web"), 2)
	})
}

// A deregistered instance is unhealthy, and stays so: it is replaced as soon as
// replacing is resumed, unless health checks were suspended too.
func TestDeregisteredInstancesAreReplaced(t *testing.T) {
	for suspended, kept := range map[string]bool{"": false, "ReplaceUnhealthy": false, "HealthCheck": true} {
		synctest.Test(t, func(t *testing.T) {
			g, c, f, _ := group(t)
			if suspended != "" {
				f.suspend(c, t, suspended)
			}
			id := g.Members("web")[0]
			f.Deregister("arn:web", id)
			settle(g, time.Minute)
			require.Equal(t, suspended != "", contains(g.Members("web"), id))
			f.Register("arn:web", id)
			_, err := c.ResumeProcesses(t.Context(), &sdk.ResumeProcessesInput{AutoScalingGroupName: aws.String("web")})
			require.NoError(t, err)
			settle(g, time.Minute)
			require.Equal(t, kept, contains(g.Members("web"), id), suspended)
			require.Len(t, g.Members("web"), 3)
		})
	}
}

func TestHooksHoldUntilTheyAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c, f, _ := group(t)
		_, err := c.PutLifecycleHook(t.Context(), &sdk.PutLifecycleHookInput{AutoScalingGroupName: aws.String("web"), LifecycleHookName: aws.String("h"),
			LifecycleTransition: aws.String("autoscaling:EC2_INSTANCE_LAUNCHING"), HeartbeatTimeout: aws.Int32(120), DefaultResult: aws.String("CONTINUE")})
		require.NoError(t, err)
		g.Alarm("web", 1)
		settle(g, time.Minute)
		require.Len(t, g.Members("web"), 4)
		require.Len(t, f, 3, "it waits")
		settle(g, 2*time.Minute)
		require.Len(t, f, 4, "its time is over")
	})
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}
