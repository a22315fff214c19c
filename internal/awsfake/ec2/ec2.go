// Package ec2 answers the calls of the EC2 client from the machines of a world. It is
// the only fake that needs that client, which takes a minute to compile.
package ec2

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
)

// PageSize is how many instances an answer holds at most.
const PageSize = 100

// Serve gives DescribeInstances and TerminateInstances to the API.
func Serve(api *awsfake.API, w *machines.World) {
	awsfake.Handle(api, sdk.ServiceID, "DescribeInstances", func(_ context.Context, in *sdk.DescribeInstancesInput) (*sdk.DescribeInstancesOutput, error) {
		return describe(w, in)
	})
	awsfake.Handle(api, sdk.ServiceID, "TerminateInstances", func(_ context.Context, in *sdk.TerminateInstancesInput) (*sdk.TerminateInstancesOutput, error) {
		for _, id := range in.InstanceIds { // all or none
			if _, ok := w.Get(id); !ok {
				return nil, notFound(id)
			}
		}
		w.Terminate(in.InstanceIds...)
		return &sdk.TerminateInstancesOutput{}, nil
	})
}

func notFound(id string) error {
	return awsfake.APIError("InvalidInstanceID.NotFound", fmt.Sprintf("The instance ID '%s' does not exist", id))
}

func describe(w *machines.World, in *sdk.DescribeInstancesInput) (*sdk.DescribeInstancesOutput, error) {
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, awsfake.APIError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	for _, id := range in.InstanceIds {
		if _, ok := w.Get(id); !ok {
			return nil, notFound(id)
		}
	}
	for _, f := range in.Filters {
		if len(f.Values) > 200 {
			return nil, awsfake.APIError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
	}
	var found []types.Instance
	for _, m := range w.List() {
		if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, m.ID) {
			continue
		}
		ok, err := matches(m, in.Filters)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, show(m))
		}
	}
	size := min(PageSize, int(aws.ToInt32(in.MaxResults)))
	if in.MaxResults == nil {
		size = max(len(found), 1)
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken)) // no token: the first page
	to := min(from+size, len(found))
	out := &sdk.DescribeInstancesOutput{Reservations: []types.Reservation{{Instances: found[min(from, len(found)):to]}}}
	if to < len(found) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

func show(m machines.Machine) types.Instance {
	i := types.Instance{InstanceId: aws.String(m.ID), Placement: &types.Placement{AvailabilityZone: aws.String(m.Zone)},
		State: &types.InstanceState{Name: types.InstanceStateName(m.State)}, LaunchTime: aws.Time(m.Launched)}
	for k, v := range m.Tags {
		i.Tags = append(i.Tags, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return i
}

// matches knows the filters that there are tests for; another one is an error, as an
// unknown one is for EC2.
func matches(m machines.Machine, filters []types.Filter) (bool, error) {
	for _, f := range filters {
		var values []string
		switch name := aws.ToString(f.Name); {
		case name == "instance-id":
			values = []string{m.ID}
		case name == "instance-state-name":
			values = []string{string(m.State)}
		case name == "availability-zone":
			values = []string{m.Zone}
		case name == "tag-key":
			for k := range m.Tags {
				values = append(values, k)
			}
		case strings.HasPrefix(name, "tag:"):
			if v, ok := m.Tags[strings.TrimPrefix(name, "tag:")]; ok {
				values = []string{v}
			}
		default:
			return false, awsfake.APIError("InvalidParameterValue", "The filter '"+name+"' is invalid")
		}
		if !anyLike(values, f.Values) {
			return false, nil
		}
	}
	return true, nil
}

// anyLike reports whether a value is like a pattern, with EC2's wildcards * and ?.
func anyLike(values, patterns []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			if !strings.ContainsAny(p, "*?") {
				return p == v
			}
			ok, err := path.Match(strings.NewReplacer("[", `\[`, "/", "\x01").Replace(p), strings.ReplaceAll(v, "/", "\x01"))
			return ok && err == nil
		})
	})
}
