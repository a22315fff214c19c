package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// resource is the service as its auto scaling calls it.
func (s *Service) resource() string { return "service/" + short(s.Cluster) + "/" + short(s.Name) }

// scalingState reads what is suspended of the service's auto scaling; nil: it has none, or
// it is left alone.
func (s *Service) scalingState(ctx context.Context) (*scalingtypes.SuspendedState, error) {
	if s.Scaling == nil {
		return nil, nil
	}
	in := &scaling.DescribeScalableTargetsInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ResourceIds: []string{s.resource()},
		ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount}
	out, err := call(ctx, "application-autoscaling:DescribeScalableTargets", s.resource(), s.Scaling.DescribeScalableTargets, in, nil)
	if err != nil || len(out.ScalableTargets) == 0 {
		return nil, err
	}
	return suspended(out.ScalableTargets[0].SuspendedState), nil
}

// suspend holds the service's auto scaling while traffic moves: the metrics of two task sets
// that share it mislead its policies.
func (s *Service) suspend(ctx context.Context, w *work) error {
	if s.Scaling == nil || w.before.Suspended == nil {
		return nil
	}
	yes := aws.Bool(true)
	all := &scalingtypes.SuspendedState{DynamicScalingInSuspended: yes, DynamicScalingOutSuspended: yes, ScheduledScalingSuspended: yes}
	if *w.before.Suspended.DynamicScalingInSuspended && *w.before.Suspended.DynamicScalingOutSuspended && *w.before.Suspended.ScheduledScalingSuspended {
		return nil
	}
	w.note("", "the auto scaling of service %s is suspended until traffic has moved, or is back", s.Name)
	return s.setScaling(ctx, all)
}

// Settle implements [target.Settler]: the auto scaling is as it was found also after a
// deployment that was stopped, or that failed and was not rolled back. It does not look
// first: an old answer would leave it suspended.
func (s *Service) Settle(ctx context.Context, job *target.Job, _ bool) error {
	if s.Scaling == nil {
		return nil
	}
	b, err := readBefore(job)
	if err != nil || b.Suspended == nil {
		return err
	}
	_, err = s.giveBack(ctx, b.Suspended)
	return err
}

// resume puts the auto scaling back to how it was found.
func (s *Service) resume(ctx context.Context, w *work) error {
	if s.Scaling == nil || w.before.Suspended == nil {
		return nil
	}
	removed, err := s.giveBack(ctx, w.before.Suspended)
	if removed {
		w.note(lifecycle.ExternalChange, "the auto scaling of service %s, which was suspended, has been removed by somebody else: it is not put back", s.Name)
	}
	return err
}

// giveBack sets what is suspended of the auto scaling. Where somebody has removed it meanwhile
// there is nothing to set, and no reason to fail.
func (s *Service) giveBack(ctx context.Context, to *scalingtypes.SuspendedState) (removed bool, err error) {
	failure := s.setScaling(ctx, to)
	if !isA[*scalingtypes.ValidationException](failure) { // what is made anew needs its bounds
		return false, failure
	}
	if now, err := s.scalingState(ctx); err != nil || now != nil {
		return false, failure
	}
	return true, nil
}

func (s *Service) setScaling(ctx context.Context, to *scalingtypes.SuspendedState) error {
	in := &scaling.RegisterScalableTargetInput{ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ResourceId: aws.String(s.resource()),
		ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, SuspendedState: to}
	_, err := call(ctx, "application-autoscaling:RegisterScalableTarget", s.resource(), s.Scaling.RegisterScalableTarget, in, nil)
	return err
}
