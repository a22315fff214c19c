package ec2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// Retire terminates an instance. It refuses one that takes traffic or still drains; one
// that is gone is success. The last instances of an Auto Scaling group go with the
// group; before those of an original do, its copy takes over what it has. If nobody is
// seen to have the traffic in place of an original for a minute, nothing is terminated.
func (f *Fleet) Retire(ctx context.Context, unit string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := f.valid(); err != nil {
		return err
	}
	f.init()
	return ofStep(ctx, lifecycle.Step{Unit: unit, Event: lifecycle.Retire}, f.retire(ctx, unit))
}

func (f *Fleet) retire(ctx context.Context, unit string) error {
	_, err := f.retires.Do(ctx, "", unit)
	return err
}

// retireAll retires what was asked for at about the same time.
func (f *Fleet) retireAll(ctx context.Context, _ string, ids []string) []batch.Result[struct{}] {
	out := make([]batch.Result[struct{}], len(ids))
	fail := func(err error, which ...string) {
		for i, id := range ids {
			if err != nil && out[i].Err == nil && slices.Contains(which, id) {
				out[i].Err = err
			}
		}
	}
	found, err := present(ctx, f.Instances, ids)
	if err != nil {
		fail(err, ids...)
		return out
	}
	busy, err := f.stillBusy(ctx, ids)
	if err != nil {
		fail(err, ids...)
		return out
	}
	groups := map[string][]string{} // ids by group; empty: none
	for _, i := range found {
		switch {
		case i.gone():
		case busy[i.ID] != "":
			fail(refuse(lifecycle.TargetFailed, "%s takes traffic (%s): it was not terminated; block its traffic first", i.ID, busy[i.ID]), i.ID)
		case i.Group != "":
			groups[i.Group] = append(groups[i.Group], i.ID)
		default:
			groups[i.Tags[groupNameTag]] = append(groups[i.Tags[groupNameTag]], i.ID)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		fail(f.retireIn(ctx, name, groups[name]), groups[name]...)
	}
	f.forget(ids, out)
	return out
}

// stillBusy is busy, once two looks agree that one of some instances is: one look may be
// older than what was done about their traffic.
func (f *Fleet) stillBusy(ctx context.Context, ids []string) (busy map[string]string, err error) {
	_, err = believe(ctx, 2*recent, func() (free bool, err error) {
		busy, err = f.busy(ctx)
		return !slices.ContainsFunc(ids, func(id string) bool { return busy[id] != "" }), err
	})
	return busy, err
}

// busy says of instances that take traffic, or that drain, how they stand.
func (f *Fleet) busy(ctx context.Context) (map[string]string, error) {
	if f.Balancers == nil {
		return nil, nil
	}
	sides, err := f.Balancers.open()
	if err != nil {
		return nil, err
	}
	busy := map[string]string{}
	for _, s := range sides {
		now, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		for id, st := range now {
			if st.State != absent && st.State != down && st.State != unused {
				busy[id] = fmt.Sprintf("%s: %s", s.balancer, st)
			}
		}
	}
	return busy, nil
}

// forget no longer knows instances that are gone.
func (f *Fleet) forget(ids []string, out []batch.Result[struct{}]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, id := range ids {
		if out[i].Err == nil {
			delete(f.known, id)
		}
	}
}

// retireIn terminates instances of one group.
func (f *Fleet) retireIn(ctx context.Context, name string, ids []string) error {
	c, ok := f.AutoScaling.(CopyClient)
	if name == "" || !ok {
		return f.terminate(ctx, ids)
	}
	g, there, err := groupNamed(ctx, c, name)
	switch {
	case err != nil:
		return err
	case !there:
		return f.terminate(ctx, ids)
	case deleting(g):
		return nil // they go with it
	}
	if err := f.handOver(ctx, c, g); err != nil {
		return err
	}
	all, err := allOf(ctx, c, g, ids)
	switch {
	case err != nil:
		return err
	case all:
		return deleteGroup(ctx, c, name)
	default:
		return f.shrink(ctx, c, g, ids)
	}
}

// allOf reports whether a group has no instances but these. Two looks must agree, since
// it will be deleted with everything that is in it.
func allOf(ctx context.Context, c CopyClient, g types.AutoScalingGroup, ids []string) (bool, error) {
	found := []types.AutoScalingGroup{g} // the first look
	others, err := believe(ctx, recent, func() (yes bool, err error) {
		if found == nil {
			found, err = groupsNamed(ctx, c, []string{nameOf(g)})
		}
		for _, g := range found {
			yes = yes || slices.ContainsFunc(g.Instances, func(m types.Instance) bool {
				return !leaving(m.LifecycleState) && !slices.Contains(ids, aws.ToString(m.InstanceId))
			})
		}
		found = nil
		return yes, err
	})
	return !others && err == nil, err
}

func (f *Fleet) terminate(ctx context.Context, ids []string) error {
	err := insist(ctx, func() error { return f.Instances.Terminate(ctx, ids) })
	if err != nil {
		return failed(fmt.Sprintf("terminating %d instances", len(ids)), err)
	}
	return nil
}

// deleteGroup deletes a group with all that is in it.
func deleteGroup(ctx context.Context, c CopyClient, name string) error {
	return deleteBy(ctx, c, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
}

// deleteEmpty deletes a group that shows no instances. If it has some all the same, it
// stays.
func deleteEmpty(ctx context.Context, c CopyClient, name string) error {
	err := deleteBy(ctx, c, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name})
	if awserror.Code(err) == "ResourceInUse" {
		return nil
	}
	return err
}

func deleteBy(ctx context.Context, c CopyClient, in *autoscaling.DeleteAutoScalingGroupInput) error {
	name := aws.ToString(in.AutoScalingGroupName)
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, c.DeleteAutoScalingGroup, in)
		return err
	})
	if err == nil {
		return nil
	}
	if left, lookErr := groupsNamed(ctx, c, []string{name}); lookErr == nil && (len(left) == 0 || deleting(left[0])) {
		return nil // it goes, by a call whose answer was lost or by somebody else
	}
	return failed("deleting the Auto Scaling group "+name, err)
}

