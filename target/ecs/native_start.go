package ecs

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// list lists the service's deployments, newest first. ECS promises no order, so all pages are
// read; it forgets what is older than 90 days.
func (n *Native) list(ctx context.Context) (all []ecstypes.ServiceDeploymentBrief, err error) {
	in := &ecs.ListServiceDeploymentsInput{Cluster: &n.Cluster, Service: &n.Name, MaxResults: aws.Int32(100)}
	for {
		out, err := call(ctx, "ecs:ListServiceDeployments", n.Name, n.ECS.ListServiceDeployments, in, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, out.ServiceDeployments...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b ecstypes.ServiceDeploymentBrief) int {
		return aws.ToTime(b.CreatedAt).Compare(aws.ToTime(a.CreatedAt))
	})
	return all, nil
}

// newest is when the service's newest deployment was made, by the clock of AWS. One that runs
// is in the way.
func (n *Native) newest(ctx context.Context) (time.Time, error) {
	all, err := n.list(ctx)
	if err != nil || len(all) == 0 {
		return time.Time{}, err
	}
	for _, d := range all {
		if slices.Contains(running, d.Status) {
			return time.Time{}, fail(lifecycle.UnitBusy, "ECS is deploying service %s already: %s is %s; wait for it, or stop it with StopServiceDeployment", n.Name, aws.ToString(d.ServiceDeploymentArn), d.Status)
		}
	}
	return aws.ToTime(all[0].CreatedAt), nil
}

