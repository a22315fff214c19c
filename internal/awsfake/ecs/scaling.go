package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Scaling is the name under which calls to the service's auto scaling are counted.
const Scaling = "Application Auto Scaling"

// scalable is a service that is scaled by itself.
type scalable struct{ types.ScalableTarget }

func (e *ECS) autoScaling(api *awsfake.API) {
	awsfake.Handle(api, Scaling, "RegisterScalableTarget", func(_ context.Context, in *scaling.RegisterScalableTargetInput) (*scaling.RegisterScalableTargetOutput, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.registerScalable(in)
	})
	awsfake.Handle(api, Scaling, "DeregisterScalableTarget", func(_ context.Context, in *scaling.DeregisterScalableTargetInput) (*scaling.DeregisterScalableTargetOutput, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.scalable = slices.DeleteFunc(e.scalable, func(t *scalable) bool { return *t.ResourceId == *in.ResourceId })
		return &scaling.DeregisterScalableTargetOutput{}, nil
	})
	awsfake.Handle(api, Scaling, "DescribeScalableTargets", func(_ context.Context, in *scaling.DescribeScalableTargetsInput) (*scaling.DescribeScalableTargetsOutput, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		out := &scaling.DescribeScalableTargetsOutput{}
		for _, t := range e.scalable {
			if t.ServiceNamespace == in.ServiceNamespace && (len(in.ResourceIds) == 0 || slices.Contains(in.ResourceIds, *t.ResourceId)) {
				out.ScalableTargets = append(out.ScalableTargets, t.ScalableTarget)
			}
		}
		return awsfake.Clone(out), nil
	})
}

// registerScalable makes a target scalable, or changes what the input names.
func (e *ECS) registerScalable(in *scaling.RegisterScalableTargetInput) (*scaling.RegisterScalableTargetOutput, error) {
	i := slices.IndexFunc(e.scalable, func(t *scalable) bool { return *t.ResourceId == *in.ResourceId })
	if i < 0 {
		if in.MinCapacity == nil || in.MaxCapacity == nil {
			return nil, &types.ValidationException{Message: aws.String("minimum and maximum capacity are required")}
		}
		e.scalable = append(e.scalable, &scalable{types.ScalableTarget{ServiceNamespace: in.ServiceNamespace, ResourceId: in.ResourceId, ScalableDimension: in.ScalableDimension,
			CreationTime: aws.Time(time.Now()), SuspendedState: &types.SuspendedState{
				DynamicScalingInSuspended: aws.Bool(false), DynamicScalingOutSuspended: aws.Bool(false), ScheduledScalingSuspended: aws.Bool(false)}}})
		i = len(e.scalable) - 1
	}
	t := e.scalable[i]
	if in.MinCapacity != nil {
		t.MinCapacity = in.MinCapacity
	}
	if in.MaxCapacity != nil {
		t.MaxCapacity = in.MaxCapacity
	}
	if s := in.SuspendedState; s != nil {
		for _, f := range []struct{ to, from **bool }{
			{&t.SuspendedState.DynamicScalingInSuspended, &s.DynamicScalingInSuspended},
			{&t.SuspendedState.DynamicScalingOutSuspended, &s.DynamicScalingOutSuspended},
			{&t.SuspendedState.ScheduledScalingSuspended, &s.ScheduledScalingSuspended},
		} {
			if *f.from != nil {
				*f.to = *f.from
			}
		}
	}
	return &scaling.RegisterScalableTargetOutput{}, nil
}

// Scale does what auto scaling does when its policies ask for n tasks, unless that is
// suspended. It reports whether the desired count has changed.
func (e *ECS) Scale(cluster, name string, n int32) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.service(&cluster, &name)
	if err != nil {
		return false, err
	}
	id := strings.Join([]string{"service", cluster, name}, "/")
	i := slices.IndexFunc(e.scalable, func(t *scalable) bool { return *t.ResourceId == id })
	if i < 0 {
		return false, fmt.Errorf("%s is not scalable", id)
	}
	t := e.scalable[i]
	n = max(*t.MinCapacity, min(*t.MaxCapacity, n))
	suspended := t.SuspendedState.DynamicScalingInSuspended
	if n > s.DesiredCount {
		suspended = t.SuspendedState.DynamicScalingOutSuspended
	}
	if n == s.DesiredCount || *suspended {
		return false, nil
	}
	s.DesiredCount = n
	e.reconcile(s)
	return true, nil
}
