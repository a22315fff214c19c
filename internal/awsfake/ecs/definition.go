package ecs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (e *ECS) createCluster(in *sdk.CreateClusterInput) (*sdk.CreateClusterOutput, error) {
	name := aws.ToString(in.ClusterName)
	if !slices.Contains(e.clusters, name) {
		e.clusters = append(e.clusters, name)
	}
	return &sdk.CreateClusterOutput{Cluster: &types.Cluster{ClusterName: &name, ClusterArn: arn("cluster", name), Status: aws.String("ACTIVE")}}, nil
}

func (e *ECS) cluster(name *string) (string, error) {
	short := last(aws.ToString(name))
	if short == "" {
		short = "default"
	}
	if !slices.Contains(e.clusters, short) {
		return "", &types.ClusterNotFoundException{Message: aws.String("Cluster not found.")}
	}
	return short, nil
}

func (e *ECS) registerTaskDefinition(in *sdk.RegisterTaskDefinitionInput) (*sdk.RegisterTaskDefinitionOutput, error) {
	if aws.ToString(in.Family) == "" || len(in.ContainerDefinitions) == 0 {
		return nil, &types.ClientException{Message: aws.String("Family and containers must not be empty.")}
	}
	revision := 1
	for _, d := range e.definitions {
		if *d.Family == *in.Family {
			revision++
		}
	}
	d := &types.TaskDefinition{Family: in.Family, Revision: int32(revision), ContainerDefinitions: in.ContainerDefinitions, NetworkMode: in.NetworkMode,
		TaskRoleArn: in.TaskRoleArn, ExecutionRoleArn: in.ExecutionRoleArn, Cpu: in.Cpu, Memory: in.Memory,
		Status: types.TaskDefinitionStatusActive, TaskDefinitionArn: arn("task-definition", fmt.Sprintf("%s:%d", *in.Family, revision))}
	e.definitions = append(e.definitions, d)
	return &sdk.RegisterTaskDefinitionOutput{TaskDefinition: d}, nil
}

func (e *ECS) describeTaskDefinition(in *sdk.DescribeTaskDefinitionInput) (*sdk.DescribeTaskDefinitionOutput, error) {
	d, err := e.definition(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	return &sdk.DescribeTaskDefinitionOutput{TaskDefinition: d}, nil
}

// definition finds a task definition by ARN, family and revision, or family alone:
// the newest that is active.
func (e *ECS) definition(name *string) (*types.TaskDefinition, error) {
	family, text, exact := strings.Cut(last(aws.ToString(name)), ":")
	revision, err := strconv.Atoi(text)
	for _, d := range slices.Backward(e.definitions) {
		if *d.Family == family && (!exact && d.Status == types.TaskDefinitionStatusActive || exact && err == nil && int(d.Revision) == revision) {
			return d, nil
		}
	}
	return nil, &types.ClientException{Message: aws.String("Unable to describe task definition.")}
}
