package ecs

import (
	"cmp"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// valid refuses a Service that cannot be used, before anything is asked.
func (s *Service) valid() error {
	refuse := func(what string) error {
		return fail(lifecycle.TargetFailed, "ecs.Service: %s", what)
	}
	switch {
	case s.ECS == nil || s.ELB == nil:
		return refuse("ECS or ELB is nil: give it clients")
	case s.Cluster == "" || s.Name == "":
		return refuse("Cluster or Name is empty: say which service")
	case groupName(s.TargetGroups[0]) == "" || groupName(s.TargetGroups[1]) == "":
		return refuse("TargetGroups must be the ARNs of two target groups")
	case s.TargetGroups[0] == s.TargetGroups[1] || groupName(s.TargetGroups[0]) == groupName(s.TargetGroups[1]):
		return refuse("TargetGroups are the same twice")
	case len(s.Production) == 0:
		return refuse("Production is empty: name the listener, or the rules, that users come through")
	case s.Healthy < 0 || s.Healthy > 100:
		return refuse("Healthy must be between 0 and 100 percent")
	}
	for _, arn := range append(append(Route{}, s.Production...), s.Test...) {
		if !isRule(arn) && !strings.Contains(arn, ":listener/") {
			return refuse("a Route takes ARNs of listeners and of their rules, and not " + arn)
		}
	}
	return nil
}

func (s *Service) installWithin() time.Duration { return cmp.Or(s.InstallWithin, time.Hour) }
func (s *Service) settleWithin() time.Duration  { return cmp.Or(s.SettleWithin, 5*time.Minute) }
func (s *Service) poll() time.Duration          { return cmp.Or(s.Poll, 15*time.Second) }
func (s *Service) reads() int                   { return cmp.Or(s.Reads, 3) }
func (s *Service) readEvery() time.Duration     { return cmp.Or(s.ReadEvery, time.Second) }

// afterWrite is how long to wait before reading what was written; longer each time that it
// did not help.
func (s *Service) afterWrite(try int) time.Duration {
	if try == 1 {
		return s.readEvery()
	}
	return max(s.readEvery(), backoff(try))
}

// required is how many of a number of tasks must be healthy; never none.
func (s *Service) required(tasks int) int {
	return max(1, (tasks*cmp.Or(s.Healthy, 100)+99)/100)
}

// crashes is how many tasks may end by themselves.
func (s *Service) crashes(desired int) int {
	return cmp.Or(s.Crashes, min(max(3, (desired+1)/2), 200))
}

// groupName is the name in a target group's ARN; empty: it is none.
func groupName(arn string) string {
	_, rest, _ := strings.Cut(arn, ":targetgroup/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func isRule(arn string) bool { return strings.Contains(arn, ":listener-rule/") }

// short is the last part of an ARN.
func short(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
