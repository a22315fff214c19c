package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// How many tasks are listed and described at once, and how many pages of them are looked at:
// ECS remembers for an hour what has stopped, in no order that it promises.
const (
	page  = 100
	pages = 20
)

// crashed looks at the tasks of a set that have ended. It says why the last one did, and
// fails when they are too many: ECS itself would start new ones for ever.
func (s *Service) crashed(ctx context.Context, svc *ecsService, set *ecstypes.TaskSet, want int) (last string, err error) {
	limit, only := s.crashes(want), onlyIn(svc, set)
	var bad []ecstypes.Task
	var next *string
	for range pages {
		var tasks []ecstypes.Task
		if tasks, next, err = s.stopped(ctx, next); err != nil {
			return "", err
		}
		if bad = append(bad, crashes(tasks, set, only)...); len(bad) >= limit || next == nil {
			break
		}
	}
	if len(bad) == 0 {
		return "", nil
	}
	newest := slices.MaxFunc(bad, func(a, b ecstypes.Task) int { return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)) })
	last = fmt.Sprintf("%d tasks have ended by themselves, the last one: %s", len(bad), why(newest))
	if len(bad) >= limit {
		return last, fail(lifecycle.TargetFailed, "the tasks of task set %s do not stay up: %s; %d are enough to give up (Service.Crashes)", short(aws.ToString(set.TaskSetArn)), last, limit)
	}
	return last, nil
}

// stopped reads a page of the service's tasks that have ended, and says where the next one
// begins; nil: there is none. A page may be empty and not the last.
func (s *Service) stopped(ctx context.Context, from *string) (tasks []ecstypes.Task, next *string, err error) {
	list, err := call(ctx, "ecs:ListTasks", s.Cluster, s.ECS.ListTasks, &ecs.ListTasksInput{Cluster: &s.Cluster, ServiceName: &s.Name, DesiredStatus: ecstypes.DesiredStatusStopped, MaxResults: aws.Int32(page), NextToken: from}, nil)
	switch {
	case err != nil:
		return nil, nil, err
	case len(list.TaskArns) == 0:
		return nil, list.NextToken, nil
	}
	out, err := call(ctx, "ecs:DescribeTasks", s.Cluster, s.ECS.DescribeTasks, &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: list.TaskArns}, nil)
	if err != nil {
		return nil, nil, err
	}
	return out.Tasks, list.NextToken, nil
}

// onlyIn reports whether no other task set of the service runs the set's task definition.
func onlyIn(svc *ecsService, set *ecstypes.TaskSet) bool {
	return !slices.ContainsFunc(svc.TaskSets, func(o ecstypes.TaskSet) bool {
		return aws.ToString(o.TaskSetArn) != aws.ToString(set.TaskSetArn) && aws.ToString(o.TaskDefinition) == aws.ToString(set.TaskDefinition)
	})
}

// crashes are the tasks of a set that nobody asked to stop. A task names the set
// that has started it, as services write that of their deployments; where only one set has
// the task definition, that tells as well.
func crashes(tasks []ecstypes.Task, set *ecstypes.TaskSet, only bool) []ecstypes.Task {
	var bad []ecstypes.Task
	for _, t := range tasks {
		by := aws.ToString(t.StartedBy)
		ours := by == aws.ToString(set.Id) || by == aws.ToString(set.TaskSetArn) || only && aws.ToString(t.TaskDefinitionArn) == aws.ToString(set.TaskDefinition)
		if ours && failed(t) {
			bad = append(bad, t)
		}
	}
	return bad
}

// failed reports whether a task ended by a fault of its own. What ECS stops for its health
// checks has the same stop code as what it stops to scale in; only the reason tells.
func failed(t ecstypes.Task) bool {
	switch t.StopCode {
	case ecstypes.TaskStopCodeEssentialContainerExited, ecstypes.TaskStopCodeTaskFailedToStart:
		return true
	case ecstypes.TaskStopCodeServiceSchedulerInitiated:
		return strings.Contains(strings.ToLower(aws.ToString(t.StoppedReason)), "health check")
	default:
		return false
	}
}

// why is the reason of a stopped task, with the exit status and the reasons of its
// containers.
func why(t ecstypes.Task) string {
	parts := []string{fmt.Sprintf("%s: %s", t.StopCode, aws.ToString(t.StoppedReason))}
	for _, c := range t.Containers {
		text := ""
		if c.ExitCode != nil {
			text = fmt.Sprintf(" exit status %d", *c.ExitCode)
		}
		if c.Reason != nil {
			text += " " + *c.Reason
		}
		if text != "" {
			parts = append(parts, "container "+aws.ToString(c.Name)+text)
		}
	}
	return strings.Join(parts, ", ")
}
