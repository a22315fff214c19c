package ecs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// preProduction is a stage that ECS has hooks for and that its enumeration of reported stages
// lacks.
const preProduction = ecstypes.ServiceDeploymentLifecycleStage(ecstypes.DeploymentLifecycleHookStagePreProductionTrafficShift)

// stages are the stages of a service deployment, in order.
var stages = []ecstypes.ServiceDeploymentLifecycleStage{
	ecstypes.ServiceDeploymentLifecycleStageReconcileService,
	ecstypes.ServiceDeploymentLifecycleStagePreScaleUp,
	ecstypes.ServiceDeploymentLifecycleStageScaleUp,
	ecstypes.ServiceDeploymentLifecycleStagePostScaleUp,
	ecstypes.ServiceDeploymentLifecycleStageTestTrafficShift,
	ecstypes.ServiceDeploymentLifecycleStagePostTestTrafficShift,
	preProduction,
	ecstypes.ServiceDeploymentLifecycleStageProductionTrafficShift,
	ecstypes.ServiceDeploymentLifecycleStagePostProductionTrafficShift,
	ecstypes.ServiceDeploymentLifecycleStageBakeTime,
	ecstypes.ServiceDeploymentLifecycleStageCleanUp,
}

// behind says which stage must lie behind a service deployment when a step is done.
var behind = map[lifecycle.Event]ecstypes.ServiceDeploymentLifecycleStage{
	lifecycle.BeforeInstall:         ecstypes.ServiceDeploymentLifecycleStagePreScaleUp,
	lifecycle.Install:               ecstypes.ServiceDeploymentLifecycleStageScaleUp,
	lifecycle.AfterInstall:          ecstypes.ServiceDeploymentLifecycleStagePostScaleUp,
	lifecycle.AllowTestTraffic:      ecstypes.ServiceDeploymentLifecycleStageTestTrafficShift,
	lifecycle.AfterAllowTestTraffic: ecstypes.ServiceDeploymentLifecycleStagePostTestTrafficShift,
	lifecycle.BeforeAllowTraffic:    preProduction,
	lifecycle.AllowTraffic:          ecstypes.ServiceDeploymentLifecycleStageProductionTrafficShift,
	lifecycle.AfterAllowTraffic:     ecstypes.ServiceDeploymentLifecycleStagePostProductionTrafficShift,
}

// passed reports whether a service deployment has done what a step means. A pause at the end
// of its stage counts: it is the next step that goes on.
func passed(d *ecstypes.ServiceDeployment, step lifecycle.Step) bool {
	if d.Status == ecstypes.ServiceDeploymentStatusSuccessful {
		return true
	}
	at, want := slices.Index(stages, d.LifecycleStage), slices.Index(stages, behind[step.Event])
	weight := 0.0
	if r := d.TargetServiceRevision; r != nil {
		weight = aws.ToFloat64(r.RequestedProductionTrafficWeight)
	}
	switch step.Event {
	case lifecycle.BeforeAllowTraffic: // comes again before each part of a shift
		return at > want || weight > 0
	case lifecycle.AllowTraffic:
		return at > want || at >= 0 && weight >= float64(cmp.Or(step.Weight, target.Full))
	default:
		return at > want || at == want && paused(d) != nil
	}
}

// onward are the stages that ECS goes through only while it goes forward. On the way back it goes
// through the others again.
var onward = []ecstypes.ServiceDeploymentLifecycleStage{
	ecstypes.ServiceDeploymentLifecycleStagePreScaleUp, ecstypes.ServiceDeploymentLifecycleStageScaleUp, ecstypes.ServiceDeploymentLifecycleStagePostScaleUp,
	ecstypes.ServiceDeploymentLifecycleStagePostTestTrafficShift, preProduction, ecstypes.ServiceDeploymentLifecycleStagePostProductionTrafficShift,
}

// failedLater reports whether a deployment that goes back had done what a step means. Then it
// is a later step that has failed.
func failedLater(d *ecstypes.ServiceDeployment, step lifecycle.Step) bool {
	return slices.Contains(onward, d.LifecycleStage) && slices.Index(stages, d.LifecycleStage) > slices.Index(stages, behind[step.Event])
}

