package ecs

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// deployment is a service deployment of the ECS controller: a state machine that goes on by
// itself, a second at a time.
type deployment struct {
	types.ServiceDeployment
	of         *service
	blue       *taskSet
	green      *taskSet
	config     types.DeploymentConfiguration
	stage      int
	since      time.Time // when the stage began
	part       int       // of the shift
	pauses     map[int]bool
	before     *types.Service
	alternate  string // target group of green; empty: a rolling deployment
	serving    string // target group of blue
	production string // listener rule
	test       string
}

const preProduction = types.ServiceDeploymentLifecycleStage("PRE_PRODUCTION_TRAFFIC_SHIFT")

// order lists the stages. ECS does not report the one before production, so a deployment
// there looks as if it were in the stage before.
var order = []types.ServiceDeploymentLifecycleStage{
	types.ServiceDeploymentLifecycleStagePreScaleUp, types.ServiceDeploymentLifecycleStageScaleUp, types.ServiceDeploymentLifecycleStagePostScaleUp,
	types.ServiceDeploymentLifecycleStageTestTrafficShift, types.ServiceDeploymentLifecycleStagePostTestTrafficShift, preProduction,
	types.ServiceDeploymentLifecycleStageProductionTrafficShift, types.ServiceDeploymentLifecycleStagePostProductionTrafficShift,
	types.ServiceDeploymentLifecycleStageBakeTime, types.ServiceDeploymentLifecycleStageCleanUp,
}

func (e *ECS) native(api *awsfake.API) {
	on(api, e, "ListServiceDeployments", e.listDeployments)
	on(api, e, "DescribeServiceDeployments", e.describeDeployments)
	on(api, e, "DescribeServiceRevisions", e.describeRevisions)
	on(api, e, "StopServiceDeployment", e.stopDeployment)
	on(api, e, "ContinueServiceDeployment", e.continueDeployment)
}

// Hook says whether hooks of a stage succeed when they are called from now on. They do at
// first.
func (e *ECS) Hook(stage types.DeploymentLifecycleHookStage, succeeds bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.badHooks[string(stage)] = !succeeds
}

// updateNative starts a service deployment.
func (e *ECS) updateNative(s *service, in *sdk.UpdateServiceInput) (*sdk.UpdateServiceOutput, error) {
	if in.DesiredCount != nil {
		s.DesiredCount = *in.DesiredCount
		e.reconcile(s)
	}
	if !in.ForceNewDeployment && in.TaskDefinition == nil {
		return &sdk.UpdateServiceOutput{Service: e.describe(s)}, nil
	}
	name := in.TaskDefinition
	if name == nil {
		name = s.TaskDefinition
	}
	definition, err := e.definition(name)
	if err != nil {
		return nil, invalid("TaskDefinition not found.")
	}
	for _, d := range e.deployments {
		if d.of == s && d.live() {
			e.end(d, types.ServiceDeploymentStatusStopped, "replaced by a newer deployment")
		}
	}
	d := &deployment{of: s, blue: s.sets[0], since: time.Now(), pauses: map[int]bool{}, before: awsfake.Clone(&s.Service)}
	if in.DeploymentConfiguration != nil {
		s.DeploymentConfiguration = in.DeploymentConfiguration
	}
	if s.DeploymentConfiguration != nil {
		d.config = *s.DeploymentConfiguration
	}
	if in.LoadBalancers != nil {
		s.LoadBalancers = in.LoadBalancers
	}
	if in.NetworkConfiguration != nil {
		s.NetworkConfiguration = in.NetworkConfiguration
	}
	s.TaskDefinition = definition.TaskDefinitionArn
	id := e.number()
	d.ServiceDeployment = types.ServiceDeployment{ServiceDeploymentArn: arn("service-deployment", s.cluster, *s.ServiceName, id), ServiceArn: s.ServiceArn, ClusterArn: s.ClusterArn,
		CreatedAt: aws.Time(time.Now()), Status: types.ServiceDeploymentStatusPending, DeploymentConfiguration: s.DeploymentConfiguration,
		TargetServiceRevision: &types.ServiceRevisionSummary{Arn: arn("service-revision", s.cluster, *s.ServiceName, id), RequestedProductionTrafficWeight: aws.Float64(0), RequestedTestTrafficWeight: aws.Float64(0)}}
	e.revisions[*d.TargetServiceRevision.Arn] = definition.TaskDefinitionArn
	if err := e.routes(d); err != nil {
		return nil, err
	}
	e.deployments = append(e.deployments, d)
	e.later(time.Second, func() { e.tick(d, definition) })
	return &sdk.UpdateServiceOutput{Service: e.describe(s)}, nil
}

