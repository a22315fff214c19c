package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/lifecycle"
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
	g, there, err := groupNamed(ctx, f.AutoScaling, group)
	if err != nil {
		return err
	}
	if !there || deleting(g) || !slices.Contains(f.Groups, f.root(g)) {
		// The group is gone, and what becomes of the instance is seen elsewhere; or it is
		// not one of the fleet's, and nobody would give back what was suspended.
		return nil
	}
	processes := whileDeploying
	if tagOf(g, deploymentTag) == deployment {
		processes = whileNew
	}
	return hold(ctx, f.AutoScaling, g, deployment, processes)
}

// Settle gives back to the fleet's Auto Scaling groups what deployments have suspended,
// and after a blue/green deployment makes the group that serves the fleet's own, or
// gives its load balancers to the green fleet that serves. The engine calls it when a
// deployment has ended, its rollback included, however it ended. What a deployment left
// that never ended is given back too. It can be called again.
//
// A group that serves is left as it is. Instances that were launched while a blue/green
// job went on do not count for that if it has succeeded; a nil job is one that has not.
func (f *Fleet) Settle(ctx context.Context, job *target.Job, succeeded bool) error {
	if len(f.Groups) == 0 || f.AutoScaling == nil {
		return nil
	}
	f.init()
	var before map[string]lifecycle.Weight
	if job != nil && job.Before != nil && job.BlueGreen && !job.Rollback && succeeded {
		before = job.Before.Weights
	}
	err := f.rest(ctx, before)
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.holding) // also after a failure: the deployment is over, and the next one looks anew
	clear(f.made)
	return err
}

// maxLooks bounds the looks until the groups are at rest.
const maxLooks = 100

// rest concludes and gives back until more looks than must agree elsewhere have found
// nothing to do: a look may still show a group as it was before, and nobody comes back
// to see what was missed. What cannot be concluded keeps nothing suspended.
func (f *Fleet) rest(ctx context.Context, before map[string]lifecycle.Weight) (failed error) {
	for looks, quiet := 0, 0; quiet <= agreeing; looks++ {
		if looks == maxLooks {
			return errors.Join(failed, refuse(lifecycle.TargetFailed, "the Auto Scaling groups %v do not come to rest: somebody else changes their processes or tags too", f.Groups))
		}
		if looks > 0 {
			if err := sleep(ctx, 2*recent); err != nil {
				return err
			}
		}
		all, err := f.line(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		green, err := f.greens(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		did := false
		if failed == nil {
			did, failed = f.concludeAll(ctx, all, before)
		}
		if !did { // else it is no longer as it was read
			if did, err = f.releaseAll(ctx, append(all, green...)); err != nil {
				return errors.Join(failed, err)
			}
		}
		if quiet++; did {
			quiet = 0
		}
	}
	return failed
}

func (f *Fleet) concludeAll(ctx context.Context, all []types.AutoScalingGroup, before map[string]lifecycle.Weight) (did bool, err error) {
	c, ok := f.AutoScaling.(CopyClient)
	if !ok || f.Green == nil || f.Balancers == nil {
		return false, nil
	}
	if !f.Green.empty() {
		weights, err := f.Balancers.weights(ctx)
		if err != nil {
			return false, err
		}
		for _, g := range all {
			if servesOn(g, weights, before) {
				continue
			}
			some, _, err := f.passOnTo(ctx, c, g, weights)
			if did = did || some; err != nil {
				return did, err
			}
		}
		return did, nil
	}
	for _, root := range f.Groups {
		line := slices.DeleteFunc(slices.Clone(all), func(g types.AutoScalingGroup) bool { return f.root(g) != root })
		some, err := f.conclude(ctx, c, line, before)
		if did = did || some; err != nil {
			return did, err
		}
	}
	return did, nil
}

// releaseAll gives back what is held, of each group whatever becomes of the others.
func (f *Fleet) releaseAll(ctx context.Context, all []types.AutoScalingGroup) (did bool, err error) {
	var errs []error
	for _, g := range all {
		if heldBy(g).deployment == "" {
			continue
		}
		did = true
		if err := release(ctx, f.AutoScaling, g); err != nil {
			errs = append(errs, fmt.Errorf("group %s: %w", nameOf(g), err))
		}
	}
	return did, errors.Join(errs...)
}
