// Package elb is Elastic Load Balancing v2 in memory, for tests: load balancers,
// listeners, rules, target groups, and targets whose health takes its time.
//
// [New] puts it behind an [awsfake.API]; everything is made, read and changed through
// the SDK's own client, so a test sets its world up in the same way here and in an
// emulator. What no API can do is a method of [ELB]: [ELB.SetHealth] scripts what
// health checks find, [ELB.Changes] tells every change of traffic that ever was.
//
// Time is that of package time, so in a testing/synctest bubble minutes pass at
// once. A target is initial until its first check, goes on to healthy or unhealthy by
// the thresholds of its group, drains for the group's delay, and is unused as long as
// no listener leads to its group.
package elb

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Service is the name under which calls are counted.
const Service = "Elastic Load Balancing v2"

// The limits of forward actions.
const (
	maxWeight = 999
	maxGroups = 5
)

// ELB is the load balancers of one account and region. All methods may be called
// from many goroutines. The fields must not change once it is used.
type ELB struct {
	mu        sync.Mutex
	made      int
	balancers []*types.LoadBalancer
	groups    []*group
	listeners []*listener
	changes   []Change

	// Registering is how long it takes from registration, or first use, until checks
	// begin. New sets it to 2 seconds.
	Registering time.Duration
	// Exists, if not nil, says whether an instance of that id exists. One that does
	// not is refused by RegisterTargets. It is called with the ELB's lock held.
	Exists func(id string) bool
}

// Change is one change of where a listener or a rule leads.
type Change struct {
	At      time.Time
	Arn     string           // of the listener, for its default action, or of the rule
	Weights map[string]int32 // by target group; nil: it forwards nothing
	Healthy map[string]int   // how many healthy targets each of these groups had then
}

// New puts a region without load balancers behind the API.
func New(api *awsfake.API) *ELB {
	e := &ELB{Registering: 2 * time.Second}
	on(api, e, "CreateLoadBalancer", e.createLoadBalancer)
	on(api, e, "DescribeLoadBalancers", e.describeLoadBalancers)
	on(api, e, "CreateTargetGroup", e.createTargetGroup)
	on(api, e, "DeleteTargetGroup", e.deleteTargetGroup)
	on(api, e, "DescribeTargetGroups", e.describeTargetGroups)
	on(api, e, "DescribeTargetGroupAttributes", e.describeAttributes)
	on(api, e, "ModifyTargetGroupAttributes", e.modifyAttributes)
	on(api, e, "RegisterTargets", e.registerTargets)
	on(api, e, "DeregisterTargets", e.deregisterTargets)
	on(api, e, "DescribeTargetHealth", e.describeTargetHealth)
	on(api, e, "CreateListener", e.createListener)
	on(api, e, "DeleteListener", e.deleteListener)
	on(api, e, "DescribeListeners", e.describeListeners)
	on(api, e, "ModifyListener", e.modifyListener)
	on(api, e, "CreateRule", e.createRule)
	on(api, e, "DeleteRule", e.deleteRule)
	on(api, e, "DescribeRules", e.describeRules)
	on(api, e, "ModifyRule", e.modifyRule)
	return e
}

// on handles an operation with the lock held, and with health as it is now.
func on[In, Out any](api *awsfake.API, e *ELB, operation string, f func(*In) (*Out, error)) {
	awsfake.Handle(api, Service, operation, func(_ context.Context, in *In) (*Out, error) {
		defer e.lock()()
		out, err := f(in)
		return awsfake.Clone(out), err // time goes on, and changes what it points to
	})
}

// lock takes the lock, brings all targets up to date, and returns what unlocks.
func (e *ELB) lock() func() {
	e.mu.Lock()
	now := time.Now()
	for _, g := range e.groups {
		g.advance(now)
	}
	return e.mu.Unlock
}

// Changes returns all changes of traffic so far, the first settings included.
func (e *ELB) Changes() []Change {
	defer e.lock()()
	return awsfake.Clone(e.changes)
}

// arn makes the name of a resource.
func (e *ELB) arn(kind string, parts ...string) string {
	e.made++
	return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:%s/%s/%016x", awsfake.Region, awsfake.Account, kind, strings.Join(parts, "/"), e.made)
}

func invalid(format string, args ...any) error {
	return awsfake.APIError("ValidationError", fmt.Sprintf(format, args...))
}
