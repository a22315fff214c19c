package ecs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// shift gives the replacement its share of the traffic: its targets are healthy, nobody else
// has moved anything, the weight is written, and it is read back.
func (s *Service) shift(ctx context.Context, w *work) error {
	want := w.Step.Weight
	if want == 0 {
		want = target.Full
	}
	tasks, err := s.replacement(ctx, w)
	if err != nil {
		return err
	}
	if err := s.waitHealthy(ctx, w.side, s.required(tasks)); err != nil {
		return err
	}
	found, err := s.surfaces(ctx, s.Production)
	if err != nil {
		return err
	}
	goal, err := s.goals(w, found, want)
	if err != nil {
		return err
	}
	for i, sf := range found {
		if split(sf.Actions, s.TargetGroups).of[w.side] == goal[i] {
			continue
		}
		if err := s.write(ctx, sf, w.side, w.other, goal[i]); err != nil {
			return err
		}
	}
	if err := s.verify(ctx, w, s.Production, goal); err != nil {
		return err
	}
	return s.waitHealthy(ctx, w.side, s.required(tasks))
}

// replacement is how many tasks the deployment's own task set should have.
func (s *Service) replacement(ctx context.Context, w *work) (int, error) {
	svc, err := s.describe(ctx)
	if err != nil {
		return 0, err
	}
	set := made(svc, w.Step.Deployment)
	if set == nil {
		return 0, fail(lifecycle.UnitLost, "the task set of deployment %s is gone, so %s can have no traffic; service %s has %s", w.Step.Deployment, w.Step.Unit, s.Name, tellSets(svc.TaskSets))
	}
	return wanted(svc, set), nil
}

// goals are the weights that the unit is to have on each surface. What somebody else has
// changed since the last step is held against the task's orders.
func (s *Service) goals(w *work, found []surface, want lifecycle.Weight) ([]lifecycle.Weight, error) {
	goal := make([]lifecycle.Weight, len(found))
	for i, sf := range found {
		sh := split(sf.Actions, s.TargetGroups)
		is := sh.of[w.side]
		goal[i] = want
		expected := w.Expect == nil || is == *w.Expect || is == want
		if expected && sh.other == 0 {
			continue
		}
		switch {
		case w.Foreign == target.AdoptForeign && sh.other == 0:
			goal[i] = max(want, is)
			w.note(lifecycle.ExternalChange, "%s gave %d %% of the traffic to %s, where %d %% was expected: taken over, it gets %d %% now", sf.Arn, is, w.Step.Unit, weightOr(w.Expect, want), goal[i])
		case w.Foreign == target.OverwriteForeign && sh.other == 0:
			w.note(lifecycle.ExternalChange, "%s gave %d %% of the traffic to %s, where %d %% was expected: overwritten with %d %%", sf.Arn, is, w.Step.Unit, weightOr(w.Expect, want), want)
		default:
			return nil, fail(lifecycle.ExternalChange, "somebody else has changed the traffic of %s: expected was that %s has %d %%, found is %s; nothing was changed", sf.Arn, w.Step.Unit, weightOr(w.Expect, want), sh.tell(s.TargetGroups))
		}
	}
	return goal, nil
}

func weightOr(w *lifecycle.Weight, or lifecycle.Weight) lifecycle.Weight {
	if w != nil {
		return *w
	}
	return or
}

// write gives one group a weight and the other one the rest, on one surface.
func (s *Service) write(ctx context.Context, sf surface, side, other string, w lifecycle.Weight) error {
	actions, err := reweighed(sf.Actions, side, other, w)
	if err != nil {
		return err
	}
	return s.put(ctx, surface{Arn: sf.Arn, Actions: actions})
}

