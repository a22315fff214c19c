package elb

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxTargets is how many targets a group may have.
const maxTargets = 1000

// Check is what the health checks of a target find. The zero Check passes.
type Check struct {
	Reason      types.TargetHealthReasonEnum // why it fails; empty: it passes
	Description string                       // as AWS words it; empty: made from Reason
}

// Failing is a check that gets a wrong answer from the target.
var Failing = Check{Reason: types.TargetHealthReasonEnumResponseCodeMismatch, Description: "Health checks failed with these codes: [503]"}

// tgt is a registered target.
type tgt struct {
	desc       types.TargetDescription
	state      types.TargetHealthStateEnum // initial, healthy or unhealthy
	last       Check                       // what the last check that failed found
	passed     int                         // checks in a row
	failed     int
	next       time.Time // of the next check; zero: none, the group is unused
	checked    bool      // at least once
	drainUntil time.Time // zero: it is registered
}

// SetHealth says what checks of a target find from now on. An empty id means all
// targets of the group that are not named, those to come included.
func (e *ELB) SetHealth(groupArn, id string, c Check) {
	defer e.lock()()
	if g, err := e.group(&groupArn); err == nil {
		g.scripts[id] = c
	}
}

// Targets says how the targets of a group are now, by id, as DescribeTargetHealth
// would. It is for tests and for other fakes.
func (e *ELB) Targets(groupArn string) map[string]types.TargetHealthStateEnum {
	defer e.lock()()
	out := map[string]types.TargetHealthStateEnum{}
	if g, err := e.group(&groupArn); err == nil {
		for _, t := range g.targets {
			out[*t.desc.Id] = g.health(t).State
		}
	}
	return out
}

// Healthy reports whether a target of a group is healthy.
func (e *ELB) Healthy(groupArn, id string) bool {
	defer e.lock()()
	g, err := e.group(&groupArn)
	return err == nil && slices.ContainsFunc(g.targets, func(t *tgt) bool {
		return *t.desc.Id == id && g.health(t).State == types.TargetHealthStateEnumHealthy
	})
}

// Register does what RegisterTargets does, for other fakes: a service that registers
// its tasks.
func (e *ELB) Register(groupArn string, targets ...types.TargetDescription) error {
	defer e.lock()()
	_, err := e.registerTargets(&api.RegisterTargetsInput{TargetGroupArn: &groupArn, Targets: targets})
	return err
}

// Deregister does what DeregisterTargets does, for other fakes.
func (e *ELB) Deregister(groupArn string, targets ...types.TargetDescription) error {
	defer e.lock()()
	_, err := e.deregisterTargets(&api.DeregisterTargetsInput{TargetGroupArn: &groupArn, Targets: targets})
	return err
}

func (e *ELB) registerTargets(in *api.RegisterTargetsInput) (*api.RegisterTargetsOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, d := range in.Targets { // all or none
		if err := e.fits(g, aws.ToString(d.Id)); err != nil {
			return nil, err
		}
	}
	if len(g.targets)+len(in.Targets) > maxTargets {
		return nil, &types.TooManyTargetsException{Message: aws.String("the target group would have too many targets")}
	}
	for _, d := range in.Targets {
		d.Port = orElse(d.Port, *orElse(g.Port, 80))
		if t := g.find(d); t != nil && t.drainUntil.IsZero() {
			continue // registered already
		} else if t != nil {
			t.drainUntil = time.Time{}
			t.begin(g)
			continue
		}
		t := &tgt{desc: d}
		t.begin(g)
		g.targets = append(g.targets, t)
	}
	return &api.RegisterTargetsOutput{}, nil
}

// fits refuses what cannot be a target of the group.
func (e *ELB) fits(g *group, id string) error {
	refuse := func(why string) error { return &types.InvalidTargetException{Message: aws.String(why)} }
	switch g.TargetType {
	case types.TargetTypeEnumInstance:
		if !strings.HasPrefix(id, "i-") {
			return invalid("instance ID '%s' is not valid", id)
		}
		if e.Exists != nil && !e.Exists(id) {
			return refuse(fmt.Sprintf("the following targets are not in a running state and cannot be registered: '%s'", id))
		}
	case types.TargetTypeEnumIp:
		if _, err := netip.ParseAddr(id); err != nil {
			return invalid("the IP address '%s' is not valid", id)
		}
	}
	return nil
}

func (e *ELB) deregisterTargets(in *api.DeregisterTargetsInput) (*api.DeregisterTargetsOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, d := range in.Targets { // one that is not there is success
		for _, t := range slices.Clone(g.targets) {
			if *t.desc.Id != aws.ToString(d.Id) || d.Port != nil && *t.desc.Port != *d.Port || !t.drainUntil.IsZero() {
				continue
			}
			t.drainUntil = time.Now().Add(g.delay())
			if !g.used || g.delay() == 0 {
				g.drop(t)
			}
		}
	}
	return &api.DeregisterTargetsOutput{}, nil
}