// routes finds out where the traffic goes, and refuses what ECS would.
func (e *ECS) routes(d *deployment) error {
	if d.config.Strategy == "" || d.config.Strategy == types.DeploymentStrategyRolling {
		return nil
	}
	if len(d.of.LoadBalancers) != 1 || d.of.LoadBalancers[0].AdvancedConfiguration == nil {
		return invalid("%s deployments need a load balancer with advancedConfiguration.", d.config.Strategy)
	}
	lb := d.of.LoadBalancers[0]
	d.serving, d.alternate = aws.ToString(d.blue.LoadBalancers[0].TargetGroupArn), aws.ToString(lb.AdvancedConfiguration.AlternateTargetGroupArn)
	if d.alternate == d.serving {
		d.alternate = aws.ToString(lb.TargetGroupArn)
	}
	d.production, d.test = aws.ToString(lb.AdvancedConfiguration.ProductionListenerRule), aws.ToString(lb.AdvancedConfiguration.TestListenerRule)
	if d.production == "" || aws.ToString(lb.AdvancedConfiguration.RoleArn) == "" {
		return invalid("advancedConfiguration needs productionListenerRule and roleArn.")
	}
	return nil
}

func (d *deployment) live() bool {
	return slices.Contains([]types.ServiceDeploymentStatus{types.ServiceDeploymentStatusPending, types.ServiceDeploymentStatusInProgress,
		types.ServiceDeploymentStatusRollbackRequested, types.ServiceDeploymentStatusRollbackInProgress}, d.Status)
}

func (e *ECS) end(d *deployment, s types.ServiceDeploymentStatus, why string) {
	d.Status, d.FinishedAt, d.UpdatedAt = s, aws.Time(time.Now()), aws.Time(time.Now())
	if why != "" {
		d.StatusReason = &why
	}
}

// tick lets a deployment go on.
func (e *ECS) tick(d *deployment, definition *types.TaskDefinition) {
	switch d.Status {
	case types.ServiceDeploymentStatusPending:
		d.Status, d.StartedAt, d.since = types.ServiceDeploymentStatusInProgress, aws.Time(time.Now()), time.Now()
	case types.ServiceDeploymentStatusInProgress:
		e.advance(d, definition)
	case types.ServiceDeploymentStatusRollbackRequested:
		d.Status, d.since = types.ServiceDeploymentStatusRollbackInProgress, time.Now()
		e.lead(d, 0, 0)
	case types.ServiceDeploymentStatusRollbackInProgress:
		e.goBack(d)
	default:
		return
	}
	e.later(time.Second, func() { e.tick(d, definition) })
}

// advance does what the stage is there for, and goes on to the next one when that is done.
func (e *ECS) advance(d *deployment, definition *types.TaskDefinition) {
	stage := order[d.stage]
	if stage != preProduction && d.alternate != "" { // a rolling deployment has no stages to tell
		d.LifecycleStage = stage
	}
	done := time.Since(d.since) >= 5*time.Second
	switch stage {
	case types.ServiceDeploymentLifecycleStageScaleUp:
		done = e.scaleUp(d, definition)
	case types.ServiceDeploymentLifecycleStageTestTrafficShift:
		e.lead(d, 100, aws.ToFloat64(d.TargetServiceRevision.RequestedProductionTrafficWeight))
	case types.ServiceDeploymentLifecycleStageProductionTrafficShift:
		done = e.shift(d)
	case types.ServiceDeploymentLifecycleStageBakeTime:
		done = time.Since(d.since) >= time.Duration(aws.ToInt32(d.config.BakeTimeInMinutes))*time.Minute
	case types.ServiceDeploymentLifecycleStageCleanUp:
		done = e.cleanUp(d)
	default:
		done = done && e.hooks(d, string(stage))
	}
	if !done || d.Status != types.ServiceDeploymentStatusInProgress {
		return
	}
	d.LifecycleHookDetails = nil
	if d.stage++; d.stage == len(order) {
		e.end(d, types.ServiceDeploymentStatusSuccessful, "")
		return
	}
	d.since = time.Now()
}

// scaleUp starts the new tasks and waits for them. Tasks that crash trip the circuit breaker.
func (e *ECS) scaleUp(d *deployment, definition *types.TaskDefinition) bool {
	if d.green == nil {
		d.green = e.newSet(d.of, definition)
		if d.alternate != "" {
			lb := d.of.LoadBalancers[0]
			d.green.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: &d.alternate, ContainerName: lb.ContainerName, ContainerPort: lb.ContainerPort}}
		}
		e.reconcile(d.of)
	}
	crashed := 0
	for _, t := range d.green.tasks {
		if t.StopCode == types.TaskStopCodeEssentialContainerExited || t.StopCode == types.TaskStopCodeTaskFailedToStart {
			crashed++
		}
	}
	if b := d.config.DeploymentCircuitBreaker; crashed >= 3 && b != nil && b.Enable {
		e.fail(d, fmt.Sprintf("ECS deployment circuit breaker: tasks failed to start (%d).", crashed))
		return false
	}
	shown := e.describeSet(d.green)
	d.TargetServiceRevision.RequestedTaskCount, d.TargetServiceRevision.RunningTaskCount, d.TargetServiceRevision.PendingTaskCount = shown.ComputedDesiredCount, shown.RunningCount, shown.PendingCount
	return shown.StabilityStatus == types.StabilityStatusSteadyState && time.Since(d.since) > 5*time.Second
}

