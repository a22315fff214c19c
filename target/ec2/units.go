package ec2

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// Units finds the fleet's instances, in the order of their ids. Instances that are
// stopped are listed as lost, terminated ones are not listed, and members of Auto
// Scaling groups that are on their way in or out are not either. That nothing matches
// is an error (NoUnits).
func (f *Fleet) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := f.valid(); err != nil {
		return nil, err
	}
	f.init()
	blue, green, err := f.groups(ctx)
	if err != nil {
		return nil, err
	}
	found, err := f.Selection.find(ctx, f.Instances, blue)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(lifecycle.NoUnits, "no instance matches %s: look at the tags, the region and the account", f.Selection)
	}
	fresh, err := f.replacements(ctx, green)
	if err != nil {
		return nil, err
	}
	if err := f.fits(append(slices.Clip(found), fresh...)); err != nil {
		return nil, err
	}
	if err := f.apart(found, fresh); err != nil {
		return nil, err
	}
	role := lifecycle.Role("")
	if f.Green != nil {
		role = lifecycle.OriginalRole
	}
	return append(f.learn(found, role), f.learn(fresh, lifecycle.ReplacementRole)...), nil
}

// replacements are the instances that are to take over: a fleet that exists already,
// or what Provision has made.
func (f *Fleet) replacements(ctx context.Context, made []types.AutoScalingGroup) ([]Instance, error) {
	if f.Green == nil {
		return nil, nil
	}
	if f.Green.empty() {
		return members(ctx, f.Instances, made)
	}
	named, err := groupsOf(ctx, f.AutoScaling, f.Green.Selection)
	if err != nil {
		return nil, err
	}
	return f.Green.find(ctx, f.Instances, named)
}

func groupsOf(ctx context.Context, c GroupClient, s Selection) ([]types.AutoScalingGroup, error) {
	if len(s.Groups) == 0 {
		return nil, nil
	}
	found, err := groupsNamed(ctx, c, s.Groups)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, g := range found {
		names[i] = nameOf(g)
	}
	if none := missing(s.Groups, names); len(none) > 0 {
		return nil, refuse(lifecycle.NoUnits, "there is no Auto Scaling group %q, of the green fleet: look at the name, the region and the account", none[0])
	}
	return found, nil
}

// learn remembers instances, with their hosts, and makes units of them.
func (f *Fleet) learn(found []Instance, role lifecycle.Role) []lifecycle.Unit {
	f.mu.Lock()
	defer f.mu.Unlock()
	units := make([]lifecycle.Unit, len(found))
	for i, inst := range found {
		units[i] = inst.unit(role)
		m := f.known[inst.ID]
		if m == nil {
			m = &member{}
			f.known[inst.ID] = m
		}
		m.Instance, m.role = inst, role
		if m.host == nil {
			m.host = f.Reach.Host(inst)
		}
	}
	return units
}

// groups finds the Auto Scaling groups of the fleet: those that serve, and those that
// were made to take over.
func (f *Fleet) groups(ctx context.Context) (blue, green []types.AutoScalingGroup, err error) {
	if len(f.Groups) == 0 {
		return nil, nil, nil
	}
	all, err := f.line(ctx)
	if err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	made := map[string]bool{}
	for name := range f.made {
		made[name] = true
	}
	f.mu.Unlock()
	for _, root := range f.Groups {
		old, fresh := f.split(all, root, made)
		if len(old) > 1 {
			all := old
			if old, err = f.serving(ctx, old, root); err != nil {
				return nil, nil, err
			}
			fresh = append(fresh, unfinished(all, old)...)
		}
		if len(old) == 0 {
			return nil, nil, refuse(lifecycle.NoUnits, "there is no Auto Scaling group %q, and none that was copied from it: look at the name, the region and the account", root)
		}
		blue, green = append(blue, old...), append(green, fresh...)
	}
	return blue, green, nil
}