// shrink terminates some of a group's instances, so that it launches no others.
func (f *Fleet) shrink(ctx context.Context, c CopyClient, g types.AutoScalingGroup, ids []string) error {
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, c.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName, MinSize: aws.Int32(0)})
		return err
	})
	if err != nil {
		return failed("lowering the minimum of "+nameOf(g), err)
	}
	for _, id := range ids {
		if err := f.dismiss(ctx, c, nameOf(g), id); err != nil {
			return failed("terminating "+id, err)
		}
	}
	return nil
}

// singly is for calls that count each time they are made: the SDK does not repeat them.
func singly(o *autoscaling.Options) { o.RetryMaxAttempts = 1 }

// dismiss terminates an instance of a group, which then wants one fewer. Where the
// answer was lost it looks whether that was done, before it asks again.
func (f *Fleet) dismiss(ctx context.Context, c CopyClient, group, id string) error {
	asked := false
	return insist(ctx, func() error {
		if asked {
			if gone, err := departed(ctx, c, group, id); gone || err != nil {
				return err
			}
		}
		asked = true
		_, err := awserror.Ask(ctx, c.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: aws.Bool(true)}, singly)
		if awserror.Code(err) == "ValidationError" {
			return f.Instances.Terminate(ctx, []string{id}) // it is no longer in the group
		}
		return err
	})
}

// departed reports whether an instance is on its way out of a group, or out of it.
// That it is not is believed only if two looks agree.
func departed(ctx context.Context, c CopyClient, group, id string) (bool, error) {
	if err := sleep(ctx, recent); err != nil {
		return false, err
	}
	return believe(ctx, recent, func() (bool, error) {
		found, err := groupsNamed(ctx, c, []string{group})
		stays := len(found) > 0 && slices.ContainsFunc(found[0].Instances, func(m types.Instance) bool {
			return aws.ToString(m.InstanceId) == id && !leaving(m.LifecycleState)
		})
		return !stays && err == nil, err
	})
}

// drainAll takes instances out of traffic.
func (f *Fleet) drainAll(ctx context.Context, ids []string) error {
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { errs[i] = f.Balancers.SetWeight(ctx, id, 0) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
