// Package autoscaling answers the calls of the EC2 Auto Scaling client from memory.
//
// Groups launch and terminate machines of a shared [machines.World] over time, as
// their capacity asks, and put them behind their load balancers. Suspended processes
// are really suspended, and those that are not really act: a group with health checks
// by ELB replaces an instance that somebody deregistered. Lifecycle hooks hold an
// instance in Pending:Wait until their time is over or somebody completes them.
//
// Nothing runs in the background: a group acts when it is called, or when
// [Groups.Settle] is.
package autoscaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
)

// Registrar is the load balancers, as a group uses them. A target group is named by
// its ARN, a classic load balancer by its name.
type Registrar interface {
	Register(balancer, instance string)
	Deregister(balancer, instance string)
	Healthy(balancer, instance string) bool
}

// Groups is all Auto Scaling groups of an account.
type Groups struct {
	World     *machines.World
	Balancers Registrar // nil: there are none

	// NoCapacity, if not empty, is why nothing can be launched: EC2's own words.
	NoCapacity string // while the world runs: SetNoCapacity
	// OnLaunch, if not nil, is told of each machine that is launched.
	OnLaunch func(group, instance string)

	mu     sync.Mutex
	groups map[string]*group
	serial int
}

type group struct {
	types.AutoScalingGroup
	members    []*member
	suspended  map[string]bool
	policies   []types.ScalingPolicy
	scheduled  []types.ScheduledUpdateGroupAction
	topics     []types.NotificationConfiguration
	hooks      []types.LifecycleHook
	activities []types.Activity
	warm       *types.WarmPoolConfiguration
	deleting   bool // it is listed until its last machine has ended
}

type member struct {
	id        string
	zone      string
	state     types.LifecycleState
	unhealthy bool
	token     string    // of the hook that it waits for
	until     time.Time // when that hook's time is over
	hook      string
	protected bool
	served    time.Time // since when it is in service
}

// New makes an account without groups, and gives its operations to the API.
func New(api *awsfake.API, w *machines.World, b Registrar) *Groups {
	g := &Groups{World: w, Balancers: b, groups: map[string]*group{}}
	g.handleGroups(api)
	g.handleCapacity(api)
	g.handleProcesses(api)
	g.handleExtras(api)
	g.handleHooks(api)
	return g
}

// Settle lets groups act on what has happened and on the time that has passed.
func (g *Groups) Settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle()
}

func (g *Groups) settle() {
	for _, name := range slices.Sorted(maps.Keys(g.groups)) {
		gr := g.groups[name]
		g.bury(gr)
		if !gr.deleting {
			g.advance(gr)
		} else if len(gr.members) == 0 {
			delete(g.groups, name)
		}
	}
}

// active are the members that count for the capacity.
func (gr *group) active() []*member {
	var out []*member
	for _, m := range gr.members {
		if m.state != types.LifecycleStateStandby && m.state != types.LifecycleStateTerminating {
			out = append(out, m)
		}
	}
	return out
}

func (gr *group) allows(process string) bool { return !gr.suspended[process] }

// advance is one look of Auto Scaling at a group.
func (g *Groups) advance(gr *group) {
	gr.runScheduled()
	g.inspect(gr)
	g.rebalance(gr)
	for len(gr.active()) > int(aws.ToInt32(gr.DesiredCapacity)) && gr.allows("Terminate") {
		g.end(gr, gr.surplus(), "capacity")
	}
	for len(gr.active()) < int(aws.ToInt32(gr.DesiredCapacity)) && gr.allows("Launch") {
		if !g.launch(gr, "") {
			break
		}
	}
	for _, m := range slices.Clone(gr.members) {
		g.promote(gr, m)
	}
}

func (gr *group) runScheduled() {
	gr.scheduled = slices.DeleteFunc(gr.scheduled, func(a types.ScheduledUpdateGroupAction) bool {
		if a.StartTime == nil || time.Now().Before(*a.StartTime) || a.Recurrence != nil {
			return false
		}
		if gr.allows("ScheduledActions") && a.DesiredCapacity != nil {
			gr.DesiredCapacity = a.DesiredCapacity
		}
		return true
	})
}

// inspect does the health checks: of EC2, and of the load balancers if the group
// says so.
func (g *Groups) inspect(gr *group) {
	for _, m := range slices.Clone(gr.members) {
		if m.state == types.LifecycleStateTerminating {
			continue
		}
		machine, _ := g.World.Get(m.id)
		if machine.State == machines.ShuttingDown || machine.State == machines.Terminated {
			g.leave(gr, m)
			continue
		}
		if m.state != types.LifecycleStateInService || !gr.allows("HealthCheck") {
			continue
		}
		m.unhealthy = m.unhealthy || machine.State != machines.Running || g.sick(gr, m)
		if m.unhealthy && gr.allows("ReplaceUnhealthy") && gr.allows("Terminate") {
			g.end(gr, m, "unhealthy")
		}
	}
}

