package autoscaling

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Processes are all that can be suspended.
var Processes = [...]string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance",
	"HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"}

func (g *Groups) handleProcesses(api *awsfake.API) {
	onGroup(g, api, "SuspendProcesses", func(in *as.SuspendProcessesInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.SuspendProcessesInput) (*as.SuspendProcessesOutput, error) {
			return &as.SuspendProcessesOutput{}, gr.suspend(in.ScalingProcesses, true)
		})
	onGroup(g, api, "ResumeProcesses", func(in *as.ResumeProcessesInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.ResumeProcessesInput) (*as.ResumeProcessesOutput, error) {
			return &as.ResumeProcessesOutput{}, gr.suspend(in.ScalingProcesses, false)
		})
}

// suspend suspends or resumes processes; none named: all.
func (gr *group) suspend(processes []string, suspended bool) error {
	if len(processes) == 0 {
		processes = Processes[:]
	}
	for _, p := range processes {
		if !slices.Contains(Processes[:], p) {
			return awsfake.APIError("ValidationError", "1 validation error detected: unknown process "+p)
		}
	}
	for _, p := range processes {
		if suspended {
			gr.suspended[p] = true
		} else {
			delete(gr.suspended, p)
		}
	}
	return nil
}

// Suspended lists the suspended processes of a group, for tests.
func (g *Groups) Suspended(name string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gr := g.groups[name]; gr != nil {
		return slices.Sorted(maps.Keys(gr.suspended))
	}
	return nil
}

// Alarm changes the desired capacity of a group as a scaling policy does when its
// alarm fires. A group that has suspended that does nothing.
func (g *Groups) Alarm(name string, change int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gr := g.groups[name]; gr != nil && gr.allows("AlarmNotification") {
		gr.DesiredCapacity = aws.Int32(max(aws.ToInt32(gr.MinSize), min(aws.ToInt32(gr.MaxSize), aws.ToInt32(gr.DesiredCapacity)+change)))
	}
	g.settle()
}

// Names lists the groups, but for those that are being deleted.
func (g *Groups) Names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.groups)), func(name string) bool { return g.groups[name].deleting })
}

// Members lists the instances of a group, but for those that are terminating.
func (g *Groups) Members(name string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ids []string
	if gr := g.groups[name]; gr != nil {
		for _, m := range gr.members {
			if m.state != types.LifecycleStateTerminating {
				ids = append(ids, m.id)
			}
		}
	}
	return ids
}
