package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/target"
)

// hold suspends, once per deployment, the processes of a group that would work against
// it.
func (f *Fleet) hold(ctx context.Context, group, deployment string) error {
	if group == "" || len(f.Groups) == 0 || f.AutoScaling == nil || f.KeepProcesses || f.isHeld(group, deployment) {
		return nil
	}
	select { // one does it, others wait
	case f.holds <- struct{}{}:
		defer func() { <-f.holds }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if f.isHeld(group, deployment) {
		return nil
	}
	if err := f.holdNow(ctx, group, deployment); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holding[group] = deployment
	return nil
}

func (f *Fleet) isHeld(group, deployment string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holding[group] == deployment
}

func (f *Fleet) holdNow(ctx context.Context, group, deployment string) error {
	found, err := groupsNamed(ctx, f.AutoScaling, []string{group})
	if err != nil {
		return err
	}
	if len(found) != 1 || !slices.Contains(f.Groups, rootOf(found[0])) {
		// The group is gone, and what becomes of the instance is seen elsewhere; or it is
		// not one of the fleet's, and nobody would give back what was suspended.
		return nil
	}
	processes := whileDeploying
	if tagOf(found[0], deploymentTag) == deployment {
		processes = whileNew
	}
	return hold(ctx, f.AutoScaling, found[0], deployment, processes)
}

// Settle gives back to the fleet's Auto Scaling groups what deployments have suspended,
// and after a blue/green deployment makes the group that serves the fleet's own, or
// gives its load balancers to the green fleet that serves. The
// engine calls it when a deployment has ended, its rollback included, however it
// ended. What a deployment left that never ended is given back too. It can be called
// again.
func (f *Fleet) Settle(ctx context.Context, _ *target.Job) error {
	if len(f.Groups) == 0 || f.AutoScaling == nil {
		return nil
	}
	f.init()
	all, err := f.line(ctx)
	if err != nil {
		return err
	}
	var errs []error
	if c, ok := f.AutoScaling.(CopyClient); ok && f.Green != nil && f.Balancers != nil && len(all) > 1 {
		for _, root := range f.Groups {
			line := slices.DeleteFunc(slices.Clone(all), func(g types.AutoScalingGroup) bool { return rootOf(g) != root })
			errs = append(errs, f.conclude(ctx, c, line))
		}
		if all, err = f.line(ctx); err != nil { // some may be gone
			return errors.Join(append(errs, err)...)
		}
	}
	if c, ok := f.AutoScaling.(CopyClient); ok && f.Green != nil && !f.Green.empty() {
		for _, g := range all {
			errs = append(errs, f.passOn(ctx, c, g))
		}
	}
	errs = append(errs, f.releaseAll(ctx, all))
	f.mu.Lock()
	clear(f.holding)
	clear(f.made)
	f.mu.Unlock()
	return errors.Join(errs...)
}

// releaseAll gives back what is held, until more looks than must agree elsewhere have
// found nothing: a look may still show a group as it was before it was held, and nobody
// comes back to see what was missed.
func (f *Fleet) releaseAll(ctx context.Context, all []types.AutoScalingGroup) error {
	for quiet := 0; ; {
		quiet++
		for _, g := range all {
			if heldBy(g).deployment == "" {
				continue
			}
			quiet = 0
			if err := release(ctx, f.AutoScaling, g); err != nil {
				return fmt.Errorf("group %s: %w", nameOf(g), err)
			}
		}
		if quiet > agreeing {
			return nil
		}
		if err := sleep(ctx, recent); err != nil {
			return err
		}
		var err error
		if all, err = f.line(ctx); err != nil {
			return err
		}
	}
}
