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

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// Retire terminates an instance. It refuses one that takes traffic or still drains; one
// that is gone is success. The last instances of an Auto Scaling group go with the
// group; before those of an original do, its copy takes over what it has.
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
	found, err := describe(ctx, f.Instances, Query{IDs: ids})
	if err != nil {
		fail(err, ids...)
		return out
	}
	busy, err := f.busy(ctx)
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
	found, err := groupsNamed(ctx, c, []string{name})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return f.terminate(ctx, ids)
	}
	if err := f.handOver(ctx, c, found[0]); err != nil {
		return err
	}
	for _, m := range found[0].Instances {
		if !leaving(m.LifecycleState) && !slices.Contains(ids, aws.ToString(m.InstanceId)) {
			return f.shrink(ctx, c, found[0], ids)
		}
	}
	return deleteGroup(ctx, c, name)
}

func (f *Fleet) terminate(ctx context.Context, ids []string) error {
	err := insist(ctx, func() error { return f.Instances.Terminate(ctx, ids) })
	if err != nil {
		return failed(fmt.Sprintf("terminating %d instances", len(ids)), err)
	}
	return nil
}

func deleteGroup(ctx context.Context, c CopyClient, name string) error {
	err := insist(ctx, func() error {
		_, err := c.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
		return err
	})
	if err == nil {
		return nil
	}
	if left, lookErr := groupsNamed(ctx, c, []string{name}); lookErr == nil && len(left) == 0 {
		return nil // it is gone, by a call whose answer was lost or by somebody else
	}
	return failed("deleting the Auto Scaling group "+name, err)
}

// shrink terminates some of a group's instances, so that it launches no others.
func (f *Fleet) shrink(ctx context.Context, c CopyClient, g types.AutoScalingGroup, ids []string) error {
	err := insist(ctx, func() error {
		_, err := c.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName, MinSize: aws.Int32(0)})
		return err
	})
	if err != nil {
		return failed("lowering the minimum of "+nameOf(g), err)
	}
	for _, id := range ids {
		err := insist(ctx, func() error {
			_, err := c.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			if awsCode(err) == "ValidationError" {
				return f.Instances.Terminate(ctx, []string{id}) // it is no longer in the group
			}
			return err
		})
		if err != nil {
			return failed("terminating "+id, err)
		}
	}
	return nil
}

// handOver lets the copy that has the traffic, or a green fleet, take over before an
// original goes.
func (f *Fleet) handOver(ctx context.Context, c CopyClient, from types.AutoScalingGroup) error {
	switch {
	case f.Green == nil || tagOf(from, replacedTag) != "":
		return nil
	case !f.Green.empty():
		return f.passOn(ctx, c, from)
	}
	all, err := f.line(ctx)
	if err != nil {
		return err
	}
	weights, err := f.Balancers.weights(ctx)
	if err != nil {
		return err
	}
	for _, g := range all {
		if nameOf(g) != nameOf(from) && rootOf(g) == rootOf(from) && serves(g, weights) {
			return takeOver(ctx, c, from, g, "")
		}
	}
	return nil // nobody does: it is a copy that goes, and the original is there
}

func serves(g types.AutoScalingGroup, weights map[string]lifecycle.Weight) bool {
	return slices.ContainsFunc(g.Instances, func(i types.Instance) bool { return weights[aws.ToString(i.InstanceId)] > 0 })
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
