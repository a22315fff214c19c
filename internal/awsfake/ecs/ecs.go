// Package ecs is Elastic Container Service in memory, for tests: clusters, task
// definitions, services, task sets whose tasks need time to start, register
// themselves behind a load balancer, crash and stop; and the service's auto scaling.
//
// [New] puts it behind an [awsfake.API], beside a load balancer of package elb. It is
// set up, read and changed through the SDK's own client. What no API can do is a
// method of [ECS]: [ECS.Behave] scripts what the tasks of a task definition do.
//
// Tasks live by timers of package time, so in a testing/synctest bubble an hour of
// stabilising passes at once.
package ecs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
)

// Service is the name under which calls are counted.
const Service = "ECS"

// ECS is the services of one account and region. All methods may be called from
// many goroutines. The fields must not change once it is used.
type ECS struct {
	// Start is how long a task is pending, Stop how long one that is told to stop
	// runs on, Again how long ECS waits before it replaces one that ended by itself.
	// New sets them to 20, 30 and 10 seconds.
	Start, Stop, Again time.Duration

	mu          sync.Mutex
	balancers   *elb.ELB
	made        int
	clusters    []string
	definitions []*types.TaskDefinition
	behaviours  map[string]Behaviour
	services    []*service
	scalable    []*scalable
	history     []*taskSet // all that were ever made
	deployments []*deployment
	revisions   map[string]*string // task definition by ARN of the service revision
	badHooks    map[string]bool
}

// Behaviour is what the tasks of a task definition do. Zero: they start, register
// themselves behind the load balancer, and run until they are stopped.
type Behaviour struct {
	Hang         bool          // they stay pending
	FailToStart  string        // why they never run, such as CannotPullContainerError; empty: they run
	Crash        time.Duration // how long they run before they end by themselves; zero: they do not
	Reason       string        // of the crash; empty: the essential container exited
	Unregistered bool          // they do not register themselves, and are called steady all the same
}

// New puts a region without clusters behind the API. Services find their target
// groups in balancers.
func New(api *awsfake.API, balancers *elb.ELB) *ECS {
	e := &ECS{balancers: balancers, behaviours: map[string]Behaviour{}, revisions: map[string]*string{}, badHooks: map[string]bool{}, Start: 20 * time.Second, Stop: 30 * time.Second, Again: 10 * time.Second}
	on(api, e, "CreateCluster", e.createCluster)
	on(api, e, "RegisterTaskDefinition", e.registerTaskDefinition)
	on(api, e, "DescribeTaskDefinition", e.describeTaskDefinition)
	on(api, e, "CreateService", e.createService)
	on(api, e, "UpdateService", e.updateService)
	on(api, e, "DescribeServices", e.describeServices)
	on(api, e, "CreateTaskSet", e.createTaskSet)
	on(api, e, "DescribeTaskSets", e.describeTaskSets)
	on(api, e, "DeleteTaskSet", e.deleteTaskSet)
	on(api, e, "UpdateServicePrimaryTaskSet", e.updatePrimary)
	on(api, e, "ListTasks", e.listTasks)
	on(api, e, "DescribeTasks", e.describeTasks)
	e.native(api)
	e.autoScaling(api)
	return e
}

// on handles an operation with the lock held.
func on[In, Out any](api *awsfake.API, e *ECS, operation string, f func(*In) (*Out, error)) {
	awsfake.Handle(api, Service, operation, func(_ context.Context, in *In) (*Out, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		out, err := f(in)
		return awsfake.Clone(out), err // time goes on, and changes what it points to
	})
}

// later does f with the lock held, after a while.
func (e *ECS) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		f()
	})
}

// Behave says what tasks of a family, or of one revision of it ("web:7"), do when
// they are started from now on.
func (e *ECS) Behave(definition string, b Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behaviours[definition] = b
}

func (e *ECS) behaviour(definition *types.TaskDefinition) Behaviour {
	if b, ok := e.behaviours[fmt.Sprintf("%s:%d", *definition.Family, definition.Revision)]; ok {
		return b
	}
	return e.behaviours[*definition.Family]
}

// arn makes the name of a resource.
func arn(kind string, parts ...string) *string {
	return aws.String(fmt.Sprintf("arn:aws:ecs:%s:%s:%s/%s", awsfake.Region, awsfake.Account, kind, strings.Join(parts, "/")))
}

func (e *ECS) number() string {
	e.made++
	return fmt.Sprintf("%019d", e.made)
}

// last is the name in an ARN, or the name itself.
func last(nameOrArn string) string { return nameOrArn[strings.LastIndex(nameOrArn, "/")+1:] }

func invalid(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}
