package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Processes of an Auto Scaling group that would work against a deployment.
var (
	// whileDeploying would replace or move hosts that are out of traffic for a while, or
	// change how many there are. HealthCheck is among them because what it has marked
	// unhealthy meanwhile would be replaced as soon as ReplaceUnhealthy is resumed.
	whileDeploying = []string{"AZRebalance", "AlarmNotification", "HealthCheck", "ReplaceUnhealthy", "ScheduledActions"}
	// whileNew would send traffic to replacements that are not ready, or launch further
	// ones that nobody deploys to.
	whileNew = []string{"AZRebalance", "AddToLoadBalancer", "AlarmNotification", "HealthCheck", "Launch", "ReplaceUnhealthy", "ScheduledActions"}
)

// held is what a deployment has suspended in a group, as its tag tells.
type held struct {
	deployment string
	processes  []string
}

func heldBy(g types.AutoScalingGroup) held {
	tag := tagOf(g, heldTag)
	i := strings.LastIndex(tag, " ")
	if i < 0 {
		return held{}
	}
	return held{tag[:i], strings.Split(tag[i+1:], "+")}
}

// maxTag is how long the value of a tag may be.
const maxTag = 256

func (h held) String() string { return h.deployment + " " + strings.Join(h.processes, "+") }

func suspended(g types.AutoScalingGroup) []string {
	names := make([]string, len(g.SuspendedProcesses))
	for i, p := range g.SuspendedProcesses {
		names[i] = aws.ToString(p.ProcessName)
	}
	return names
}

// toHold is the tag that a group gets for a deployment. What somebody else has
// suspended is not in it; what a deployment that never ended has suspended is.
func toHold(g types.AutoScalingGroup, deployment string, processes []string) held {
	before, now := heldBy(g), suspended(g)
	next := held{deployment: deployment, processes: slices.Clone(before.processes)}
	for _, p := range processes {
		if !slices.Contains(now, p) && !slices.Contains(next.processes, p) {
			next.processes = append(next.processes, p)
		}
	}
	slices.Sort(next.processes)
	return next
}

// hold suspends processes of a group for as long as a deployment lasts. It writes down
// what it suspends before it does, in a tag of the group: whoever finds the tag can
// give the processes back, also if this program is no more.
func hold(ctx context.Context, c GroupClient, g types.AutoScalingGroup, deployment string, processes []string) error {
	next := toHold(g, deployment, processes)
	if len(next.processes) == 0 {
		return nil // somebody else has suspended all of them
	}
	if len(next.String()) > maxTag {
		return refuse(lifecycle.TargetFailed, "the deployment's id is too long for a tag of the Auto Scaling group %s: use one of up to 100 characters", nameOf(g))
	}
	if next.String() != tagOf(g, heldTag) {
		if err := setTag(ctx, c, nameOf(g), heldTag, next.String()); err != nil {
			return err
		}
	}
	err := insist(ctx, func() error { // also those that show as suspended: the look may be from before they were given back
		_, err := awserror.Ask(ctx, c.SuspendProcesses, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: next.processes})
		return err
	})
	if err != nil {
		return failed("suspending processes of the Auto Scaling group "+nameOf(g), err)
	}
	return nil
}

// release gives back what was suspended, and then forgets it.
func release(ctx context.Context, c GroupClient, g types.AutoScalingGroup) error {
	h := heldBy(g)
	if h.deployment == "" {
		return nil
	}
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, c.ResumeProcesses, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: g.AutoScalingGroupName, ScalingProcesses: h.processes})
		return err
	})
	if err != nil {
		return failed("resuming processes of the Auto Scaling group "+nameOf(g)+" ("+strings.Join(h.processes, ", ")+")", err)
	}
	return dropTags(ctx, c, nameOf(g), heldTag)
}

// suspendToo suspends in a copy what somebody else than a deployment has suspended in
// the original, and no longer counts it among what is to be given back.
func suspendToo(ctx context.Context, c GroupClient, from, to types.AutoScalingGroup) error {
	theirs := missing(suspended(from), heldBy(from).processes)
	if len(theirs) == 0 {
		return nil
	}
	ours := heldBy(to)
	left := held{ours.deployment, missing(ours.processes, theirs)}
	var err error
	switch {
	case len(left.processes) == len(ours.processes):
	case len(left.processes) == 0:
		err = dropTags(ctx, c, nameOf(to), heldTag)
	default:
		err = setTag(ctx, c, nameOf(to), heldTag, left.String())
	}
	if err != nil {
		return err
	}
	_, err = awserror.Ask(ctx, c.SuspendProcesses, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: to.AutoScalingGroupName, ScalingProcesses: theirs})
	return err
}
