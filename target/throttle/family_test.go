package throttle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryCallFindsItsFamilies(t *testing.T) {
	for call, want := range map[[2]string][]string{
		{"ECS", "UpdateService"}:                                        {"ECS service modify"},
		{"ECS", "DescribeServices"}:                                     {"ECS service read"},
		{"ECS", "ListServiceDeployments"}:                               {"ECS service deployment read"},
		{"ECS", "RegisterTaskDefinition"}:                               {"ECS task definition modify"},
		{"ECS", "DescribeTaskDefinition"}:                               {"ECS task definition read"},
		{"ECS", "CreateTaskSet"}:                                        {"ECS task set"},
		{"ECS", "DescribeTasks"}:                                        {"ECS cluster resource read"},
		{"ECS", "StopTask"}:                                             {"ECS cluster resource modify"},
		{"Elastic Load Balancing v2", "ModifyListener"}:                 {"Elastic Load Balancing v2 all", "Elastic Load Balancing v2 modify"},
		{"Elastic Load Balancing v2", "DescribeTargetHealth"}:           {"Elastic Load Balancing v2 all", "Elastic Load Balancing v2 read"},
		{"Elastic Load Balancing", "RegisterInstancesWithLoadBalancer"}: {"Elastic Load Balancing all", "Elastic Load Balancing registration"},
		{"Lambda", "UpdateAlias"}:                                       {"Lambda control"},
		{"Lambda", "GetFunctionConfiguration"}:                          {"Lambda control"},
		{"Lambda", "GetFunction"}:                                       {"Lambda GetFunction"},
		{"Lambda", "Invoke"}:                                            nil,
		{"S3", "GetObject"}:                                             nil,
	} {
		var got []string
		for _, f := range Families() {
			if f.has(call[0], call[1]) {
				got = append(got, f.Name)
			}
		}
		require.Equal(t, want, got, call)
	}
	names := map[string]bool{}
	for _, f := range Families() {
		require.False(t, names[f.Name], f.Name)
		names[f.Name] = true
		require.True(t, f.Burst > 0 && f.PerSecond > 0 && f.Source != "", f.Name)
	}
}
