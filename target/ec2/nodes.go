package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
)

// informant tells of hosts what Systems Manager knows.
type informant interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
}

// nodePage is how many hosts are in an answer, at most.
const nodePage = 50

// readNodes reads all pages.
func readNodes(ctx context.Context, c informant, filters []types.InstanceInformationStringFilter) ([]types.InstanceInformation, error) {
	var all []types.InstanceInformation
	in := &ssm.DescribeInstanceInformationInput{Filters: filters, MaxResults: aws.Int32(nodePage)}
	for range maxPages {
		var out *ssm.DescribeInstanceInformationOutput
		err := insist(ctx, func() (err error) { out, err = awserror.Ask(ctx, c.DescribeInstanceInformation, in); return err })
		if err != nil {
			return nil, err
		}
		all = append(all, out.InstanceInformationList...)
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		if aws.ToString(in.NextToken) == *out.NextToken {
			return nil, fmt.Errorf("DescribeInstanceInformation gave the page token %q twice", *out.NextToken)
		}
		in.NextToken = out.NextToken
	}
	return nil, errors.New("the answer of DescribeInstanceInformation does not end")
}

// readNodesNamed reads of hosts by id. One that is not known may spoil the whole answer,
// so it is found by halves.
func readNodesNamed(ctx context.Context, c informant, ids []string) ([]types.InstanceInformation, error) {
	found, err := readNodes(ctx, c, []types.InstanceInformationStringFilter{nodeFilter("InstanceIds", ids...)})
	switch {
	case awserror.Code(err) != "InvalidInstanceId":
		return found, err
	case len(ids) == 1:
		return nil, nil
	}
	some, err := readNodesNamed(ctx, c, ids[:len(ids)/2])
	if err != nil {
		return nil, err
	}
	more, err := readNodesNamed(ctx, c, ids[len(ids)/2:])
	return append(some, more...), err
}

func nodeFilter(key string, values ...string) types.InstanceInformationStringFilter {
	return types.InstanceInformationStringFilter{Key: &key, Values: values}
}
