package ecs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// Native is a service of the ECS controller, which ECS itself deploys: a [target.Target]
// for the strategy that [Native.Strategy] returns. The same AppSpec is translated
// ([appspec.Native]), ECS is told to deploy, and each step waits until ECS has come as far as
// the step means. What ECS does beside that becomes notes.
//
// ECS moves the traffic and counts the waits, and goes on when nobody looks. So a deployment
// that is stopped, or stopped by an alarm, must be rolled back to have an effect: without
// a rollback ECS carries on to the end. Functions of the AppSpec are called by ECS, with its
// own payload, and Group.Role.
//
// Fill in the fields; they must not change while it is used. All methods may be called from
// many goroutines.
type Native struct {
	ECS NativeAPI // required

	Cluster string // name or ARN; required
	Name    string // of the service; required
	// Shift is how the traffic moves. ECS counts in whole minutes. Zero: all at once.
	Shift strategy.Shift
	// Rolling replaces tasks few at a time, without a second target group. The deployment
	// then has no shift of traffic and no stages: Shift and Group.Approval must be zero, and
	// an AppSpec that names functions is refused. Zero: blue/green.
	Rolling bool
	// Group names what an AppSpec does not: target groups, listener rules, role, alarms,
	// how long to bake, whether a person approves before traffic moves (a PAUSE hook).
	// Config is filled in from Shift.
	Group appspec.Group

	// Within is how long one step may take, without the waits of ECS. Zero: an hour.
	Within time.Duration
	// Poll is how often the service deployment is looked at. Zero: 15 s.
	Poll time.Duration
}

// NativeAPI is what [Native] asks of ECS. An *ecs.Client has it.
type NativeAPI interface {
	DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error)
	DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
	UpdateService(context.Context, *ecs.UpdateServiceInput, ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error)
	ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error)
	DescribeServiceDeployments(context.Context, *ecs.DescribeServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error)
	DescribeServiceRevisions(context.Context, *ecs.DescribeServiceRevisionsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error)
	StopServiceDeployment(context.Context, *ecs.StopServiceDeploymentInput, ...func(*ecs.Options)) (*ecs.StopServiceDeploymentOutput, error)
	ContinueServiceDeployment(context.Context, *ecs.ContinueServiceDeploymentInput, ...func(*ecs.Options)) (*ecs.ContinueServiceDeploymentOutput, error)
}

var (
	_ target.Target      = (*Native)(nil)
	_ target.Checker     = (*Native)(nil)
	_ target.TestRouted  = (*Native)(nil)
	_ target.Snapshotter = (*Native)(nil)
)

// Strategy is what a deployment to the service needs: the plan of what ECS will do.
func (n *Native) Strategy() strategy.Strategy {
	s := strategy.ECS{Name: "ECS by itself, " + n.Shift.String(), Shift: n.Shift, Termination: strategy.Wait{For: n.Group.Bake}}
	if n.Rolling {
		s.Name = "ECS by itself, rolling"
	}
	if n.Group.Approval > 0 {
		s.Ready = strategy.Wait{For: n.Group.Approval, StopOnExpiry: true}
	}
	return s
}

// The units of a service that ECS deploys: which tasks they are changes with each deployment.
func (n *Native) original() string    { return short(n.Name) + "/original" }
func (n *Native) replacement() string { return short(n.Name) + "/replacement" }

// Units lists what serves and what is to serve. Their names never change.
func (n *Native) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return []lifecycle.Unit{{ID: n.original(), Role: lifecycle.OriginalRole}, {ID: n.replacement(), Role: lifecycle.ReplacementRole}}, n.valid()
}

// TestRoute implements [target.TestRouted].
func (n *Native) TestRoute() bool { return n.Group.TestListener != "" && !n.Rolling }