// parts are the weights that the new tasks get, one after the other, and the wait behind each.
func (d *deployment) parts() (weights []float64, wait time.Duration) {
	switch c, l := d.config.CanaryConfiguration, d.config.LinearConfiguration; d.config.Strategy {
	case types.DeploymentStrategyCanary:
		return []float64{*c.CanaryPercent, 100}, time.Duration(*c.CanaryBakeTimeInMinutes) * time.Minute
	case types.DeploymentStrategyLinear:
		for w := *l.StepPercent; w < 100; w += *l.StepPercent {
			weights = append(weights, w)
		}
		return append(weights, 100), time.Duration(*l.StepBakeTimeInMinutes) * time.Minute
	default:
		return []float64{100}, 0
	}
}

// shift gives the new tasks one part of the traffic. Before the next one the stage before
// comes again, with its hooks. It reports whether all has moved.
func (e *ECS) shift(d *deployment) bool {
	weights, wait := d.parts()
	e.lead(d, 100, weights[d.part])
	if d.part == len(weights)-1 {
		return true
	}
	if time.Since(d.since) >= wait {
		d.part, d.stage, d.since, d.pauses = d.part+1, slices.Index(order, preProduction), time.Now(), map[int]bool{}
	}
	return false
}

// lead sets both weights of the new tasks.
func (e *ECS) lead(d *deployment, test, production float64) {
	r := d.TargetServiceRevision
	if d.alternate == "" {
		r.RequestedProductionTrafficWeight, r.RequestedTestTrafficWeight = nil, nil
		return
	}
	if aws.ToFloat64(r.RequestedProductionTrafficWeight) != production {
		e.balancers.Lead(d.production, map[string]int32{d.alternate: int32(production), d.serving: 100 - int32(production)})
	}
	if d.test != "" && aws.ToFloat64(r.RequestedTestTrafficWeight) != test {
		e.balancers.Lead(d.test, map[string]int32{d.alternate: int32(test), d.serving: 100 - int32(test)})
	}
	r.RequestedProductionTrafficWeight, r.RequestedTestTrafficWeight = &production, &test
}

// hooks calls what a stage has hooks for. It reports whether all have succeeded.
func (e *ECS) hooks(d *deployment, stage string) bool {
	for i, h := range d.config.LifecycleHooks {
		if !slices.Contains(h.LifecycleStages, types.DeploymentLifecycleHookStage(stage)) || d.pauses[i] {
			continue
		}
		id := aws.String(fmt.Sprintf("hook-%d", i))
		if h.TargetType == types.DeploymentLifecycleHookTargetTypePause {
			d.LifecycleHookDetails = []types.DeploymentLifecycleHookDetail{{HookId: id, TargetType: h.TargetType, Status: types.DeploymentLifecycleHookStatusAwaitingAction}}
			if limit := h.TimeoutConfiguration; limit != nil && time.Since(d.since) > time.Duration(*limit.TimeoutInMinutes)*time.Minute {
				d.LifecycleHookDetails[0].Status = types.DeploymentLifecycleHookStatusTimedOut
				e.fail(d, "a lifecycle hook timed out")
			}
			return false
		}
		if e.badHooks[stage] {
			d.LifecycleHookDetails = []types.DeploymentLifecycleHookDetail{{HookId: id, TargetType: h.TargetType, TargetArn: h.HookTargetArn, Status: types.DeploymentLifecycleHookStatusFailed}}
			e.fail(d, "a lifecycle hook of stage "+stage+" failed")
			return false
		}
	}
	return true
}

// fail makes ECS roll back by itself.
func (e *ECS) fail(d *deployment, why string) {
	d.Status, d.StatusReason = types.ServiceDeploymentStatusRollbackRequested, &why
	d.Rollback = &types.Rollback{Reason: &why, StartedAt: aws.Time(time.Now())}
}

// cleanUp removes the old tasks. It reports whether they are gone.
func (e *ECS) cleanUp(d *deployment) bool {
	if *d.blue.Status != draining {
		e.removeSet(d.blue)
		d.green.Status = aws.String(primary)
	}
	return !slices.Contains(d.of.sets, d.blue)
}

// goBack removes the new tasks once traffic is back.
func (e *ECS) goBack(d *deployment) {
	if d.green != nil && *d.green.Status != draining {
		e.removeSet(d.green)
	}
	if d.green != nil && slices.Contains(d.of.sets, d.green) || time.Since(d.since) < 5*time.Second {
		return
	}
	d.of.TaskDefinition, d.of.LoadBalancers, d.of.NetworkConfiguration = d.before.TaskDefinition, d.before.LoadBalancers, d.before.NetworkConfiguration
	e.end(d, types.ServiceDeploymentStatusRollbackSuccessful, "")
}
