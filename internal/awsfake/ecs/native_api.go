package ecs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// listDeployments lists newest first.
func (e *ECS) listDeployments(in *sdk.ListServiceDeploymentsInput) (*sdk.ListServiceDeploymentsOutput, error) {
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	var all []types.ServiceDeploymentBrief
	for _, d := range slices.Backward(e.deployments) {
		if d.of != s || len(in.Status) > 0 && !slices.Contains(in.Status, d.Status) {
			continue
		}
		all = append(all, types.ServiceDeploymentBrief{ServiceDeploymentArn: d.ServiceDeploymentArn, ServiceArn: d.ServiceArn, ClusterArn: d.ClusterArn, CreatedAt: d.CreatedAt,
			StartedAt: d.StartedAt, FinishedAt: d.FinishedAt, Status: d.Status, StatusReason: d.StatusReason, TargetServiceRevisionArn: d.TargetServiceRevision.Arn})
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	size := int(aws.ToInt32(in.MaxResults))
	if size == 0 {
		size = 20
	}
	if from < 0 || from > len(all) || size < 1 || size > 100 {
		return nil, invalid("maxResults must be between 1 and 100, and nextToken one of ours.")
	}
	out := &sdk.ListServiceDeploymentsOutput{ServiceDeployments: all[from:min(from+size, len(all))]}
	if from+size < len(all) {
		out.NextToken = aws.String(strconv.Itoa(from + size))
	}
	return out, nil
}

func (e *ECS) deployment(name *string) (*deployment, error) {
	for _, d := range e.deployments {
		if *d.ServiceDeploymentArn == aws.ToString(name) {
			return d, nil
		}
	}
	return nil, &types.ServiceDeploymentNotFoundException{Message: aws.String("Service deployment not found.")}
}

func (e *ECS) describeDeployments(in *sdk.DescribeServiceDeploymentsInput) (*sdk.DescribeServiceDeploymentsOutput, error) {
	out := &sdk.DescribeServiceDeploymentsOutput{}
	for _, name := range in.ServiceDeploymentArns {
		d, err := e.deployment(&name)
		if err != nil {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(name), Reason: aws.String("MISSING")})
			continue
		}
		out.ServiceDeployments = append(out.ServiceDeployments, d.ServiceDeployment)
	}
	return out, nil
}

func (e *ECS) describeRevisions(in *sdk.DescribeServiceRevisionsInput) (*sdk.DescribeServiceRevisionsOutput, error) {
	out := &sdk.DescribeServiceRevisionsOutput{}
	for _, name := range in.ServiceRevisionArns {
		definition, ok := e.revisions[name]
		if !ok {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(name), Reason: aws.String("MISSING")})
			continue
		}
		out.ServiceRevisions = append(out.ServiceRevisions, types.ServiceRevision{ServiceRevisionArn: aws.String(name), TaskDefinition: definition})
	}
	return out, nil
}

func (e *ECS) stopDeployment(in *sdk.StopServiceDeploymentInput) (*sdk.StopServiceDeploymentOutput, error) {
	d, err := e.deployment(in.ServiceDeploymentArn)
	if err != nil {
		return nil, err
	}
	if d.Status != types.ServiceDeploymentStatusInProgress && d.Status != types.ServiceDeploymentStatusPending {
		return nil, &types.ConflictException{Message: aws.String("The deployment can no longer be stopped: it is " + string(d.Status))}
	}
	if in.StopType == types.StopServiceDeploymentStopTypeAbort {
		e.end(d, types.ServiceDeploymentStatusStopped, "stopped by a user")
	} else {
		e.fail(d, "rollback was requested by a user")
	}
	return &sdk.StopServiceDeploymentOutput{ServiceDeploymentArn: d.ServiceDeploymentArn}, nil
}

func (e *ECS) continueDeployment(in *sdk.ContinueServiceDeploymentInput) (*sdk.ContinueServiceDeploymentOutput, error) {
	d, err := e.deployment(in.ServiceDeploymentArn)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.LifecycleHookDetails, func(h types.DeploymentLifecycleHookDetail) bool {
		return *h.HookId == aws.ToString(in.HookId) && h.Status == types.DeploymentLifecycleHookStatusAwaitingAction
	})
	if i < 0 {
		return nil, invalid("The hook does not wait for an action.")
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(*in.HookId, "hook-"))
	d.pauses[n] = true
	if in.Action == types.DeploymentLifecycleHookActionRollback {
		e.fail(d, "rollback was chosen at a pause")
	}
	return &sdk.ContinueServiceDeploymentOutput{ServiceDeploymentArn: d.ServiceDeploymentArn}, nil
}