// sick reports whether a load balancer says that the instance is not healthy. One
// that nobody registered is not healthy.
func (g *Groups) sick(gr *group, m *member) bool {
	grace := time.Duration(aws.ToInt32(gr.HealthCheckGracePeriod)) * time.Second
	if aws.ToString(gr.HealthCheckType) != "ELB" || !gr.allows("AddToLoadBalancer") || time.Since(m.served) < grace {
		return false
	}
	for _, b := range gr.balancers() {
		if !g.Balancers.Healthy(b, m.id) {
			return true
		}
	}
	return false
}

func (gr *group) balancers() []string { return slices.Concat(gr.TargetGroupARNs, gr.LoadBalancerNames) }

// rebalance evens out the zones: a machine more in the smallest, one less in the
// largest.
func (g *Groups) rebalance(gr *group) {
	small, large, gap := gr.zones()
	if gap < 2 || !gr.allows("AZRebalance") || !gr.allows("Launch") || !gr.allows("Terminate") || len(gr.active()) != int(aws.ToInt32(gr.DesiredCapacity)) {
		return
	}
	if g.launch(gr, small) {
		for _, m := range gr.active() {
			if m.zone == large {
				g.end(gr, m, "rebalancing zones")
				return
			}
		}
	}
}

func (gr *group) zones() (small, large string, gap int) {
	n := map[string]int{}
	for _, m := range gr.active() {
		n[m.zone]++
	}
	zones := slices.Clone(gr.AvailabilityZones)
	slices.SortStableFunc(zones, func(a, b string) int { return cmp.Compare(n[a], n[b]) })
	if len(zones) == 0 {
		return "", "", 0
	}
	small, large = zones[0], zones[len(zones)-1]
	return small, large, n[large] - n[small]
}

// SetNoCapacity changes NoCapacity.
func (g *Groups) SetNoCapacity(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.NoCapacity = why
}

// launch starts a machine in a zone; empty: where there are fewest.
func (g *Groups) launch(gr *group, zone string) bool {
	name := aws.ToString(gr.AutoScalingGroupName)
	g.serial++
	act := types.Activity{ActivityId: aws.String(fmt.Sprint("activity-", g.serial)), AutoScalingGroupName: &name,
		Cause: aws.String("capacity"), Description: aws.String("Launching a new EC2 instance"), StartTime: aws.Time(time.Now()), StatusCode: types.ScalingActivityStatusCodeSuccessful}
	if g.NoCapacity != "" {
		act.StatusCode, act.StatusMessage = types.ScalingActivityStatusCodeFailed, aws.String(g.NoCapacity)
		gr.activities = append(gr.activities, act)
		return false
	}
	if zone == "" {
		zone, _, _ = gr.zones()
	}
	tags := map[string]string{"aws:autoscaling:groupName": name}
	for _, t := range gr.Tags {
		if aws.ToBool(t.PropagateAtLaunch) {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	id := g.World.Launch(zone, tags)
	gr.members = append(gr.members, &member{id: id, zone: zone, state: types.LifecycleStatePending, protected: aws.ToBool(gr.NewInstancesProtectedFromScaleIn)})
	gr.activities = append(gr.activities, act)
	if g.OnLaunch != nil {
		g.OnLaunch(name, id)
	}
	return true
}

// surplus is the member that goes when there are too many: the newest that may go.
func (gr *group) surplus() *member {
	active := gr.active()
	for _, m := range slices.Backward(active) {
		if !m.protected {
			return m
		}
	}
	return active[len(active)-1]
}

func (g *Groups) end(gr *group, m *member, cause string) {
	g.leave(gr, m)
	g.serial++
	gr.activities = append(gr.activities, types.Activity{ActivityId: aws.String(fmt.Sprint("activity-", g.serial)), AutoScalingGroupName: gr.AutoScalingGroupName,
		Cause: &cause, Description: aws.String("Terminating EC2 instance: " + m.id), StartTime: aws.Time(time.Now()), StatusCode: types.ScalingActivityStatusCodeSuccessful})
	g.World.Terminate(m.id)
}

// leave takes a member out of service. It is listed until its machine has ended.
func (g *Groups) leave(gr *group, m *member) {
	for _, b := range gr.balancers() {
		g.Balancers.Deregister(b, m.id)
	}
	m.state = types.LifecycleStateTerminating
}

// bury forgets members whose machines have ended.
func (g *Groups) bury(gr *group) {
	gr.members = slices.DeleteFunc(gr.members, func(m *member) bool {
		if m.state != types.LifecycleStateTerminating {
			return false
		}
		machine, _ := g.World.Get(m.id)
		return machine.State == machines.Terminated
	})
}

// promote moves a member on when its machine runs, and when its hook lets it.
func (g *Groups) promote(gr *group, m *member) {
	switch {
	case m.state == types.LifecycleStatePending && g.World.Up(m.id):
		if h := gr.hookFor("autoscaling:EC2_INSTANCE_LAUNCHING"); h != nil {
			g.hold(m, h)
			return
		}
		g.admit(gr, m)
	case m.state == types.LifecycleStatePendingWait && !time.Now().Before(m.until):
		g.complete(gr, m, gr.defaultResult(m.hook))
	}
}

func (g *Groups) admit(gr *group, m *member) {
	m.state, m.served = types.LifecycleStateInService, time.Now()
	if gr.allows("AddToLoadBalancer") {
		for _, b := range gr.balancers() {
			g.Balancers.Register(b, m.id)
		}
	}
}
