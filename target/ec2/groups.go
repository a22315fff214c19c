package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// GroupClient is what is used of [autoscaling.Client] for every fleet with Auto
// Scaling groups: they are read, tagged, and their processes suspended and resumed.
type GroupClient interface {
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	SuspendProcesses(context.Context, *autoscaling.SuspendProcessesInput, ...func(*autoscaling.Options)) (*autoscaling.SuspendProcessesOutput, error)
	ResumeProcesses(context.Context, *autoscaling.ResumeProcessesInput, ...func(*autoscaling.Options)) (*autoscaling.ResumeProcessesOutput, error)
	CreateOrUpdateTags(context.Context, *autoscaling.CreateOrUpdateTagsInput, ...func(*autoscaling.Options)) (*autoscaling.CreateOrUpdateTagsOutput, error)
	DeleteTags(context.Context, *autoscaling.DeleteTagsInput, ...func(*autoscaling.Options)) (*autoscaling.DeleteTagsOutput, error)
}

// The tags that are set on Auto Scaling groups. Instances do not get them.
const (
	heldTag       = "cutover:held"        // DEPLOYMENT PROCESS+PROCESS…: what was suspended, and for whom
	copyOfTag     = "cutover:copy-of"     // the name that the fleet knows the line by: one of its Groups
	deploymentTag = "cutover:deployment"  // the deployment that a copy was made for
	replacesTag   = "cutover:replaces"    // the group that a copy was made of, and takes over from
	replacedTag   = "cutover:replaced-by" // the group that took over, and has all that this one had
)

// groupsNamed reads groups by name. Missing ones are left out.
func groupsNamed(ctx context.Context, c GroupClient, names []string) ([]types.AutoScalingGroup, error) {
	return readGroups(ctx, c, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names})
}

// groupNamed reads one group. That there is none is believed only if two looks agree.
func groupNamed(ctx context.Context, c GroupClient, name string) (g types.AutoScalingGroup, there bool, err error) {
	there, err = believe(ctx, recent, func() (bool, error) {
		found, err := groupsNamed(ctx, c, []string{name})
		if err != nil || len(found) == 0 {
			return false, err
		}
		g = found[0]
		return true, nil
	})
	return g, there, err
}

// groupsTagged reads the groups whose tag has one of some values.
func groupsTagged(ctx context.Context, c GroupClient, key string, values ...string) ([]types.AutoScalingGroup, error) {
	return readGroups(ctx, c, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String("tag:" + key), Values: values}}})
}

// maxPages bounds what an answer without end can do.
const maxPages = 1000

func readGroups(ctx context.Context, c GroupClient, in *autoscaling.DescribeAutoScalingGroupsInput) ([]types.AutoScalingGroup, error) {
	var all []types.AutoScalingGroup
	for range maxPages {
		var out *autoscaling.DescribeAutoScalingGroupsOutput
		err := insist(ctx, func() (err error) { out, err = awserror.Ask(ctx, c.DescribeAutoScalingGroups, in); return err })
		if err != nil {
			return nil, failed("reading Auto Scaling groups", err)
		}
		for _, g := range out.AutoScalingGroups {
			if !slices.ContainsFunc(all, func(o types.AutoScalingGroup) bool { return nameOf(o) == nameOf(g) }) {
				all = append(all, g)
			}
		}
		if aws.ToString(out.NextToken) == "" {
			slices.SortFunc(all, func(a, b types.AutoScalingGroup) int { return strings.Compare(nameOf(a), nameOf(b)) })
			return all, nil
		}
		in.NextToken = out.NextToken
	}
	return nil, refuse(lifecycle.TargetFailed, "the list of Auto Scaling groups does not end")
}

// deleting reports whether a group is on its way out: it is still listed, and takes no
// changes.
func deleting(g types.AutoScalingGroup) bool { return aws.ToString(g.Status) != "" }

func nameOf(g types.AutoScalingGroup) string { return aws.ToString(g.AutoScalingGroupName) }

// tagOf returns a tag of a group; empty: it has none.
func tagOf(g types.AutoScalingGroup, key string) string {
	for _, t := range g.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

func groupTag(group, key, value string) types.Tag {
	return types.Tag{ResourceId: &group, ResourceType: aws.String("auto-scaling-group"), Key: &key, Value: &value, PropagateAtLaunch: aws.Bool(false)}
}

func setTag(ctx context.Context, c GroupClient, group, key, value string) error {
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, c.CreateOrUpdateTags, &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{groupTag(group, key, value)}})
		return err
	})
	if err != nil {
		return failed("tagging the Auto Scaling group "+group, err)
	}
	return nil
}

func dropTags(ctx context.Context, c GroupClient, group string, keys ...string) error {
	tags := make([]types.Tag, len(keys))
	for i, key := range keys {
		tags[i] = groupTag(group, key, "")
		tags[i].Value = nil
	}
	err := insist(ctx, func() error {
		_, err := awserror.Ask(ctx, c.DeleteTags, &autoscaling.DeleteTagsInput{Tags: tags})
		return err
	})
	if err != nil {
		return failed("removing tags of the Auto Scaling group "+group, err)
	}
	return nil
}
