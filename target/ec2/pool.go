package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Green says where the replacements of a blue/green deployment come from.
type Green struct {
	// Selection is a fleet that exists already (CodeDeploy: DISCOVER_EXISTING), with no
	// instance that serves now. It is neither made nor ended by deployments. Where fleets
	// are Auto Scaling groups, the load balancers of the one that served go over to the
	// green ones; what failed in these is not registered by that. For the next deployment
	// change the two selections round. Empty: the fleet's one Auto Scaling group is copied
	// (COPY_AUTO_SCALING_GROUP).
	Selection

	// Ready is how long the copy may take until its instances are in service in it.
	// Zero: 30 minutes.
	Ready time.Duration
}

var (
	_ target.Pool     = (*Fleet)(nil)
	_ target.Narrator = (*Fleet)(nil)
)

// Provision copies the fleet's Auto Scaling group and waits until n instances are in
// service in the copy. It does what CodeDeploy was seen to do, in its order: the group
// without instances and load balancers, then its policies, schedules and
// notifications, then its capacity. Unlike there, its processes are suspended before
// it gets its capacity, and not after.
//
// The copy is found again by the deployment's id. A group of its name that was not made
// for the deployment is refused. On failure what was launched is returned too, with
// what Auto Scaling says about it.
func (f *Fleet) Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	return f.ProvisionNoting(ctx, deployment, n, func(lifecycle.Note) {})
}

// ProvisionNoting is Provision, and tells once a minute why launches fail, each reason
// once.
func (f *Fleet) ProvisionNoting(ctx context.Context, deployment string, n int, note func(lifecycle.Note)) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := f.valid(); err != nil {
		return nil, err
	}
	f.init()
	p, err := f.copying(ctx, deployment, n)
	if err != nil {
		return nil, ofCall(ctx, deployment, err)
	}
	p.note, p.told = note, map[string]bool{}
	do := p.provision
	if n <= 0 {
		do = p.made // only what there is
	}
	found, err := do(ctx)
	units := f.learn(found, lifecycle.ReplacementRole)
	return units, ofCall(ctx, deployment, err)
}

// ofCall is [ofStep] for what is no step.
func ofCall(ctx context.Context, deployment string, err error) error {
	return ofStep(ctx, lifecycle.Step{Deployment: deployment}, err)
}

// copying finds the group to copy: exactly one.
func (f *Fleet) copying(ctx context.Context, deployment string, n int) (*provisioning, error) {
	c, ok := f.AutoScaling.(CopyClient)
	switch {
	case f.Green == nil:
		return nil, refuse(lifecycle.Unsupported, "the fleet makes no replacements: set Fleet.Green to an empty Green to have the Auto Scaling group copied")
	case !f.Green.empty():
		return nil, refuse(lifecycle.NoUnits, "no instance of the green fleet (%s) can be deployed to: start them, or launch others", f.Green.Selection)
	case !ok || len(f.Groups) != 1 || !f.Tags.Empty():
		return nil, refuse(lifecycle.Unsupported, "to be copied, a fleet must be exactly one Auto Scaling group and no tags, with a client that can do it; this one is %s", f.Selection)
	}
	name := copyName(f.Groups[0], deployment)
	f.mu.Lock()
	f.made[name] = true
	f.mu.Unlock()
	blue, _, err := f.groups(ctx)
	if err != nil {
		return nil, err
	}
	if len(blue) != 1 {
		return nil, refuse(lifecycle.ExternalChange, "%d Auto Scaling groups of the line of %s have traffic, %s and %s among them: finish or roll back what was begun there, so that one is left", len(blue), f.Groups[0], nameOf(blue[0]), nameOf(blue[1]))
	}
	if err := refuseWeighted(blue[0]); err != nil {
		return nil, err
	}
	return &provisioning{f: f, c: c, from: blue[0], deployment: deployment, name: name, n: n}, nil
}

// provisioning is a copy in the making.
type provisioning struct {
	f          *Fleet
	c          CopyClient
	from       types.AutoScalingGroup
	deployment string
	name       string
	n          int
	note       func(lifecycle.Note)
	told       map[string]bool // reasons of failed launches
}

func (p *provisioning) provision(ctx context.Context) ([]Instance, error) {
	if err := p.f.hold(ctx, nameOf(p.from), p.deployment); err != nil {
		return nil, err
	}
	g, err := p.create(ctx)
	if err != nil {
		return nil, err
	}
	processes := slices.DeleteFunc(slices.Clone(whileNew), func(p string) bool { return p == "Launch" })
	for _, do := range []func() error{
		func() error { return hold(ctx, p.c, g, p.deployment, processes) },
		func() error { return p.furnish(ctx, g) },
		func() error { return p.size(ctx, g) },
	} {
		if err := do(); err != nil {
			return nil, err
		}
	}
	found, err := p.wait(ctx)
	if err != nil {
		return found, err
	}
	g, err = p.appear(ctx)
	if err == nil {
		err = hold(ctx, p.c, g, p.deployment, whileNew) // nobody would deploy to what it launches now
	}
	return found, err
}

// made lists what the copy has, if there is one.
func (p *provisioning) made(ctx context.Context) ([]Instance, error) {
	g, err := p.find(ctx)
	if err != nil || nameOf(g) == "" {
		return nil, err
	}
	return members(ctx, p.f.Instances, []types.AutoScalingGroup{g})
}

