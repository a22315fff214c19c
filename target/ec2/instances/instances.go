// Package instances finds and ends EC2 instances for package target/ec2. It is a
// package of its own because the EC2 client takes a minute to compile: who has another
// way to know the instances does not need it.
//
//	fleet := &ec2.Fleet{Instances: instances.EC2{Client: awsec2.NewFromConfig(cfg)}, …}
package instances

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// Client is what is used of [sdk.Client].
type Client interface {
	DescribeInstances(context.Context, *sdk.DescribeInstancesInput, ...func(*sdk.Options)) (*sdk.DescribeInstancesOutput, error)
	TerminateInstances(context.Context, *sdk.TerminateInstancesInput, ...func(*sdk.Options)) (*sdk.TerminateInstancesOutput, error)
}

// EC2 is the instances of an account in a region. It may be used from many goroutines.
type EC2 struct {
	Client Client // required
}

var _ ec2.Instances = EC2{}

// Limits of the API.
const (
	maxValues = 200  // of a filter
	maxPage   = 1000 // instances in an answer
	maxPages  = 1000 // that are read before a list counts as endless
)

// Describe implements [ec2.Instances]. Many ids are asked for in several calls. Ids
// are given as a filter, since a single one that EC2 does not know would spoil the
// whole answer otherwise.
func (e EC2) Describe(ctx context.Context, q ec2.Query) ([]ec2.Instance, error) {
	filters := tagFilters(q.Tags)
	if len(q.IDs) == 0 {
		return e.read(ctx, filters)
	}
	var all []ec2.Instance
	for ids := range slices.Chunk(q.IDs, maxValues) {
		some, err := e.read(ctx, append(slices.Clone(filters), types.Filter{Name: aws.String("instance-id"), Values: ids}))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func tagFilters(tags map[string][]string) []types.Filter {
	var filters []types.Filter
	for key, values := range tags {
		f := types.Filter{Name: aws.String("tag:" + key), Values: values}
		if len(values) == 0 {
			f = types.Filter{Name: aws.String("tag-key"), Values: []string{key}}
		}
		filters = append(filters, f)
	}
	return filters
}

func (e EC2) read(ctx context.Context, filters []types.Filter) ([]ec2.Instance, error) {
	var all []ec2.Instance
	in := &sdk.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(maxPage)}
	for range maxPages {
		out, err := awserror.Ask(ctx, e.Client.DescribeInstances, in)
		if err != nil {
			return nil, err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				if i.InstanceId != nil {
					all = append(all, instance(i))
				}
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		if aws.ToString(in.NextToken) == *out.NextToken {
			return nil, fmt.Errorf("DescribeInstances gave the page token %q twice", *out.NextToken)
		}
		in.NextToken = out.NextToken
	}
	return nil, errors.New("the answer of DescribeInstances does not end")
}

func instance(i types.Instance) ec2.Instance {
	out := ec2.Instance{ID: *i.InstanceId, Tags: make(map[string]string, len(i.Tags))}
	if i.State != nil {
		out.State = string(i.State.Name)
	}
	if i.Placement != nil {
		out.Zone = aws.ToString(i.Placement.AvailabilityZone)
	}
	for _, t := range i.Tags {
		out.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	out.Group = out.Tags["aws:autoscaling:groupName"]
	return out
}

// Terminate implements [ec2.Instances]. One instance that EC2 no longer knows would
// keep the others alive, so the ids are then tried one by one.
func (e EC2) Terminate(ctx context.Context, ids []string) error {
	_, err := awserror.Ask(ctx, e.Client.TerminateInstances, &sdk.TerminateInstancesInput{InstanceIds: ids})
	switch {
	case !unknown(err):
		return err
	case len(ids) == 1:
		return nil
	}
	for _, id := range ids {
		if err := e.Terminate(ctx, []string{id}); err != nil {
			return err
		}
	}
	return nil
}

func unknown(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && (e.ErrorCode() == "InvalidInstanceID.NotFound" || e.ErrorCode() == "InvalidInstanceID.Malformed")
}