// put replaces the actions of a surface.
func (s *Service) put(ctx context.Context, sf surface) error {
	if isRule(sf.Arn) {
		_, err := call(ctx, "elasticloadbalancing:ModifyRule", sf.Arn, s.ELB.ModifyRule, &elb.ModifyRuleInput{RuleArn: &sf.Arn, Actions: sf.Actions}, nil)
		return gone(err, "rule")
	}
	_, err := call(ctx, "elasticloadbalancing:ModifyListener", sf.Arn, s.ELB.ModifyListener, &elb.ModifyListenerInput{ListenerArn: &sf.Arn, DefaultActions: sf.Actions}, nil)
	return gone(err, "listener")
}

// verify reads the route until the unit has its weights several times in a row: the answer to
// a write does not say that it has taken effect, and single reads lag behind.
func (s *Service) verify(ctx context.Context, w *work, r Route, goal []lifecycle.Weight) error {
	good := 0
	for until := time.Now().Add(s.settleWithin()); ; {
		found, err := s.surfaces(ctx, r)
		if err != nil {
			return err
		}
		bad := -1
		for i, sf := range found {
			if sh := split(sf.Actions, s.TargetGroups); sh.of[w.side] != goal[i] || sh.of[w.other] != 100-goal[i] {
				bad = i
			}
		}
		if good++; bad >= 0 {
			good = 0
		}
		switch {
		case good >= s.reads():
			return nil
		case time.Now().After(until):
			return fail(lifecycle.ExternalChange, "%s was told to give %s %d %% of the traffic, and after %s it does not: it gives %s", found[max(bad, 0)].Arn, w.Step.Unit, goal[max(bad, 0)],
				s.settleWithin(), split(found[max(bad, 0)].Actions, s.TargetGroups).tell(s.TargetGroups))
		}
		if err := pause(ctx, s.readEvery()); err != nil {
			return err
		}
	}
}

// shiftTest leads all test requests to the replacement.
func (s *Service) shiftTest(ctx context.Context, w *work) error {
	found, err := s.surfaces(ctx, s.Test)
	if err != nil {
		return err
	}
	goal := make([]lifecycle.Weight, len(found))
	for i, sf := range found {
		goal[i] = target.Full
		if split(sf.Actions, s.TargetGroups).of[w.side] == target.Full {
			continue
		}
		if err := s.write(ctx, sf, w.side, w.other, target.Full); err != nil {
			return err
		}
	}
	return s.verify(ctx, w, s.Test, goal)
}

// promote makes the replacement the primary task set, and lets auto scaling go on. It is the
// end of AfterAllowTraffic, when its function has approved of what runs: up to then a
// rollback has nothing to put back but traffic.
func (s *Service) promote(ctx context.Context, w *work) error {
	svc, err := s.describe(ctx)
	if err != nil {
		return err
	}
	set := made(svc, w.Step.Deployment)
	if set == nil {
		return fail(lifecycle.UnitLost, "the task set of deployment %s is gone; service %s has %s", w.Step.Deployment, s.Name, tellSets(svc.TaskSets))
	}
	if err := s.makePrimary(ctx, svc, aws.ToString(set.TaskSetArn)); err != nil {
		return err
	}
	return s.resume(ctx, w)
}

// makePrimary makes a task set the primary one and sees that it is.
func (s *Service) makePrimary(ctx context.Context, svc *ecsService, arn string) error {
	until := time.Now().Add(s.settleWithin())
	for try := 1; ; try++ {
		set := findSet(svc, arn)
		if set != nil && aws.ToString(set.Status) == primaryStatus {
			return nil
		}
		if time.Now().After(until) {
			return fail(lifecycle.Unknown, "%s was made the primary task set of service %s and is not: it has %s", arn, s.Name, tellSets(svc.TaskSets))
		}
		in := &ecs.UpdateServicePrimaryTaskSetInput{Cluster: &s.Cluster, Service: &s.Name, PrimaryTaskSet: &arn}
		_, err := call(ctx, "ecs:UpdateServicePrimaryTaskSet", arn, s.ECS.UpdateServicePrimaryTaskSet, in, nil)
		if err != nil {
			return err
		}
		if err := pause(ctx, s.afterWrite(try)); err != nil {
			return err
		}
		if svc, err = s.describe(ctx); err != nil {
			return err
		}
	}
}
