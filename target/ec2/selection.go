package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/target/tags"
)

// Selection says which instances are meant: those with tags, those of Auto Scaling
// groups, or both together. It is looked up when a deployment begins, and again when
// it looks for instances that have joined.
type Selection struct {
	Tags   tags.Selection
	Groups []string // names of Auto Scaling groups; CodeDeploy allows 10
}

// String is the selection in words.
func (s Selection) String() string {
	var words []string
	if !s.Tags.Empty() {
		words = append(words, "tags "+s.Tags.String())
	}
	if len(s.Groups) > 0 {
		words = append(words, "Auto Scaling groups "+strings.Join(s.Groups, ", "))
	}
	return strings.Join(words, ", and ")
}

func (s Selection) empty() bool { return s.Tags.Empty() && len(s.Groups) == 0 }

// leaving and arriving are members of Auto Scaling groups that are not deployed to:
// those that go, and those that are not there yet and will join.
func leaving(s types.LifecycleState) bool {
	return strings.HasPrefix(string(s), "Terminat") || strings.HasPrefix(string(s), "Detach") || s == types.LifecycleStateQuarantined
}

func arriving(s types.LifecycleState) bool {
	return strings.HasPrefix(string(s), "Pending") || strings.HasPrefix(string(s), "Warmed")
}

// find lists the selected instances, each once, in the order of their ids. Groups are
// those of the selection, looked up already.
func (s Selection) find(ctx context.Context, ec2 Instances, groups []types.AutoScalingGroup) ([]Instance, error) {
	var found []Instance
	if !s.Tags.Empty() {
		if err := valid(s.Tags); err != nil {
			return nil, err
		}
		all, err := describe(ctx, ec2, narrow(s.Tags))
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if s.Tags.Match(i.Tags) && !i.gone() {
				found = append(found, i)
			}
		}
	}
	members, err := members(ctx, ec2, groups)
	if err != nil {
		return nil, err
	}
	found = append(found, members...)
	slices.SortFunc(found, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(found, func(a, b Instance) bool { return a.ID == b.ID }), nil
}

// members are the instances of groups that are there to stay.
func members(ctx context.Context, ec2 Instances, groups []types.AutoScalingGroup) ([]Instance, error) {
	in := map[string]string{} // group by instance
	var ids []string
	for _, g := range groups {
		for _, m := range g.Instances {
			if !leaving(m.LifecycleState) && !arriving(m.LifecycleState) {
				in[aws.ToString(m.InstanceId)] = aws.ToString(g.AutoScalingGroupName)
				ids = append(ids, aws.ToString(m.InstanceId))
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := present(ctx, ec2, ids)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Group = in[all[i].ID]
	}
	return slices.DeleteFunc(all, Instance.gone), nil
}

// present describes instances that ought to be there. If some are missing it looks
// again: they are gone only if two answers agree.
func present(ctx context.Context, ec2 Instances, ids []string) (found []Instance, err error) {
	_, err = believe(ctx, recent, func() (all bool, err error) {
		found, err = describe(ctx, ec2, Query{IDs: ids})
		return len(found) >= len(ids), err
	})
	return found, err
}

func describe(ctx context.Context, ec2 Instances, q Query) (found []Instance, err error) {
	err = insist(ctx, func() (err error) { found, err = ec2.Describe(ctx, q); return err })
	if err != nil {
		return nil, failed(fmt.Sprintf("listing instances (%d by id)", len(q.IDs)), err)
	}
	return found, nil
}