// ours finds the service deployment that this deployment has started; empty: none. It is known
// by being newer than what was there before, and by its task definition: ECS keeps no name
// that a caller could give.
func (n *Native) ours(ctx context.Context, b *nativeBefore) (string, error) {
	all, err := n.list(ctx)
	if err != nil {
		return "", err
	}
	for _, d := range all {
		if !aws.ToTime(d.CreatedAt).After(b.Newest) {
			continue
		}
		revision := aws.ToString(d.TargetServiceRevisionArn)
		out, err := call(ctx, "ecs:DescribeServiceRevisions", revision, n.ECS.DescribeServiceRevisions, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{revision}}, func(out *ecs.DescribeServiceRevisionsOutput) error {
			if len(out.ServiceRevisions) != 1 {
				return odd(lifecycle.Unknown, "ECS says nothing about the service revision %s", revision)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		if found := aws.ToString(out.ServiceRevisions[0].TaskDefinition); found != b.Spec.Service.TaskDefinition {
			return "", fail(lifecycle.ExternalChange, "somebody else deploys service %s: expected was the task definition %s, found is %s of %s", n.Name, b.Spec.Service.TaskDefinition, found, aws.ToString(d.ServiceDeploymentArn))
		}
		return aws.ToString(d.ServiceDeploymentArn), nil
	}
	return "", nil
}

// surely is ours, asked several times while there is none: a list lags behind, and nothing may
// be concluded from what is missing once.
func (n *Native) surely(ctx context.Context, b *nativeBefore) (string, error) {
	for try := 1; ; try++ {
		arn, err := n.ours(ctx, b)
		if err != nil || arn != "" || try == oddTries {
			return arn, err
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return "", err
		}
	}
}

// started finds the service deployment, and starts it if it is not there. UpdateService has
// no token: a second call would make a second deployment, so after a call that nobody has
// answered it is looked for before it is made again, and never after one that was answered.
func (n *Native) started(ctx context.Context, t target.Task, b *nativeBefore) (string, error) {
	if t.Step.Event != lifecycle.BeforeInstall {
		arn, err := n.surely(ctx, b)
		if err == nil && arn == "" {
			err = fail(lifecycle.UnitLost, "service %s has no deployment by ECS that this one has started", n.Name)
		}
		return arn, err
	}
	told := false
	for try := 1; ; try++ {
		arn, err := n.ours(ctx, b)
		if err != nil || arn != "" {
			return arn, err
		}
		if !told {
			err = n.update(ctx, b)
			told = err == nil
		}
		switch {
		case err != nil && !again(err, try):
			return "", translated("ecs:UpdateService", n.Name, err)
		case try == tries:
			return "", fail(lifecycle.Unknown, "ECS was told to deploy service %s and shows no deployment", n.Name)
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return "", err
		}
	}
}

// update tells ECS to deploy, once.
func (n *Native) update(ctx context.Context, b *nativeBefore) error {
	svc, err := describe(ctx, n.ECS, n.Cluster, n.Name)
	if err != nil {
		return err
	}
	in, err := n.input(b, svc)
	if err != nil {
		return err
	}
	_, err = awserror.Ask(ctx, n.ECS.UpdateService, in, func(o *ecs.Options) { o.RetryMaxAttempts = 1 })
	return err
}

// input is the translated AppSpec as the input of UpdateService, which has the same names.
func (n *Native) input(b *nativeBefore, svc *ecsService) (*ecs.UpdateServiceInput, error) {
	native, _, err := n.translate(b.Spec)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(native)
	if err != nil {
		return nil, err
	}
	in := &ecs.UpdateServiceInput{}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, err
	}
	in.Cluster, in.Service, in.ForceNewDeployment, in.DeploymentController = &n.Cluster, &n.Name, true, nil
	if old := svc.DeploymentConfiguration; old != nil {
		in.DeploymentConfiguration.MaximumPercent, in.DeploymentConfiguration.MinimumHealthyPercent = old.MaximumPercent, old.MinimumHealthyPercent
	}
	return in, nil
}

// rollBack makes ECS go back and waits until it has. One that has started to by itself is
// waited for; one that never began needs nothing.
func (n *Native) rollBack(ctx context.Context, t target.Task, b *nativeBefore) error {
	arn, err := n.surely(ctx, b)
	if err != nil || arn == "" {
		return err
	}
	asked := false
	return n.follow(ctx, t, arn, func(d *ecstypes.ServiceDeployment) (bool, error) {
		switch d.Status {
		case ecstypes.ServiceDeploymentStatusRollbackSuccessful, ecstypes.ServiceDeploymentStatusStopped:
			return true, nil
		case ecstypes.ServiceDeploymentStatusRollbackFailed:
			return false, fail(lifecycle.RollbackFailed, "ECS could not roll service %s back: %s", n.Name, cmp.Or(aws.ToString(d.StatusReason), "it does not say why"))
		case ecstypes.ServiceDeploymentStatusSuccessful:
			return false, fail(lifecycle.PreviousUnavailable, "ECS has deployed service %s to the end, and what served before is gone: deploy a good revision (%s served)", n.Name, b.Definition)
		case ecstypes.ServiceDeploymentStatusPending, ecstypes.ServiceDeploymentStatusInProgress:
			if asked {
				return false, nil
			}
			asked = true
			in := &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn, StopType: ecstypes.StopServiceDeploymentStopTypeRollback}
			_, err := call(ctx, "ecs:StopServiceDeployment", arn, n.ECS.StopServiceDeployment, in, nil)
			if isA[*ecstypes.ConflictException](err) {
				err = nil // it has ended meanwhile, or goes back already: look again
			}
			return false, err
		}
		return false, nil
	})
}

// cleanedUp waits until ECS has removed what the deployment leaves behind.
func (n *Native) cleanedUp(ctx context.Context, t target.Task, b *nativeBefore, original bool) error {
	arn, err := n.surely(ctx, b)
	if err != nil || arn == "" {
		return err
	}
	return n.follow(ctx, t, arn, func(d *ecstypes.ServiceDeployment) (bool, error) {
		switch {
		case slices.Contains(running, d.Status) && !(original && turned(d)):
			return false, nil
		case original && d.Status != ecstypes.ServiceDeploymentStatusSuccessful:
			return false, n.ended(d)
		}
		return true, nil
	})
}
