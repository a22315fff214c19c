package ec2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// HookName is the name of the lifecycle hook that a [Listener] answers.
const HookName = "cutover-launch"

// launching is the transition that the hook is for.
const launching = "autoscaling:EC2_INSTANCE_LAUNCHING"

// HookClient is what is used of [autoscaling.Client] by a [Listener].
type HookClient interface {
	GroupClient
	PutLifecycleHook(context.Context, *autoscaling.PutLifecycleHookInput, ...func(*autoscaling.Options)) (*autoscaling.PutLifecycleHookOutput, error)
	RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput, ...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error)
	CompleteLifecycleAction(context.Context, *autoscaling.CompleteLifecycleActionInput, ...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error)
}

// Listener deploys to the instances that Auto Scaling groups launch, before they are in
// service, as CodeDeploy does: a lifecycle hook holds each of them until the last good
// revision is on it. Call [Listener.Install] once, and [Listener.Run] in a process that
// is always there; several of them do no harm.
//
// It polls the groups and needs no queue. What it does to an instance is known by the
// instance and the revision, so one that is started again goes on, and does nothing
// twice. Copies in the making, of blue/green deployments, it leaves alone; what a group
// launches that was replaced and kept gets the revision, and no traffic.
type Listener struct {
	Groups      []string   // names of Auto Scaling groups; their copies are meant too. Required
	AutoScaling HookClient // required
	Instances   Instances  // required
	Reach       Reach      // required
	Balancers   *Balancers // nil: there are none

	// Job says what to deploy: the last good revision, with the same Group as the
	// deployments have. It is asked for each instance, before and after, and an instance
	// that was deployed to while that changed is deployed to again. Nil, without an
	// error: there is none yet, and the instance goes into service as it is. With an
	// error nothing is known: the instance waits, and Job is asked again. Required.
	Job func(ctx context.Context) (*target.Job, error)

	// Poll is how often the groups are looked at. Zero: 15 s.
	Poll time.Duration
	// Observe, if not nil, is told how each launch has ended: nil for success. It is also
	// told of errors of Job, and, without an instance, of groups that cannot be read. It
	// may be called from many goroutines.
	Observe func(group, instance string, err error)

	once  sync.Once
	fleet *Fleet
	mu    sync.Mutex
	busy  map[string]bool
}

func (l *Listener) init() {
	l.once.Do(func() {
		l.busy = map[string]bool{}
		l.fleet = &Fleet{Selection: Selection{Groups: l.Groups}, Instances: l.Instances, AutoScaling: l.AutoScaling,
			Reach: l.Reach, Balancers: l.Balancers, KeepProcesses: true}
		l.fleet.init()
	})
}

// The hook's own settings, which are CodeDeploy's.
const (
	heartbeat = 10 * time.Minute // without a sign of life the instance is abandoned
	beat      = 5 * time.Minute  // between signs of life
)

// Install puts the hook on the groups. It can be done again.
func (l *Listener) Install(ctx context.Context) error {
	l.init()
	line, err := l.fleet.line(ctx)
	if err != nil {
		return err
	}
	for _, g := range line {
		err := insist(ctx, func() error {
			_, err := awserror.Ask(ctx, l.AutoScaling.PutLifecycleHook, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: g.AutoScalingGroupName, LifecycleHookName: aws.String(HookName),
				LifecycleTransition: aws.String(launching), DefaultResult: aws.String("ABANDON"), HeartbeatTimeout: aws.Int32(int32(heartbeat.Seconds()))})
			return err
		})
		if err != nil {
			return failed("putting the lifecycle hook on "+nameOf(g), err)
		}
	}
	return nil
}

// Run answers the hook until ctx is cancelled, and then returns context.Cause(ctx), after
// what it was doing has been abandoned. Groups that cannot be read are read again.
func (l *Listener) Run(ctx context.Context) error {
	l.init()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		line, err := l.fleet.line(ctx)
		if err != nil && ctx.Err() == nil {
			l.observe("", "", err)
		}
		for _, g := range line {
			for _, i := range g.Instances {
				if id := aws.ToString(i.InstanceId); i.LifecycleState == types.LifecycleStatePendingWait && !inTheMaking(g) && l.take(id) {
					all.Go(func() {
						defer l.leave(id)
						l.launch(ctx, g, id)
					})
				}
			}
		}
		if err := sleep(ctx, or(l.Poll, 15*time.Second)); err != nil {
			return err
		}
	}
}

// inTheMaking reports whether a deployment is making a group.
func inTheMaking(g types.AutoScalingGroup) bool {
	made := tagOf(g, deploymentTag)
	return made != "" && heldBy(g).deployment == made
}

func (l *Listener) take(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[id] {
		return false
	}
	l.busy[id] = true
	return true
}

func (l *Listener) leave(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, id)
}

