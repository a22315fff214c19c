package autoscaling

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

func (g *Groups) handleHooks(api *awsfake.API) {
	onGroup(g, api, "PutLifecycleHook", func(in *as.PutLifecycleHookInput) *string { return in.AutoScalingGroupName }, putHook)
	onGroup(g, api, "DeleteLifecycleHook", func(in *as.DeleteLifecycleHookInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.DeleteLifecycleHookInput) (*as.DeleteLifecycleHookOutput, error) {
			gr.hooks = slices.DeleteFunc(gr.hooks, func(h types.LifecycleHook) bool { return *h.LifecycleHookName == *in.LifecycleHookName })
			return &as.DeleteLifecycleHookOutput{}, nil
		})
	onGroup(g, api, "DescribeLifecycleHooks", func(in *as.DescribeLifecycleHooksInput) *string { return in.AutoScalingGroupName },
		func(gr *group, _ *as.DescribeLifecycleHooksInput) (*as.DescribeLifecycleHooksOutput, error) {
			return &as.DescribeLifecycleHooksOutput{LifecycleHooks: slices.Clone(gr.hooks)}, nil
		})
	onGroup(g, api, "CompleteLifecycleAction", func(in *as.CompleteLifecycleActionInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.CompleteLifecycleActionInput) (*as.CompleteLifecycleActionOutput, error) {
			m, err := gr.waiting(in.InstanceId, in.LifecycleActionToken, in.LifecycleHookName)
			if err != nil {
				return nil, err
			}
			g.complete(gr, m, aws.ToString(in.LifecycleActionResult))
			return &as.CompleteLifecycleActionOutput{}, nil
		})
	onGroup(g, api, "RecordLifecycleActionHeartbeat", func(in *as.RecordLifecycleActionHeartbeatInput) *string { return in.AutoScalingGroupName },
		func(gr *group, in *as.RecordLifecycleActionHeartbeatInput) (*as.RecordLifecycleActionHeartbeatOutput, error) {
			m, err := gr.waiting(in.InstanceId, in.LifecycleActionToken, in.LifecycleHookName)
			if err != nil {
				return nil, err
			}
			m.until = time.Now().Add(gr.heartbeat(m.hook))
			return &as.RecordLifecycleActionHeartbeatOutput{}, nil
		})
}

func putHook(gr *group, in *as.PutLifecycleHookInput) (*as.PutLifecycleHookOutput, error) {
	h := types.LifecycleHook{AutoScalingGroupName: in.AutoScalingGroupName, LifecycleHookName: in.LifecycleHookName, DefaultResult: in.DefaultResult,
		HeartbeatTimeout: in.HeartbeatTimeout, LifecycleTransition: in.LifecycleTransition, NotificationMetadata: in.NotificationMetadata,
		NotificationTargetARN: in.NotificationTargetARN, RoleARN: in.RoleARN}
	if h.DefaultResult == nil {
		h.DefaultResult = aws.String("ABANDON")
	}
	if h.HeartbeatTimeout == nil {
		h.HeartbeatTimeout = aws.Int32(3600)
	}
	gr.hooks = slices.DeleteFunc(gr.hooks, func(o types.LifecycleHook) bool { return *o.LifecycleHookName == *in.LifecycleHookName })
	gr.hooks = append(gr.hooks, h)
	return &as.PutLifecycleHookOutput{}, nil
}

func (gr *group) hookFor(transition string) *types.LifecycleHook {
	for i := range gr.hooks {
		if aws.ToString(gr.hooks[i].LifecycleTransition) == transition {
			return &gr.hooks[i]
		}
	}
	return nil
}

func (gr *group) named(hook string) *types.LifecycleHook {
	for i := range gr.hooks {
		if aws.ToString(gr.hooks[i].LifecycleHookName) == hook {
			return &gr.hooks[i]
		}
	}
	return nil
}

func (gr *group) heartbeat(hook string) time.Duration {
	if h := gr.named(hook); h != nil {
		return time.Duration(*h.HeartbeatTimeout) * time.Second
	}
	return 0
}

func (gr *group) defaultResult(hook string) string {
	if h := gr.named(hook); h != nil {
		return *h.DefaultResult
	}
	return "CONTINUE"
}

// hold keeps a member in Pending:Wait.
func (g *Groups) hold(m *member, h *types.LifecycleHook) {
	g.serial++
	m.state, m.hook, m.token = types.LifecycleStatePendingWait, *h.LifecycleHookName, fmt.Sprintf("token-%d", g.serial)
	m.until = time.Now().Add(time.Duration(*h.HeartbeatTimeout) * time.Second)
}

func (gr *group) waiting(instance, token, hook *string) (*member, error) {
	for _, m := range gr.members {
		same := instance != nil && m.id == *instance || token != nil && m.token == *token
		if same && m.state == types.LifecycleStatePendingWait && m.hook == aws.ToString(hook) {
			return m, nil
		}
	}
	return nil, awsfake.APIError("ValidationError", "No active Lifecycle Action found with instance ID "+aws.ToString(instance))
}

// complete ends a member's wait.
func (g *Groups) complete(gr *group, m *member, result string) {
	m.token, m.hook = "", ""
	if result == "CONTINUE" {
		g.admit(gr, m)
		return
	}
	g.end(gr, m, "the lifecycle hook said "+result)
}
