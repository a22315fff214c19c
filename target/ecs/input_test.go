package ecs

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/appspec"
)

// What the AppSpec says holds, and where it is silent, what serves does. A launch type and a
// capacity provider strategy exclude each other, and only Fargate has platform versions.
func TestWhatATaskSetIsMadeFrom(t *testing.T) {
	capacity := func(name string) []ecstypes.CapacityProviderStrategyItem {
		return []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: &name, Base: 1, Weight: 2}}
	}
	provided := func(name string) []appspec.CapacityProvider {
		return []appspec.CapacityProvider{{Name: name, Base: 1, Weight: 2}}
	}
	fargate := ecstypes.TaskSet{LaunchType: ecstypes.LaunchTypeFargate, PlatformVersion: aws.String("1.4.0")}
	for name, tc := range map[string]struct {
		spec     appspec.Service
		blue     ecstypes.TaskSet
		launch   ecstypes.LaunchType
		capacity []ecstypes.CapacityProviderStrategyItem
		platform string
	}{
		"launch type of what serves":     {blue: fargate, launch: ecstypes.LaunchTypeFargate, platform: "1.4.0"},
		"capacity of what serves":        {blue: ecstypes.TaskSet{CapacityProviderStrategy: capacity("spot"), LaunchType: ecstypes.LaunchTypeEc2}, capacity: capacity("spot")},
		"platform version of the spec":   {spec: appspec.Service{PlatformVersion: "1.3.0"}, blue: fargate, launch: ecstypes.LaunchTypeFargate, platform: "1.3.0"},
		"from Fargate to Fargate Spot":   {spec: appspec.Service{Capacity: provided("FARGATE_SPOT")}, blue: fargate, capacity: capacity("FARGATE_SPOT"), platform: "1.4.0"},
		"from Fargate to hosts":          {spec: appspec.Service{Capacity: provided("hosts")}, blue: fargate, capacity: capacity("hosts")},
		"from one provider to another":   {spec: appspec.Service{Capacity: provided("b")}, blue: ecstypes.TaskSet{CapacityProviderStrategy: capacity("a")}, capacity: capacity("b")},
		"nothing: the cluster's default": {},
	} {
		in := (&Service{Cluster: "main", Name: "web"}).input("d-2", "green", &tc.spec, &tc.blue)
		require.Equal(t, tc.launch, in.LaunchType, name)
		require.Equal(t, tc.capacity, in.CapacityProviderStrategy, name)
		require.Equal(t, tc.platform, aws.ToString(in.PlatformVersion), name)
		require.LessOrEqual(t, len(*in.ClientToken), 36, name)
	}
}

// So does the network, and service discovery goes on.
func TestNetworkOfATaskSet(t *testing.T) {
	blue := ecstypes.TaskSet{ServiceRegistries: []ecstypes.ServiceRegistry{{RegistryArn: aws.String("r")}},
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"old"}}}}
	in := (&Service{}).input("d-2", "green", &appspec.Service{}, &blue)
	require.Equal(t, blue.NetworkConfiguration, in.NetworkConfiguration)
	require.Equal(t, blue.ServiceRegistries, in.ServiceRegistries)
	in = (&Service{}).input("d-2", "green", &appspec.Service{Network: &appspec.Network{Subnets: []string{"new"}, SecurityGroups: []string{"sg"}, AssignPublicIP: "DISABLED"}}, &blue)
	require.Equal(t, &ecstypes.AwsVpcConfiguration{Subnets: []string{"new"}, SecurityGroups: []string{"sg"}, AssignPublicIp: ecstypes.AssignPublicIpDisabled}, in.NetworkConfiguration.AwsvpcConfiguration)
}