// launch deploys to one instance and answers the hook. An instance that waits for
// another hook is looked at again later.
func (l *Listener) launch(ctx context.Context, g types.AutoScalingGroup, id string) {
	group, traffic := nameOf(g), l.Balancers != nil && tagOf(g, replacedTag) == ""
	if l.alive(ctx, group, id) != nil {
		return
	}
	beating, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for sleep(beating, beat) == nil {
			l.alive(beating, group, id) // what it costs is seen when the hook is answered
		}
	})
	err := l.deploy(ctx, id, traffic)
	stop()
	all.Wait()
	if ctx.Err() != nil {
		return // who is started next goes on
	}
	if _, waits := errors.AsType[noJob](err); waits {
		l.observe(group, id, err)
		return // it is no fault of the instance, which waits on and is taken up again
	}
	result := "CONTINUE"
	if err != nil {
		result = "ABANDON"
	}
	if answer := l.complete(ctx, group, id, result); err == nil {
		err = answer
	}
	l.observe(group, id, err)
}

func (l *Listener) observe(group, id string, err error) {
	if l.Observe != nil {
		l.Observe(group, id, err)
	}
}

// alive tells Auto Scaling to wait on. It fails if the instance does not wait for our
// hook.
func (l *Listener) alive(ctx context.Context, group, id string) error {
	return insistFor(ctx, time.Minute, func() error {
		_, err := awserror.AskFor(ctx, 15*time.Second, l.AutoScaling.RecordLifecycleActionHeartbeat, &autoscaling.RecordLifecycleActionHeartbeatInput{
			AutoScalingGroupName: &group, InstanceId: &id, LifecycleHookName: aws.String(HookName)})
		return err
	})
}

func (l *Listener) complete(ctx context.Context, group, id, result string) error {
	again := false
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, l.AutoScaling.CompleteLifecycleAction, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: &group, InstanceId: &id, LifecycleHookName: aws.String(HookName), LifecycleActionResult: &result}, singly)
		if again && awserror.Code(err) == "ValidationError" {
			return nil // it was answered by a call whose own answer was lost
		}
		again = true
		return err
	})
	if err != nil {
		return failed(fmt.Sprintf("answering the launch of %s with %s", id, result), err)
	}
	return nil
}

// noJob is an error of Listener.Job.
type noJob struct{ error }

func (e noJob) Unwrap() error { return e.error }

// deploy brings the last good revision to an instance, and the next one if there is
// another by then: a deployment that ended meanwhile has not seen the instance.
func (l *Listener) deploy(ctx context.Context, id string, traffic bool) error {
	times := map[string]int{} // that a revision was brought
	for before, again := "", false; ; again = true {
		job, err := l.Job(ctx)
		switch {
		case err != nil:
			return noJob{fmt.Errorf("asking for the last good revision: %w", err)}
		case job == nil, again && job.Revision.Digest == before:
			return nil
		}
		if again && traffic { // it has its traffic already
			if err := l.Balancers.SetWeight(ctx, id, 0); err != nil {
				return err
			}
		}
		before = job.Revision.Digest
		times[before]++
		if err := l.bring(ctx, job, launchOf(id, before, times[before]), id, traffic); err != nil {
			return err
		}
	}
}

// launchOf names what is done, so that who is started again goes on with it. A revision
// that comes back is not what was done of it before.
func launchOf(id, digest string, times int) string {
	name := fmt.Sprintf("launch-%s-%.16s", id, hexOf(digest))
	if times > 1 {
		name = fmt.Sprintf("%s-%d", name, times)
	}
	return name
}

// bring takes an instance through the events of a launch.
func (l *Listener) bring(ctx context.Context, job *target.Job, deployment, id string, traffic bool) error {
	for _, e := range lifecycle.Launch.Events() {
		if !traffic && (e == lifecycle.BeforeAllowTraffic || e == lifecycle.AllowTraffic || e == lifecycle.AfterAllowTraffic) {
			continue
		}
		task := target.Task{Job: job, Step: lifecycle.Step{Deployment: deployment, Unit: id, Event: e}}
		if e == lifecycle.AllowTraffic {
			task.Step.Weight = target.Full
		}
		if err := l.perform(ctx, task); err != nil {
			return err
		}
	}
	return nil
}

// perform does a step, and asks again while nobody can say whether it was done.
func (l *Listener) perform(ctx context.Context, t target.Task) (err error) {
	for pause := time.Second; pause < time.Minute; pause *= 4 {
		err = l.fleet.Perform(ctx, t)
		if e, ok := err.(*lifecycle.Error); !ok || e.Code != lifecycle.Unknown {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return err
}

// hexOf is a digest without its algorithm.
func hexOf(digest string) string {
	for i := range len(digest) {
		if digest[i] == ':' {
			return digest[i+1:]
		}
	}
	return digest
}
