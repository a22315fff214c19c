package ecs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// recorded are the actions of a surface in a snapshot; nil: it has none.
func recorded(was []surface, arn string) []elbtypes.Action {
	for _, sf := range was {
		if sf.Arn == arn {
			return sf.Actions
		}
	}
	return nil
}

// retire deletes the task set that the deployment leaves behind: the original one, or, in a
// rollback, what the deployment has made. No other is touched.
func (s *Service) retire(ctx context.Context, w *work) error {
	svc, err := s.describe(ctx)
	if err != nil {
		return err
	}
	doomed := s.doomed(w, svc)
	if len(doomed) == 0 {
		return nil
	}
	if err := s.idle(ctx, w); err != nil {
		return err
	}
	for _, arn := range doomed {
		if err := s.remove(ctx, arn); err != nil {
			return err
		}
	}
	return s.waitGone(ctx, doomed)
}

// doomed lists the task sets that a Retire of the unit is about: what the deployment has made,
// by its external id, or the primary one of before. What others have made is never among them,
// whether it was there before or has come since.
func (s *Service) doomed(w *work, svc *ecsService) []string {
	maker := cmp.Or(w.Job.RollbackOf, w.Step.Deployment)
	var arns []string
	for _, set := range svc.TaskSets {
		arn := aws.ToString(set.TaskSetArn)
		if w.original() && arn == w.before.Primary || !w.original() && aws.ToString(set.ExternalId) == maker && arn != w.before.Primary {
			arns = append(arns, arn)
		}
	}
	return arns
}

// idle sees, several times in a row, that the unit has no traffic.
func (s *Service) idle(ctx context.Context, w *work) error {
	for n := range s.reads() {
		if n > 0 {
			if err := pause(ctx, s.readEvery()); err != nil {
				return err
			}
		}
		found, err := s.surfaces(ctx, s.Production)
		if err != nil {
			return err
		}
		for _, sf := range found {
			if sh := split(sf.Actions, s.TargetGroups); sh.of[w.side] > 0 || sh.of[w.other] != 100 {
				return fail(lifecycle.ExternalChange, "%s still has traffic from %s, so its task set is not deleted: expected was that it has none, found is %s", w.Step.Unit, sf.Arn, sh.tell(s.TargetGroups))
			}
		}
	}
	return nil
}

// remove deletes one task set. ECS lets its tasks drain and stop.
func (s *Service) remove(ctx context.Context, arn string) error {
	svc, err := s.describe(ctx)
	if err != nil {
		return err
	}
	set := findSet(svc, arn)
	switch {
	case set == nil || aws.ToString(set.Status) == drainingStatus:
		return nil
	case aws.ToString(set.Status) == primaryStatus:
		return fail(lifecycle.TargetFailed, "%s is the primary task set of service %s and is not deleted: make the other one the primary first", arn, s.Name)
	}
	_, err = call(ctx, "ecs:DeleteTaskSet", arn, s.ECS.DeleteTaskSet, &ecs.DeleteTaskSetInput{Cluster: &s.Cluster, Service: &s.Name, TaskSet: &arn, Force: aws.Bool(true)}, nil)
	if isA[*ecstypes.TaskSetNotFoundException](err) {
		return nil
	}
	return err
}

// waitGone returns when none of the task sets is listed any more.
func (s *Service) waitGone(ctx context.Context, arns []string) error {
	for until := time.Now().Add(s.installWithin()); ; {
		svc, err := s.describe(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(arns), func(arn string) bool { return findSet(svc, arn) == nil })
		switch {
		case len(left) == 0:
			return nil
		case time.Now().After(until):
			return fail(lifecycle.TimedOut, "task sets are deleted and after %s still there: %v; ask again, or look at their tasks", s.installWithin(), left)
		}
		if err := pause(ctx, s.poll()); err != nil {
			return err
		}
	}
}

// removeStale deletes what other deployments have left behind the unit, if that is wanted.
func (s *Service) removeStale(ctx context.Context, w *work, svc *ecsService) error {
	if !s.RemoveStale {
		return nil
	}
	var stale []string
	for _, set := range svc.TaskSets {
		if arn := aws.ToString(set.TaskSetArn); aws.ToString(set.Status) != primaryStatus && groupOf(&set) == w.side && slices.Contains(w.before.TaskSets, arn) {
			w.note("", "the task set %s, which deployment %q has left, is deleted (RemoveStale)", arn, aws.ToString(set.ExternalId))
			stale = append(stale, arn)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	for _, arn := range stale {
		if err := s.remove(ctx, arn); err != nil {
			return err
		}
	}
	return s.waitGone(ctx, stale)
}
