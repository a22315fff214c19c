package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
)

// The demonstration, in virtual time.
func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), nil, &out, &errs), "%s%s", &out, &errs)
		require.Contains(t, out.String(), "All went as told")
		require.Empty(t, errs.String())
	})
}

func TestPlanOfTheDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), []string{"-plan", "-json"}, &out, &errs), "%s%s", &out, &errs)
		var got map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.Contains(t, string(got["controllerPolicy"]), "elasticloadbalancing:RegisterTargets")
		require.Contains(t, string(got["hostPolicy"]), "ssm:UpdateInstanceInformation")
		require.Contains(t, string(got["plan"]), "HalfAtATime")
	})
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range []string{"-resume", "-group web", "-revision x", "-revision x -tag a=b", "-revision x -bucket b -tag a=b -blue-green",
		"-revision x -bucket b -group web -strategy nonsense", "more"} {
		var out, errs bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), strings.Fields(args), &out, &errs), args)
		require.Contains(t, errs.String(), "-help")
	}
}

// Over the wire, to an emulator: real files in the directories that stand for instances.
func TestEmulator(t *testing.T) {
	server := moto.Start(t, "MOTO_EC2_LOAD_DEFAULT_AMIS=false")
	c := ec2.NewFromConfig(server.Config())
	made, err := c.RunInstances(t.Context(), &ec2.RunInstancesInput{MinCount: aws.Int32(3), MaxCount: aws.Int32(3), ImageId: aws.String("ami-12c6146b"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("role"), Value: aws.String("web")}}}}})
	require.NoError(t, err)
	targetGroup(t, server, *made.Instances[0].VpcId, *made.Instances[0].SubnetId)

	root, rev := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(rev, "appspec.yml"), []byte("version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(rev, "page.txt"), []byte("hello"), 0o644))
	args := []string{"-revision", rev, "-root", root, "-endpoint", server.URL, "-region", "eu-central-1", "-tag", "role=web", "-target-group", "web", "-strategy", "all"}
	var out, errs bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), append(args, "-plan"), &out, &errs), "%s%s", &out, &errs)
	out.Reset()
	require.Equal(t, exitOK, run(t.Context(), args, &out, &errs), "%s%s", &out, &errs)
	for _, i := range made.Instances {
		data, err := os.ReadFile(filepath.Join(root, "hosts", *i.InstanceId, "srv/app/page.txt"))
		require.NoError(t, err)
		require.Equal(t, "hello", string(data))
	}
	require.Contains(t, out.String(), "RegisterTargets")
}

// targetGroup makes a target group that a listener leads to.
func targetGroup(t *testing.T, server *moto.Server, vpc, subnet string) {
	t.Helper()
	v2 := elb.NewFromConfig(server.Config())
	g, err := v2.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, VpcId: &vpc})
	require.NoError(t, err)
	other, err := ec2.NewFromConfig(server.Config()).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	require.NoError(t, err)
	subnets := []string{subnet}
	for _, s := range other.Subnets {
		if *s.VpcId == vpc && *s.SubnetId != subnet {
			subnets = append(subnets, *s.SubnetId)
			break
		}
	}
	lb, err := v2.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: subnets})
	require.NoError(t, err)
	_, err = v2.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: g.TargetGroups[0].TargetGroupArn}}})
	require.NoError(t, err)
}
