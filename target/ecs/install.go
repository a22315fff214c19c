package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// install makes the replacement task set and waits until it could take traffic. Its target
// group is put behind the production listener first, with weight 0: a group that is behind
// no listener is not health checked.
func (s *Service) install(ctx context.Context, w *work) error {
	svc, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if err := s.suspend(ctx, w); err != nil {
		return err
	}
	set := made(svc, w.Step.Deployment)
	if err := s.attach(ctx, w, set == nil); err != nil {
		return err
	}
	if set == nil {
		if err := s.removeStale(ctx, w, svc); err != nil {
			return err
		}
		if set, err = s.create(ctx, w, svc); err != nil {
			return err
		}
	}
	return s.stabilise(ctx, w, aws.ToString(set.TaskSetArn))
}

// made finds the task set that a deployment has made; nil: none yet.
func made(svc *ecstypes.Service, deployment string) *ecstypes.TaskSet {
	i := slices.IndexFunc(svc.TaskSets, func(set ecstypes.TaskSet) bool {
		return aws.ToString(set.ExternalId) == deployment && aws.ToString(set.Status) != drainingStatus
	})
	if i < 0 {
		return nil
	}
	return &svc.TaskSets[i]
}

// attach puts the unit's target group behind the production surfaces, with weight 0. One that
// is new must not have traffic yet.
func (s *Service) attach(ctx context.Context, w *work, new bool) error {
	found, err := s.surfaces(ctx, s.Production)
	if err != nil {
		return err
	}
	for _, sf := range found {
		sh := split(sf.Actions, s.TargetGroups)
		switch {
		case sh.of[w.side] > 0 && new:
			return fail(lifecycle.ExternalChange, "%s gives %d %% of the traffic to %s, which is only about to be deployed to: expected was none, found is %s", sf.Arn, sh.of[w.side], w.Step.Unit, sh.tell(s.TargetGroups))
		case attached(sf.Actions, w.side):
			continue
		case sticky(sf.Actions):
			w.note("", "%s keeps clients with the target group that they came to first: shares of traffic count for new clients only", sf.Arn)
		}
		if err := s.write(ctx, sf, w.side, w.other, 0); err != nil {
			return err
		}
	}
	return nil
}

// create makes the task set. The token makes a repetition harmless, also one that ECS does
// not show yet.
func (s *Service) create(ctx context.Context, w *work, svc *ecstypes.Service) (*ecstypes.TaskSet, error) {
	i := slices.IndexFunc(svc.TaskSets, func(set ecstypes.TaskSet) bool { return aws.ToString(set.TaskSetArn) == w.before.Primary })
	if i < 0 {
		return nil, fail(lifecycle.ExternalChange, "the task set %s, which was the primary one, is gone; service %s has %s", w.before.Primary, s.Name, tellSets(svc.TaskSets))
	}
	in := s.input(w.Step.Deployment, w.side, w.before.Spec.Service, &svc.TaskSets[i])
	out, err := call(ctx, "ecs:CreateTaskSet", s.Name, s.ECS.CreateTaskSet, in, func(out *ecs.CreateTaskSetOutput) error {
		if out.TaskSet == nil || aws.ToString(out.TaskSet.TaskSetArn) == "" {
			return odd(lifecycle.Unknown, "ECS has made a task set for service %s and does not say which", s.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out.TaskSet, nil
}

// input is what a task set is made from: the AppSpec, and where that is silent, the task set
// that serves.
func (s *Service) input(deployment, group string, spec *appspec.Service, blue *ecstypes.TaskSet) *ecs.CreateTaskSetInput {
	in := &ecs.CreateTaskSetInput{
		Cluster: &s.Cluster, Service: &s.Name, TaskDefinition: &spec.TaskDefinition,
		ExternalId: &deployment, ClientToken: aws.String(s.token(deployment)),
		Scale:                &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: 100},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: &group, ContainerName: &spec.ContainerName, ContainerPort: aws.Int32(int32(spec.ContainerPort))}},
		NetworkConfiguration: blue.NetworkConfiguration,
		ServiceRegistries:    blue.ServiceRegistries,
		PlatformVersion:      blue.PlatformVersion,
	}
	if n := spec.Network; n != nil {
		in.NetworkConfiguration = &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: n.Subnets, SecurityGroups: n.SecurityGroups, AssignPublicIp: ecstypes.AssignPublicIp(n.AssignPublicIP)}}
	}
	place(in, spec, blue)
	return in
}

