package ec2_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	elbv1 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	v1types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// gaps is what the emulator does otherwise than AWS, and what is left out over the wire
// because of it. All of it is covered in the process.
var gaps = map[string]string{
	"health":      "targets are healthy at once and gone at once: there is nothing to wait for, and nobody is sick",
	"suspended":   "suspended processes are recorded and not honoured",
	"hooks":       "instances never wait for a lifecycle hook, and actions cannot be completed",
	"run command": "nothing is run: every command succeeds without output",
	"invocations": "ListCommandInvocations is missing",
	"deregister":  "a target that is not registered is an error of DeregisterTargets",
	"topics":      "notification configurations are missing",
}

// emulated is a region of the emulator with an Auto Scaling group and a classic
// load balancer. Target groups need a VPC, which needs the EC2 client: examples/ec2 has
// them.
type emulated struct {
	scaling *autoscaling.Client
	v1      *elbv1.Client
}

func newEmulated(t *testing.T, s *moto.Server) *emulated {
	t.Helper()
	e := &emulated{scaling: autoscaling.NewFromConfig(s.Config()), v1: elbv1.NewFromConfig(s.Config())}
	ctx := t.Context()
	_, err := e.scaling.CreateLaunchConfiguration(ctx, &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: aws.String("web"), ImageId: aws.String("ami-12c6146b"), InstanceType: aws.String("t2.micro")})
	require.NoError(t, err)
	_, err = e.v1.CreateLoadBalancer(ctx, &elbv1.CreateLoadBalancerInput{LoadBalancerName: aws.String("old"), AvailabilityZones: []string{"eu-central-1a"},
		Listeners: []v1types.Listener{{LoadBalancerPort: 80, InstancePort: aws.Int32(80), Protocol: aws.String("http")}}})
	require.NoError(t, err)
	_, err = e.scaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchConfigurationName: aws.String("web"),
		MinSize: aws.Int32(1), MaxSize: aws.Int32(4), DesiredCapacity: aws.Int32(2), AvailabilityZones: []string{"eu-central-1a"}})
	require.NoError(t, err)
	return e
}

// directed is EC2 as the Auto Scaling API of the emulator shows it, so that this
// package's tests need not compile the EC2 client.
type directed struct{ e *emulated }

func (d directed) Describe(ctx context.Context, q ec2.Query) ([]ec2.Instance, error) {
	out, err := d.e.scaling.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{})
	if err != nil {
		return nil, err
	}
	var all []ec2.Instance
	for _, i := range out.AutoScalingInstances {
		if len(q.IDs) == 0 || slices.Contains(q.IDs, *i.InstanceId) {
			all = append(all, ec2.Instance{ID: *i.InstanceId, State: "running", Zone: *i.AvailabilityZone, Group: *i.AutoScalingGroupName})
		}
	}
	return all, nil
}

func (d directed) Terminate(context.Context, []string) error { return nil }

// The same contract over the wire, as far as the emulator goes.
func TestMotoKeepsTheContractOfTargets(t *testing.T) {
	s := moto.Start(t, "MOTO_EC2_LOAD_DEFAULT_AMIS=false")
	for name, why := range gaps {
		t.Logf("emulator gap: %s: %s", name, why)
	}
	e := newEmulated(t, s)
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		hosts := fake.FleetOf()
		open := func() *ec2.Fleet {
			return &ec2.Fleet{Selection: ec2.Selection{Groups: []string{"web"}}, Instances: directed{e}, AutoScaling: e.scaling,
				Reach:     ec2.HostFunc(func(i ec2.Instance) target.Host { return fakeOf{hosts, i} }),
				Balancers: &ec2.Balancers{Classic: []string{"old"}, V1: e.v1, Poll: 10 * time.Millisecond, Gather: -1}}
		}
		first := open()
		units, err := first.Units(t.Context())
		require.NoError(t, err)
		hosts.SetUnits(units...)
		return &targettest.Harness{Target: first, Traffic: first.Balancers, Events: []lifecycle.Event{lifecycle.Install, lifecycle.BlockTraffic, lifecycle.AllowTraffic},
			Job: &target.Job{Group: "web"}, Reopen: func() (target.Target, error) { return open(), nil },
			Slow: func(s lifecycle.Step) { hosts.On(fake.Match{Unit: s.Unit, Event: s.Event}, fake.Hang()) },
			Fail: func(s lifecycle.Step) {
				hosts.On(fake.Match{Unit: s.Unit, Event: s.Event}, fake.Fail(lifecycle.InstallFailed))
			},
		}
	})

	// What was suspended is suspended, written down, and given back.
	f := &ec2.Fleet{Selection: ec2.Selection{Groups: []string{"web"}}, Instances: directed{e}, AutoScaling: e.scaling}
	g := e.group(t)
	require.Len(t, g.SuspendedProcesses, 5)
	require.NoError(t, f.Settle(t.Context(), nil, false))
	g = e.group(t)
	require.Empty(t, g.SuspendedProcesses)
	require.Empty(t, g.Tags)
}

func (e *emulated) group(t *testing.T) (g struct {
	SuspendedProcesses, Tags []string
}) {
	t.Helper()
	out, err := e.scaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"web"}})
	require.NoError(t, err)
	for _, p := range out.AutoScalingGroups[0].SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, *p.ProcessName)
	}
	for _, tag := range out.AutoScalingGroups[0].Tags {
		g.Tags = append(g.Tags, *tag.Key)
	}
	return g
}

// lacking answers for what the emulator lacks.
type lacking struct{ *autoscaling.Client }

func (lacking) DescribeNotificationConfigurations(context.Context, *autoscaling.DescribeNotificationConfigurationsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeNotificationConfigurationsOutput, error) {
	return &autoscaling.DescribeNotificationConfigurationsOutput{}, nil
}

// A group is copied, found again, and ended, over the wire.
func TestMotoCopiesGroups(t *testing.T) {
	e := newEmulated(t, moto.Start(t, "MOTO_EC2_LOAD_DEFAULT_AMIS=false"))
	open := func() *ec2.Fleet {
		return &ec2.Fleet{Selection: ec2.Selection{Groups: []string{"web"}}, Green: &ec2.Green{}, Instances: directed{e}, AutoScaling: lacking{e.scaling},
			Reach:     ec2.HostFunc(func(ec2.Instance) target.Host { return nil }),
			Balancers: &ec2.Balancers{Classic: []string{"old"}, V1: e.v1, Poll: 10 * time.Millisecond, Gather: -1}}
	}
	f := open()
	made, err := f.Provision(t.Context(), "d-1", 2)
	require.NoError(t, err)
	again, err := open().Provision(t.Context(), "d-1", 2)
	require.NoError(t, err)
	require.Equal(t, made, again)
	all, err := open().Units(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 4, "another process finds the copy by its tag")

	// Traffic moves, and the copy takes over.
	for _, u := range made {
		require.NoError(t, f.Balancers.SetWeight(t.Context(), u.ID, target.Full))
	}
	for _, u := range all {
		if u.Role == lifecycle.OriginalRole {
			require.NoError(t, f.Retire(t.Context(), u.ID))
		}
	}
	require.NoError(t, f.Settle(t.Context(), nil, false))
	out, err := e.scaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	require.NoError(t, err)
	require.Len(t, out.AutoScalingGroups, 1)
	require.Equal(t, "web-d-1", *out.AutoScalingGroups[0].AutoScalingGroupName)
	require.Equal(t, int32(1), *out.AutoScalingGroups[0].MinSize)
	require.Empty(t, out.AutoScalingGroups[0].SuspendedProcesses)
}