// find reads the copy; one that somebody else made under its name is an error.
func (p *provisioning) find(ctx context.Context) (types.AutoScalingGroup, error) {
	found, err := groupsNamed(ctx, p.c, []string{p.name})
	switch {
	case err != nil:
		return types.AutoScalingGroup{}, err
	case len(found) == 0:
		return types.AutoScalingGroup{}, nil
	case tagOf(found[0], deploymentTag) != p.deployment:
		return found[0], refuse(lifecycle.ExternalChange, "there is an Auto Scaling group %s that was not made for this deployment: it was left alone; rename it, or deploy under another id", p.name)
	}
	return found[0], nil
}

// create makes the group, unless it is there. If somebody asked a moment ago, its
// answer may have been lost, and the group may not be visible yet.
func (p *provisioning) create(ctx context.Context) (types.AutoScalingGroup, error) {
	g, err := p.find(ctx)
	if err != nil || nameOf(g) != "" {
		return g, err
	}
	var hooks *autoscaling.DescribeLifecycleHooksOutput
	err = insist(ctx, func() (err error) {
		hooks, err = awserror.Ask(ctx, p.c.DescribeLifecycleHooks, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: p.from.AutoScalingGroupName})
		return err
	})
	if err != nil {
		return g, failed("reading the lifecycle hooks of "+nameOf(p.from), err)
	}
	in := copyOf(p.from, hooks.LifecycleHooks, p.f.Groups[0], p.deployment, p.n)
	err = insist(ctx, func() error {
		_, err := awserror.Ask(ctx, p.c.CreateAutoScalingGroup, in)
		if awserror.Code(err) == "AlreadyExists" {
			return nil // by a call whose answer was lost; who made it is looked at below
		}
		return err
	})
	if err != nil {
		return g, failed("creating the Auto Scaling group "+p.name, err)
	}
	return p.appear(ctx)
}

// appear waits for a group that has just been made.
func (p *provisioning) appear(ctx context.Context) (types.AutoScalingGroup, error) {
	for range 10 {
		g, err := p.find(ctx)
		if err != nil || nameOf(g) != "" {
			return g, err
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return g, err
		}
	}
	return types.AutoScalingGroup{}, refuse(lifecycle.Unknown, "the Auto Scaling group %s was created and does not appear", p.name)
}

// size asks for the instances. The original's minimum comes when the copy takes over.
// Launch is suspended if they were there once, and some may have vanished since.
func (p *provisioning) size(ctx context.Context, g types.AutoScalingGroup) error {
	n := int32(p.n)
	if slices.Contains(heldBy(g).processes, "Launch") {
		err := insist(ctx, func() error {
			_, err := awserror.Ask(ctx, p.c.ResumeProcesses, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &p.name, ScalingProcesses: []string{"Launch"}})
			return err
		})
		if err != nil {
			return failed("letting "+p.name+" launch what is missing", err)
		}
	}
	if value(g.DesiredCapacity) >= n {
		return nil
	}
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, p.c.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &p.name,
			MinSize: aws.Int32(min(n, value(p.from.MinSize))), MaxSize: aws.Int32(max(n, value(g.MaxSize))), DesiredCapacity: &n})
		return err
	})
	if err != nil {
		return failed(fmt.Sprintf("asking for %d instances in %s", n, p.name), err)
	}
	return nil
}

// look is how often a group in the making is looked at.
const look = 10 * time.Second

// wait waits until enough instances are in service in the group.
func (p *provisioning) wait(ctx context.Context) ([]Instance, error) {
	limit := p.f.Green.Ready
	if limit <= 0 {
		limit = 30 * time.Minute
	}
	deadline := time.Now().Add(limit)
	for looks := 1; ; looks++ {
		g, err := p.find(ctx)
		if err != nil {
			return nil, err
		}
		found, err := members(ctx, p.f.Instances, []types.AutoScalingGroup{g})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(found, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
		ready := slices.DeleteFunc(slices.Clone(found), func(i Instance) bool { return i.State != "running" })
		if len(ready) >= p.n {
			return ready[:p.n], nil
		}
		if time.Now().After(deadline) {
			return found, refuse(lifecycle.TargetFailed, "%d of %d instances are in service in %s after %s: %s; the original was left as it is", len(ready), p.n, p.name, limit, p.why(ctx))
		}
		if looks%6 == 0 {
			p.tell(ctx)
		}
		if err := sleep(ctx, look); err != nil {
			return found, err
		}
	}
}

// why is what Auto Scaling says about launches that failed.
func (p *provisioning) why(ctx context.Context) string {
	failed, err := p.failures(ctx)
	switch {
	case err != nil:
		return "and what Auto Scaling says about it cannot be read: " + err.Error()
	case len(failed) == 0:
		return "no launch has failed; look at the lifecycle hooks of the group, and at how long an instance takes to start"
	}
	return fmt.Sprintf("%s: %s", aws.ToString(failed[0].Description), aws.ToString(failed[0].StatusMessage))
}

// tell notes why launches fail while they are waited for. That it cannot be read is not
// worth a word: the end will tell.
func (p *provisioning) tell(ctx context.Context) {
	failed, _ := p.failures(ctx)
	for _, a := range failed {
		if why := aws.ToString(a.StatusMessage); !p.told[why] {
			p.told[why] = true
			p.note(lifecycle.Note{Code: lifecycle.TargetFailed, Text: fmt.Sprintf("a launch in %s has failed: %s: %s; Auto Scaling tries again, and it is waited for", p.name, aws.ToString(a.Description), why)})
		}
	}
}

// failures are the launches of the copy that failed, the last one first.
func (p *provisioning) failures(ctx context.Context) ([]types.Activity, error) {
	out, err := awserror.Ask(ctx, p.c.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &p.name})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(out.Activities, func(a types.Activity) bool {
		return a.StatusCode != types.ScalingActivityStatusCodeFailed && a.StatusCode != types.ScalingActivityStatusCodeCancelled
	}), nil
}
