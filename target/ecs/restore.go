package ecs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

type ecsService = ecstypes.Service

// restore puts everything back as it was found: production traffic first, then test traffic,
// the primary task set, and auto scaling. It is AllowTraffic on the original, in a rollback.
func (s *Service) restore(ctx context.Context, w *work) error {
	svc, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if set := findSet(svc, w.before.Primary); set == nil || aws.ToString(set.Status) == drainingStatus {
		return fail(lifecycle.PreviousUnavailable, "the task set %s, which served before, is gone: traffic stays where it is, deploy a good revision; service %s has %s", w.before.Primary, s.Name, tellSets(svc.TaskSets))
	}
	if err := s.putBack(ctx, w, s.Production, w.before.Production, func() error { return s.mayGoBack(ctx, w, svc) }); err != nil {
		return err
	}
	if err := s.putBack(ctx, w, s.Test, w.before.Test, nil); err != nil {
		return err
	}
	if err := s.makePrimary(ctx, svc, w.before.Primary); err != nil {
		return err
	}
	return s.resume(ctx, w)
}

// putBack gives the surfaces of a route the actions that were found on them, and returns when
// they have been read so several times in a row. Where traffic would move, may is asked first.
func (s *Service) putBack(ctx context.Context, w *work, r Route, was []surface, may func() error) error {
	if len(r) == 0 {
		return nil
	}
	until, good := time.Now().Add(s.settleWithin()), 0
	for try := 1; ; try++ {
		found, err := s.surfaces(ctx, r)
		if err != nil {
			return err
		}
		wrong, err := differing(found, was)
		switch {
		case err != nil:
			return err
		case len(wrong) == 0:
			if good++; good == s.reads() {
				return nil
			}
			err = pause(ctx, s.readEvery())
		case time.Now().After(until):
			return fail(lifecycle.ExternalChange, "%s was put back as it was before the deployment, and after %s it is not so: it gives %s", wrong[0].Arn, s.settleWithin(), split(wrong[0].Actions, s.TargetGroups).tell(s.TargetGroups))
		default:
			good = 0
			if err = s.putBackSome(ctx, w, wrong, was, may); err == nil {
				err = pause(ctx, s.afterWrite(try))
			}
		}
		if err != nil {
			return err
		}
	}
}

// differing lists the surfaces that are not as they were.
func differing(found, was []surface) (wrong []surface, err error) {
	for _, sf := range found {
		switch old := recorded(was, sf.Arn); {
		case old == nil:
			return nil, fail(lifecycle.TargetFailed, "the snapshot does not know %s: it was added to the route after the deployment began", sf.Arn)
		case !same(sf.Actions, old, true):
			wrong = append(wrong, sf)
		}
	}
	return wrong, nil
}

// putBackSome writes the recorded actions to surfaces that have others.
func (s *Service) putBackSome(ctx context.Context, w *work, wrong, was []surface, may func() error) error {
	for _, sf := range wrong {
		old := recorded(was, sf.Arn)
		if may != nil && split(sf.Actions, s.TargetGroups).of[w.side] != split(old, s.TargetGroups).of[w.side] {
			if err := may(); err != nil {
				return err
			}
		}
		if !same(sf.Actions, old, false) {
			w.note(lifecycle.ExternalChange, "the actions of %s were changed meanwhile, and not only in their weights: they are put back as they were before the deployment", sf.Arn)
		}
		if err := s.put(ctx, surface{Arn: sf.Arn, Actions: sendable(old)}); err != nil {
			return err
		}
	}
	return nil
}

// mayGoBack refuses to lead traffic to an original that is worse than what has it now. One
// that is a little short of tasks is better than a replacement that is being rolled back.
func (s *Service) mayGoBack(ctx context.Context, w *work, svc *ecsService) error {
	blue, err := s.targets(ctx, w.side)
	if err != nil {
		return err
	}
	need := s.required(wanted(svc, findSet(svc, w.before.Primary)))
	if blue.healthy >= need {
		return nil
	}
	green, err := s.targets(ctx, w.other)
	if err != nil {
		return err
	}
	if blue.healthy > 0 && blue.healthy >= green.healthy {
		return nil
	}
	return fail(lifecycle.TrafficUnhealthy, "target group %s, which traffic should go back to, is not healthy enough: %s, where %d are needed and %s has %d; traffic stays where it is", w.Step.Unit, blue, need, groupName(w.other), green.healthy)
}