func (n *Native) valid() error {
	refuse := func(what string) error { return fail(lifecycle.TargetFailed, "ecs.Native: %s", what) }
	switch {
	case n.ECS == nil:
		return refuse("ECS is nil: give it a client")
	case n.Cluster == "" || n.Name == "":
		return refuse("Cluster or Name is empty: say which service")
	case n.Rolling && n.Shift != strategy.Shift{}:
		return refuse("Rolling replaces tasks and shifts no traffic: leave Shift out")
	case n.Rolling && n.Group.Approval > 0:
		return refuse("Rolling replaces tasks without a pause: nobody could approve before traffic moves; leave Group.Approval out")
	case n.Shift.Every%time.Minute != 0:
		return refuse(fmt.Sprintf("the shift waits %s between two parts: ECS counts in whole minutes", n.Shift.Every))
	}
	return nil
}

// config names the shift as a deployment configuration.
func (n *Native) config() string {
	minutes := int(n.Shift.Every / time.Minute)
	switch {
	case n.Shift == strategy.Shift{}:
		return "AllAtOnce"
	case n.Shift.Linear:
		return fmt.Sprintf("Linear%dPercentEvery%dMinutes", n.Shift.Percent, minutes)
	default:
		return fmt.Sprintf("Canary%dPercent%dMinutes", n.Shift.Percent, minutes)
	}
}

// translate makes ECS's own configuration of an AppSpec, and the warnings about that.
func (n *Native) translate(spec *appspec.Spec) (*appspec.NativeService, []lifecycle.Note, error) {
	g := n.Group
	g.Config, g.Rollback = n.config(), true
	out, warnings, err := appspec.Native(spec, g)
	if err != nil {
		return nil, nil, invalid(err)
	}
	if n.Rolling && len(spec.Functions) > 0 {
		h := spec.Functions[0]
		return nil, nil, fail(lifecycle.AppSpecInvalid, "the AppSpec names the function %s for %s, and a rolling deployment has no stages that could call it: deploy blue/green, or take the functions out", h.Function, h.Event)
	}
	if n.Rolling {
		out.LoadBalancers, out.DeploymentConfiguration.Strategy, out.DeploymentConfiguration.LifecycleHooks = nil, string(ecstypes.DeploymentStrategyRolling), nil
	}
	return out, problemNotes(warnings), nil
}

// Check implements [target.Checker]: it translates the AppSpec, and tells what ECS has no
// equal of.
func (n *Native) Check(_ context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if err := n.valid(); err != nil {
		return nil, err
	}
	spec, notes, err := readSpec(job)
	if err != nil {
		return notes, err
	}
	_, more, err := n.translate(spec)
	return append(notes, more...), err
}

// nativeBefore is how a service was found that ECS deploys.
type nativeBefore struct {
	Native     bool          `json:"native"`
	Definition string        `json:"definition"` // task definition that served
	Newest     time.Time     `json:"newest"`     // when its newest service deployment was made; zero: it has had none
	Spec       *appspec.Spec `json:"spec"`
}

// Snapshot implements [target.Snapshotter]: it refuses a service of another controller, and one
// that ECS is deploying already.
func (n *Native) Snapshot(ctx context.Context, job *target.Job) (target.Snapshot, error) {
	if err := n.valid(); err != nil {
		return target.Snapshot{}, err
	}
	spec, _, err := readSpec(job)
	if err != nil {
		return target.Snapshot{}, err
	}
	svc, err := describe(ctx, n.ECS, n.Cluster, n.Name)
	if err != nil {
		return target.Snapshot{}, err
	}
	if c := svc.DeploymentController; c != nil && c.Type != ecstypes.DeploymentControllerTypeEcs {
		return target.Snapshot{}, fail(lifecycle.Unsupported, "service %s is of the %s controller, so ECS does not deploy it by itself: move it to the ECS controller with UpdateService, or use Service", n.Name, c.Type)
	}
	b := nativeBefore{Native: true, Definition: aws.ToString(svc.TaskDefinition), Spec: spec}
	if b.Newest, err = n.newest(ctx); err != nil {
		return target.Snapshot{}, err
	}
	if err := checkDefinition(ctx, n.ECS, spec.Service, svc.NetworkConfiguration); err != nil {
		return target.Snapshot{}, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return target.Snapshot{}, fail(lifecycle.TargetFailed, "writing the snapshot: %v", err)
	}
	return target.Snapshot{Weights: map[string]lifecycle.Weight{n.original(): target.Full}, Data: data}, nil
}