// paused is the hook that waits for somebody to say continue; nil: none does.
func paused(d *ecstypes.ServiceDeployment) *ecstypes.DeploymentLifecycleHookDetail {
	i := slices.IndexFunc(d.LifecycleHookDetails, func(h ecstypes.DeploymentLifecycleHookDetail) bool {
		return h.TargetType == ecstypes.DeploymentLifecycleHookTargetTypePause && h.Status == ecstypes.DeploymentLifecycleHookStatusAwaitingAction
	})
	if i < 0 {
		return nil
	}
	return &d.LifecycleHookDetails[i]
}

// running lists the states of a service deployment that has not ended.
var running = []ecstypes.ServiceDeploymentStatus{
	ecstypes.ServiceDeploymentStatusPending, ecstypes.ServiceDeploymentStatusInProgress, ecstypes.ServiceDeploymentStatusStopRequested,
	ecstypes.ServiceDeploymentStatusRollbackRequested, ecstypes.ServiceDeploymentStatusRollbackInProgress,
}

// Perform implements [target.Target]. A step of the replacement waits until ECS has come so
// far; the first one starts it. AllowTraffic on the original makes ECS roll back.
func (n *Native) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return located(ctx, t.Step, n.perform(ctx, t))
}

func (n *Native) perform(ctx context.Context, t target.Task) error {
	if err := n.valid(); err != nil {
		return err
	}
	if t.Step.Unit != n.original() && t.Step.Unit != n.replacement() {
		return fail(lifecycle.UnitLost, "service %s has no unit %q: it has %s and %s", n.Name, t.Step.Unit, n.original(), n.replacement())
	}
	b := &nativeBefore{}
	if t.Job == nil || t.Job.Before == nil || json.Unmarshal(t.Job.Before.Data, b) != nil || !b.Native || b.Spec == nil {
		return fail(lifecycle.Unsupported, "the step comes without a snapshot of the service: take one with Native.Snapshot before the deployment, and give it in Job.Before")
	}
	_, forward := behind[t.Step.Event]
	original := t.Step.Unit == n.original()
	switch {
	case original && t.Step.Event == lifecycle.AllowTraffic:
		return n.rollBack(ctx, t, b)
	case t.Step.Event == lifecycle.Retire:
		return n.cleanedUp(ctx, t, b, original)
	case original && slices.Contains(lifecycle.RollbackOriginal.Events(), t.Step.Event):
		return nil
	case !original && forward:
		return n.forward(ctx, t, b)
	}
	return fail(lifecycle.Unsupported, "there is no %s on %s", t.Step.Event, t.Step.Unit)
}

// forward waits until ECS has done what the step means, and lets pauses pass that are the
// step's own.
func (n *Native) forward(ctx context.Context, t target.Task, b *nativeBefore) error {
	arn, err := n.started(ctx, t, b)
	if err != nil {
		return err
	}
	return n.follow(ctx, t, arn, func(d *ecstypes.ServiceDeployment) (bool, error) {
		if !slices.Contains(running, d.Status) && d.Status != ecstypes.ServiceDeploymentStatusSuccessful || turned(d) {
			if failedLater(d, t.Step) {
				return true, nil
			}
			return false, n.ended(d)
		}
		if passed(d, t.Step) {
			return true, nil
		}
		if hook := paused(d); hook != nil {
			in := &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: &arn, HookId: hook.HookId, Action: ecstypes.DeploymentLifecycleHookActionContinue}
			_, err := call(ctx, "ecs:ContinueServiceDeployment", arn, n.ECS.ContinueServiceDeployment, in, nil)
			return false, err
		}
		return false, nil
	})
}

// turned reports whether ECS is on its way back.
func turned(d *ecstypes.ServiceDeployment) bool {
	return slices.Contains([]ecstypes.ServiceDeploymentStatus{ecstypes.ServiceDeploymentStatusRollbackRequested, ecstypes.ServiceDeploymentStatusRollbackInProgress,
		ecstypes.ServiceDeploymentStatusStopRequested}, d.Status)
}

