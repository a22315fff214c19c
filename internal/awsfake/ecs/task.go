package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// remembered is how long a task that has stopped can still be described.
const remembered = time.Hour

// task is a task with its address.
type task struct {
	types.Task
	ip        string
	behaviour Behaviour
}

func (e *ECS) startTask(set *taskSet) {
	d, err := e.definition(set.TaskDefinition)
	if err != nil {
		return // it was there when the set was made
	}
	id := e.number()
	n := e.made
	t := &task{ip: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255), behaviour: e.behaviour(d), Task: types.Task{
		TaskArn: arn("task", set.of.cluster, id), ClusterArn: set.ClusterArn, TaskDefinitionArn: set.TaskDefinition, Group: aws.String("service:" + *set.of.ServiceName),
		StartedBy: set.Id, DesiredStatus: aws.String("RUNNING"), LastStatus: aws.String("PENDING"), CreatedAt: aws.Time(time.Now()),
	}}
	set.tasks = append(set.tasks, t)
	if !t.behaviour.Hang {
		e.later(e.Start, func() { e.runTask(set, t) })
	}
}

// runTask lets a task run, as far as its behaviour has that.
func (e *ECS) runTask(set *taskSet, t *task) {
	b := t.behaviour
	switch {
	case *t.DesiredStatus == "STOPPED":
		return
	case b.FailToStart != "":
		e.stopTask(set, t, types.TaskStopCodeTaskFailedToStart, b.FailToStart)
		e.later(e.Again, func() { e.reconcile(set.of) })
		return
	}
	t.LastStatus, t.StartedAt = aws.String("RUNNING"), aws.Time(time.Now())
	e.atBalancers(set, t, e.balancers.Register)
	if b.Crash > 0 {
		e.later(b.Crash, func() {
			if *t.DesiredStatus == "STOPPED" {
				return
			}
			code := types.TaskStopCodeEssentialContainerExited
			if b.Reason != "" {
				code = types.TaskStopCodeServiceSchedulerInitiated
			}
			e.stopTask(set, t, code, cmp.Or(b.Reason, "Essential container in task exited"))
			e.later(e.Again, func() { e.reconcile(set.of) })
		})
	}
}

// stopTask stops a task. One that ends by itself has stopped at once.
func (e *ECS) stopTask(set *taskSet, t *task, code types.TaskStopCode, reason string) {
	t.DesiredStatus, t.StopCode, t.StoppedReason = aws.String("STOPPED"), code, &reason
	if *t.LastStatus == "RUNNING" {
		e.atBalancers(set, t, e.balancers.Deregister)
	}
	stopped := func() {
		t.LastStatus, t.StoppedAt = aws.String("STOPPED"), aws.Time(time.Now())
		t.Containers = []types.Container{{Name: aws.String("web"), LastStatus: t.LastStatus}}
		if code == types.TaskStopCodeEssentialContainerExited {
			t.Containers[0].ExitCode = aws.Int32(1)
		}
		e.later(remembered, func() { set.tasks = slices.DeleteFunc(set.tasks, func(o *task) bool { return o == t }) })
	}
	if code == types.TaskStopCodeServiceSchedulerInitiated {
		e.later(e.Stop, stopped)
		return
	}
	stopped()
}

// atBalancers registers or deregisters a task where its set says.
func (e *ECS) atBalancers(set *taskSet, t *task, do func(string, ...elbtypes.TargetDescription) error) {
	if t.behaviour.Unregistered {
		return
	}
	for _, lb := range set.LoadBalancers {
		// A group that was deleted meanwhile takes nobody: so it is on AWS.
		_ = do(aws.ToString(lb.TargetGroupArn), elbtypes.TargetDescription{Id: &t.ip, Port: lb.ContainerPort})
	}
}

func (e *ECS) listTasks(in *sdk.ListTasksInput) (*sdk.ListTasksOutput, error) {
	cluster, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	want := string(cmp.Or(in.DesiredStatus, types.DesiredStatusRunning))
	var all []string
	for _, s := range e.services {
		if s.cluster != cluster || in.ServiceName != nil && *s.ServiceName != last(*in.ServiceName) {
			continue
		}
		for _, set := range s.sets {
			for _, t := range set.tasks {
				if *t.DesiredStatus == want && (in.StartedBy == nil || *in.StartedBy == *t.StartedBy) {
					all = append(all, *t.TaskArn)
				}
			}
		}
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	size := int(aws.ToInt32(in.MaxResults))
	if size == 0 {
		size = 100
	}
	if size < 1 || size > 100 || from < 0 || from > len(all) {
		return nil, invalid("maxResults must be between 1 and 100, and nextToken one of ours.")
	}
	out := &sdk.ListTasksOutput{TaskArns: all[from:min(from+size, len(all))]}
	if from+size < len(all) {
		out.NextToken = aws.String(strconv.Itoa(from + size))
	}
	return out, nil
}

func (e *ECS) describeTasks(in *sdk.DescribeTasksInput) (*sdk.DescribeTasksOutput, error) {
	if len(in.Tasks) == 0 || len(in.Tasks) > 100 {
		return nil, invalid("1 to 100 tasks must be named.")
	}
	out := &sdk.DescribeTasksOutput{}
	known := map[string]types.Task{}
	for _, s := range e.services {
		for _, set := range s.sets {
			for _, t := range set.tasks {
				known[*t.TaskArn] = t.Task
			}
		}
	}
	for _, name := range in.Tasks {
		if t, ok := known[name]; ok {
			out.Tasks = append(out.Tasks, t)
			continue
		}
		out.Failures = append(out.Failures, types.Failure{Arn: aws.String(name), Reason: aws.String("MISSING")})
	}
	return out, nil
}