// line reads the named groups and their copies, but for those that are being deleted.
func (f *Fleet) line(ctx context.Context) ([]types.AutoScalingGroup, error) {
	named, err := groupsNamed(ctx, f.AutoScaling, f.Groups)
	if err != nil {
		return nil, err
	}
	copies, err := groupsTagged(ctx, f.AutoScaling, copyOfTag, f.Groups...)
	if err != nil {
		return nil, err
	}
	for _, g := range copies {
		if !slices.Contains(f.Groups, nameOf(g)) {
			named = append(named, g)
		}
	}
	return slices.DeleteFunc(named, deleting), nil
}

// split sorts the groups of a line: those that may serve, and those that were made for
// the present deployment. One that was replaced and left running is neither.
func (f *Fleet) split(all []types.AutoScalingGroup, root string, made map[string]bool) (old, fresh []types.AutoScalingGroup) {
	for _, g := range all {
		switch {
		case f.root(g) != root, tagOf(g, replacedTag) != "":
		case made[nameOf(g)]:
			fresh = append(fresh, g)
		default:
			old = append(old, g)
		}
	}
	return old, fresh
}

// unfinished are the copies that deployments have made that have not ended: they hold
// them still. Another process may have made them.
func unfinished(all, serving []types.AutoScalingGroup) []types.AutoScalingGroup {
	return slices.DeleteFunc(slices.Clone(all), func(g types.AutoScalingGroup) bool {
		return slices.ContainsFunc(serving, func(o types.AutoScalingGroup) bool { return nameOf(o) == nameOf(g) }) ||
			tagOf(g, deploymentTag) == "" || heldBy(g).deployment != tagOf(g, deploymentTag)
	})
}

// serving chooses between a group and what earlier deployments have left of its
// copies: those in traffic; if none is, the first.
func (f *Fleet) serving(ctx context.Context, line []types.AutoScalingGroup, root string) ([]types.AutoScalingGroup, error) {
	weights := map[string]lifecycle.Weight{}
	if f.Balancers != nil {
		var err error
		if weights, err = f.Balancers.weights(ctx); err != nil {
			return nil, err
		}
	}
	var in []types.AutoScalingGroup
	for _, g := range line {
		if serves(g, weights) {
			in = append(in, g)
		}
	}
	if len(in) > 0 {
		return in, nil
	}
	if i := slices.IndexFunc(line, func(g types.AutoScalingGroup) bool { return nameOf(g) == root }); i >= 0 {
		return line[i : i+1], nil
	}
	return line[:1], nil
}

// member finds an instance, also one that this process has not listed, as after a
// crash.
func (f *Fleet) member(ctx context.Context, id string) (*member, error) {
	f.mu.Lock()
	m := f.known[id]
	f.mu.Unlock()
	if m != nil {
		return m, nil
	}
	if err := f.valid(); err != nil {
		return nil, err
	}
	inst, err := f.lookups.Do(ctx, "", id)
	if err != nil {
		return nil, err
	}
	if why := lostStates[inst.State]; why != "" {
		return nil, refuse(lifecycle.UnitLost, "%s: %s", id, why)
	}
	f.learn([]Instance{inst}, "")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[id], nil
}

// groupNameTag is how EC2 says which Auto Scaling group an instance is in.
const groupNameTag = "aws:autoscaling:groupName"

func (f *Fleet) lookUp(ctx context.Context, _ string, ids []string) []batch.Result[Instance] {
	found, err := describe(ctx, f.Instances, Query{IDs: ids})
	out := make([]batch.Result[Instance], len(ids))
	for i, id := range ids {
		at := slices.IndexFunc(found, func(inst Instance) bool { return inst.ID == id })
		switch {
		case err != nil:
			out[i].Err = err
		case at < 0:
			out[i].Err = refuse(lifecycle.UnitLost, "there is no instance %s any more: it was there when the deployment was planned", id)
		default:
			out[i].Value = found[at]
			if out[i].Value.Group == "" {
				out[i].Value.Group = found[at].Tags[groupNameTag]
			}
		}
	}
	return out
}

func (f *Fleet) watch() time.Duration {
	if f.Watch == 0 {
		return 15 * time.Second
	}
	return max(0, f.Watch)
}

// String says which fleet it is.
func (f *Fleet) String() string { return fmt.Sprint("the instances of ", f.Selection) }
