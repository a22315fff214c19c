package ecs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// health is what the load balancer finds of a target group's targets.
type health struct {
	healthy  int
	draining int
	unused   int            // behind no listener; in counts too
	counts   map[string]int // the others, by state and reason
}

// targets reads the health of a group's targets.
func (s *Service) targets(ctx context.Context, group string) (health, error) {
	out, err := call(ctx, "elasticloadbalancing:DescribeTargetHealth", group, s.ELB.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: &group}, nil)
	if err != nil {
		return health{}, err
	}
	return sumUp(out.TargetHealthDescriptions), nil
}

func sumUp(all []elbtypes.TargetHealthDescription) health {
	h := health{counts: map[string]int{}}
	for _, d := range all {
		if d.TargetHealth == nil {
			continue
		}
		switch t := d.TargetHealth; t.State {
		case elbtypes.TargetHealthStateEnumHealthy:
			h.healthy++
		case elbtypes.TargetHealthStateEnumDraining:
			h.draining++
		default:
			if t.State == elbtypes.TargetHealthStateEnumUnused {
				h.unused++
			}
			text := string(t.State)
			if t.Reason != "" {
				text += fmt.Sprintf(" (%s: %s)", t.Reason, aws.ToString(t.Description))
			}
			h.counts[text]++
		}
	}
	return h
}

// others is how many targets are registered and not healthy.
func (h health) others() (n int) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// String says the health in words, with the load balancer's reasons.
func (h health) String() string {
	parts := []string{fmt.Sprintf("%d healthy", h.healthy)}
	if h.draining > 0 {
		parts = append(parts, fmt.Sprintf("%d draining", h.draining))
	}
	var rest []string
	for text, n := range h.counts {
		rest = append(rest, fmt.Sprintf("%d %s", n, text))
	}
	slices.Sort(rest)
	return strings.Join(append(parts, rest...), ", ")
}

// waitHealthy returns when a group has enough healthy targets, or says what is wrong with
// them when it takes too long.
func (s *Service) waitHealthy(ctx context.Context, group string, want int) error {
	for until := time.Now().Add(s.settleWithin()); ; {
		h, err := s.targets(ctx, group)
		switch {
		case err != nil:
			return err
		case h.healthy >= want:
			return nil
		case time.Now().After(until):
			return fail(lifecycle.TrafficUnhealthy, "target group %s has too few healthy targets for traffic after %s: %d are needed, and it has %s", groupName(group), s.settleWithin(), want, h)
		}
		if err := pause(ctx, s.poll()); err != nil {
			return err
		}
	}
}