// ended is why a service deployment will not succeed.
func (n *Native) ended(d *ecstypes.ServiceDeployment) error {
	code := lifecycle.TargetFailed
	why := aws.ToString(d.StatusReason)
	if r := d.Rollback; r != nil && aws.ToString(r.Reason) != why {
		why = strings.TrimSpace(why + " " + aws.ToString(r.Reason))
	}
	failedHook := slices.ContainsFunc(d.LifecycleHookDetails, func(h ecstypes.DeploymentLifecycleHookDetail) bool {
		return h.Status == ecstypes.DeploymentLifecycleHookStatusFailed || h.Status == ecstypes.DeploymentLifecycleHookStatusTimedOut
	})
	switch {
	case d.Alarms != nil && d.Alarms.Status == ecstypes.ServiceDeploymentRollbackMonitorsStatusTriggered:
		code = lifecycle.AlarmActive
		why = strings.TrimSpace(why + " alarms: " + strings.Join(d.Alarms.TriggeredAlarmNames, ", "))
	case failedHook:
		code = lifecycle.HookFailed
	}
	return fail(code, "ECS has ended its deployment of service %s in stage %s, it is %s: %s", n.Name, d.LifecycleStage, d.Status, cmp.Or(why, "it does not say why"))
}

// follow looks at a service deployment until done says so, and notes the stages that it sees.
func (n *Native) follow(ctx context.Context, t target.Task, arn string, done func(*ecstypes.ServiceDeployment) (bool, error)) error {
	seen := ""
	for until := time.Now().Add(cmp.Or(n.Within, time.Hour) + n.waits(t.Step.Event)); ; {
		d, err := n.deployment(ctx, arn)
		if err != nil {
			return err
		}
		state := fmt.Sprintf("ECS: %s, stage %s", d.Status, cmp.Or(string(d.LifecycleStage), "none yet"))
		if r := d.TargetServiceRevision; r != nil {
			state += fmt.Sprintf(", %d of %d tasks run, %g %% of the traffic", r.RunningTaskCount, r.RequestedTaskCount, aws.ToFloat64(r.RequestedProductionTrafficWeight))
		}
		if stage := string(d.Status) + string(d.LifecycleStage); stage != seen && t.Note != nil {
			seen = stage
			t.Note(lifecycle.Note{Text: state})
		}
		switch ok, err := done(d); {
		case ok || err != nil:
			return err
		case time.Now().After(until):
			return fail(lifecycle.TimedOut, "the deployment of service %s by ECS has not come as far as %s: %s", n.Name, t.Step.Event, state)
		}
		if err := pause(ctx, n.poll()); err != nil {
			return err
		}
	}
}

func (n *Native) poll() time.Duration { return cmp.Or(n.Poll, 15*time.Second) }

// waits is how long ECS itself waits on the way to the end of an event.
func (n *Native) waits(e lifecycle.Event) time.Duration {
	switch e {
	case lifecycle.AllowTraffic:
		return n.Shift.Every * time.Duration(len(n.Shift.Weights())-1)
	case lifecycle.Retire:
		return n.Group.Bake
	default:
		return 0
	}
}

// deployment reads one service deployment.
func (n *Native) deployment(ctx context.Context, arn string) (*ecstypes.ServiceDeployment, error) {
	out, err := call(ctx, "ecs:DescribeServiceDeployments", arn, n.ECS.DescribeServiceDeployments, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}}, func(out *ecs.DescribeServiceDeploymentsOutput) error {
		if len(out.ServiceDeployments) != 1 {
			return odd(lifecycle.Unknown, "ECS says nothing about the service deployment %s", arn)
		}
		if s := out.ServiceDeployments[0].Status; !slices.Contains(s.Values(), s) {
			return odd(lifecycle.Unknown, "the service deployment %s is in a state that nobody knows: %q", arn, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out.ServiceDeployments[0], nil
}