func (g *group) drop(t *tgt) {
	g.targets = slices.DeleteFunc(g.targets, func(o *tgt) bool { return o == t })
}

func (g *group) find(d types.TargetDescription) *tgt {
	for _, t := range g.targets {
		if *t.desc.Id == aws.ToString(d.Id) && *t.desc.Port == *orElse(d.Port, *orElse(g.Port, 80)) {
			return t
		}
	}
	return nil
}

// begin starts the checks from the beginning, or ends them.
func (t *tgt) begin(g *group) {
	t.state, t.passed, t.failed, t.checked, t.last, t.next = types.TargetHealthStateEnumInitial, 0, 0, false, Check{}, time.Time{}
	if g.used {
		t.next = time.Now().Add(g.registering)
	}
}

// use says whether a listener or a rule leads to the group.
func (g *group) use(used bool) {
	if g.used == used {
		return
	}
	g.used = used
	for _, t := range slices.Clone(g.targets) {
		switch {
		case t.drainUntil.IsZero():
			t.begin(g)
		case !used:
			g.drop(t)
		}
	}
}

// advance does the checks that are due, and lets go of what has drained.
func (g *group) advance(now time.Time) {
	g.targets = slices.DeleteFunc(g.targets, func(t *tgt) bool { return !t.drainUntil.IsZero() && !now.Before(t.drainUntil) })
	interval := time.Duration(*g.HealthCheckIntervalSeconds) * time.Second
	for _, t := range g.targets {
		for g.used && !t.next.IsZero() && !now.Before(t.next) {
			g.check(t)
			t.next = t.next.Add(interval)
			if n := now.Sub(t.next) / interval; n > 0 && g.settled(t) {
				t.next = t.next.Add(n * interval) // they would all find the same
			}
		}
	}
}

// check does one health check. A target that has just come needs to pass one only.
func (g *group) check(t *tgt) {
	found := g.script(t)
	t.checked = true
	if found.Reason == "" {
		t.passed, t.failed = t.passed+1, 0
	} else {
		t.passed, t.failed, t.last = 0, t.failed+1, found
	}
	switch {
	case t.state == types.TargetHealthStateEnumInitial && t.passed > 0, t.passed >= int(*g.HealthyThresholdCount):
		t.state = types.TargetHealthStateEnumHealthy
	case t.failed >= int(*g.UnhealthyThresholdCount):
		t.state = types.TargetHealthStateEnumUnhealthy
	}
}

func (g *group) script(t *tgt) Check {
	if c, ok := g.scripts[*t.desc.Id]; ok {
		return c
	}
	return g.scripts[""]
}

func (g *group) settled(t *tgt) bool {
	passes := g.script(t).Reason == ""
	return passes && t.state == types.TargetHealthStateEnumHealthy || !passes && t.state == types.TargetHealthStateEnumUnhealthy
}

// health is what AWS says about a target.
func (g *group) health(t *tgt) types.TargetHealth {
	say := func(s types.TargetHealthStateEnum, r types.TargetHealthReasonEnum, text string) types.TargetHealth {
		return types.TargetHealth{State: s, Reason: r, Description: aws.String(text)}
	}
	switch {
	case !t.drainUntil.IsZero():
		return say(types.TargetHealthStateEnumDraining, types.TargetHealthReasonEnumDeregistrationInProgress, "Target deregistration is in progress")
	case !g.used:
		return say(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse, "Target group is not configured to receive traffic from the load balancer")
	case t.state == types.TargetHealthStateEnumHealthy:
		return types.TargetHealth{State: t.state}
	case t.state == types.TargetHealthStateEnumUnhealthy:
		return say(t.state, cmp.Or(t.last.Reason, types.TargetHealthReasonEnumFailedHealthChecks), cmp.Or(t.last.Description, "Health checks failed"))
	case !t.checked:
		return say(t.state, types.TargetHealthReasonEnumRegistrationInProgress, "Target registration is in progress")
	default:
		return say(t.state, types.TargetHealthReasonEnumInitialHealthChecking, "Initial health checks in progress")
	}
}

// describeTargetHealth tells all targets, those that drain included, or the ones
// that are asked for.
func (e *ELB) describeTargetHealth(in *api.DescribeTargetHealthInput) (*api.DescribeTargetHealthOutput, error) {
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeTargetHealthOutput{}
	tell := func(d types.TargetDescription, h types.TargetHealth) {
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{
			Target: &d, TargetHealth: &h, HealthCheckPort: g.HealthCheckPort})
	}
	if len(in.Targets) == 0 {
		for _, t := range g.targets {
			tell(t.desc, g.health(t))
		}
		return out, nil
	}
	for _, d := range in.Targets {
		if t := g.find(d); t != nil {
			tell(t.desc, g.health(t))
			continue
		}
		tell(d, types.TargetHealth{State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumNotRegistered,
			Description: aws.String("Target is not registered to the target group")})
	}
	return out, nil
}