// place says where tasks run: by capacity providers or by a launch type, never both. Only
// Fargate has platform versions: one is not taken over for other providers.
func place(in *ecs.CreateTaskSetInput, spec *appspec.Service, blue *ecstypes.TaskSet) {
	switch {
	case len(spec.Capacity) > 0:
		for _, c := range spec.Capacity {
			in.CapacityProviderStrategy = append(in.CapacityProviderStrategy, ecstypes.CapacityProviderStrategyItem{CapacityProvider: &c.Name, Base: int32(c.Base), Weight: int32(c.Weight)})
		}
		if !slices.ContainsFunc(spec.Capacity, func(c appspec.CapacityProvider) bool { return strings.HasPrefix(c.Name, "FARGATE") }) {
			in.PlatformVersion = nil
		}
	case len(blue.CapacityProviderStrategy) > 0:
		in.CapacityProviderStrategy = blue.CapacityProviderStrategy
	default:
		in.LaunchType = blue.LaunchType
	}
	if spec.PlatformVersion != "" {
		in.PlatformVersion = &spec.PlatformVersion
	}
}

// token names the task set of a deployment in the 36 characters that ECS allows.
func (s *Service) token(deployment string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", s.Cluster, s.Name, deployment))
	return hex.EncodeToString(sum[:16])
}

// stabilise waits until the task set runs as many tasks as it should, ECS calls it steady,
// and the load balancer finds its targets healthy, at two looks in a row. Each of the three
// has been seen true without the others, and tasks that crash soon look well for a moment.
func (s *Service) stabilise(ctx context.Context, w *work, arn string) error {
	missing, good := 0, 0
	for until := time.Now().Add(s.installWithin()); ; {
		svc, err := s.describe(ctx)
		if err != nil {
			return err
		}
		set := findSet(svc, arn)
		state := "ECS does not show it"
		if set == nil {
			good = 0
			if missing++; missing >= oddTries {
				return fail(lifecycle.UnitLost, "the task set %s is gone: somebody has deleted it; service %s has %s", arn, s.Name, tellSets(svc.TaskSets))
			}
		} else {
			missing = 0
			var ready bool
			if ready, state, err = s.ready(ctx, w, svc, set); err != nil {
				return err
			}
			if good++; !ready {
				good = 0
			}
			if good == 2 {
				return nil
			}
		}
		if time.Now().After(until) {
			return fail(lifecycle.TimedOut, "the task set %s is not steady after %s: %s", arn, s.installWithin(), state)
		}
		if err := pause(ctx, s.poll()); err != nil {
			return err
		}
	}
}

func findSet(svc *ecstypes.Service, arn string) *ecstypes.TaskSet {
	for i := range svc.TaskSets {
		if aws.ToString(svc.TaskSets[i].TaskSetArn) == arn {
			return &svc.TaskSets[i]
		}
	}
	return nil
}

// wanted is how many tasks a set should have. Right after it was made ECS may not have
// computed that yet; the service's count, as it is now, holds then too.
func wanted(svc *ecstypes.Service, set *ecstypes.TaskSet) int {
	share := 100.0
	if set.Scale != nil {
		share = set.Scale.Value
	}
	return max(int(set.ComputedDesiredCount), int(math.Ceil(float64(svc.DesiredCount)*share/100)))
}

// ready reports whether the task set could take traffic, and if not, how far it is. A set
// whose tasks end again and again is an error.
func (s *Service) ready(ctx context.Context, w *work, svc *ecstypes.Service, set *ecstypes.TaskSet) (ok bool, state string, err error) {
	want := wanted(svc, set)
	state = fmt.Sprintf("%d of %d tasks run, %d are pending, %s", set.RunningCount, want, set.PendingCount, set.StabilityStatus)
	if int(set.RunningCount) < want || set.PendingCount > 0 || set.StabilityStatus != ecstypes.StabilityStatusSteadyState {
		last, err := s.crashed(ctx, svc, set, want)
		if last != "" {
			state += "; " + last
		}
		if err != nil {
			return false, state, err
		}
	}
	if int(set.RunningCount) < want {
		return false, state, nil
	}
	h, err := s.targets(ctx, w.side)
	if err != nil {
		return false, state, err
	}
	if h.unused > 0 { // it is behind no listener, whatever was read before
		if err := s.attach(ctx, w, false); err != nil {
			return false, state, err
		}
	}
	state += fmt.Sprintf("; target group %s: %s", w.Step.Unit, h)
	steady := int(set.RunningCount) == want && set.PendingCount == 0 && set.StabilityStatus == ecstypes.StabilityStatusSteadyState
	return steady && h.healthy >= want, state, nil
}
