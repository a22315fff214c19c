package ecs

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// before is how the service was found before a deployment touched it: what a rollback
// puts back, and what the deployment is about. It is the Data of the snapshot.
type before struct {
	Primary    string        `json:"primary"`  // ARN of the primary task set
	Group      string        `json:"group"`    // ARN of its target group
	TaskSets   []string      `json:"taskSets"` // ARNs of all
	Production []surface     `json:"production"`
	Test       []surface     `json:"test,omitempty"`
	Spec       *appspec.Spec `json:"spec"`
	// Suspended is what was suspended of the service's auto scaling. Nil: it has none, or
	// it is left alone.
	Suspended *scalingtypes.SuspendedState `json:"suspended,omitempty"`
}

// Snapshot implements [target.Snapshotter]: it checks everything that a deployment needs
// and changes nothing. Its Data holds the complete actions of the listeners, the primary
// task set, the state of the auto scaling and the AppSpec.
//
// It does not check who has the traffic: that is told by Weights, and strategies refuse
// what does not fit.
func (s *Service) Snapshot(ctx context.Context, job *target.Job) (target.Snapshot, error) {
	if err := s.valid(); err != nil {
		return target.Snapshot{}, err
	}
	spec, _, err := readSpec(job)
	if err != nil {
		return target.Snapshot{}, err
	}
	if err := s.probe(ctx, spec); err != nil {
		return target.Snapshot{}, err
	}
	b, weights, err := s.preflight(ctx, spec)
	if err != nil {
		return target.Snapshot{}, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return target.Snapshot{}, fail(lifecycle.TargetFailed, "writing the snapshot: %v", err)
	}
	return target.Snapshot{Weights: weights, Data: data}, nil
}

// readBefore takes the snapshot out of a job.
func readBefore(job *target.Job) (*before, error) {
	if job == nil || job.Before == nil {
		return nil, fail(lifecycle.Unsupported, "the step comes without a snapshot, so nobody could put things back: take one with Service.Snapshot before the deployment, and give it in Job.Before")
	}
	b := &before{}
	if err := json.Unmarshal(job.Before.Data, b); err != nil || b.Primary == "" || b.Spec == nil || b.Spec.Service == nil {
		return nil, fail(lifecycle.TargetFailed, "the snapshot in Job.Before is not one of an ECS service: %v", err)
	}
	return b, nil
}

// worst are the weights of the units over all surfaces of a route: the least that the
// side that serves has anywhere, and the most that the other one has.
func worst(in []surface, pair [2]string, blue string) map[string]lifecycle.Weight {
	green := pair[0]
	if green == blue {
		green = pair[1]
	}
	least, most := lifecycle.Weight(100), lifecycle.Weight(0)
	for _, sf := range in {
		sh := split(sf.Actions, pair)
		least, most = min(least, sh.of[blue]), max(most, sh.of[green])
	}
	return map[string]lifecycle.Weight{groupName(blue): least, groupName(green): most}
}

// suspended is what is suspended of the auto scaling, with nothing left open.
func suspended(t *scalingtypes.SuspendedState) *scalingtypes.SuspendedState {
	if t == nil {
		t = &scalingtypes.SuspendedState{}
	}
	return &scalingtypes.SuspendedState{
		DynamicScalingInSuspended:  aws.Bool(aws.ToBool(t.DynamicScalingInSuspended)),
		DynamicScalingOutSuspended: aws.Bool(aws.ToBool(t.DynamicScalingOutSuspended)),
		ScheduledScalingSuspended:  aws.Bool(aws.ToBool(t.ScheduledScalingSuspended)),
	}
}
