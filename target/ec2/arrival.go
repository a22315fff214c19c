package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// errUnmanaged is the cause where Systems Manager does not know a host.
var errUnmanaged = errors.New("it has not reported in")

// asks is how often it is asked whether hosts have reported in.
const asks = 10 * time.Second

// command has a host's step in a command. A host that has not reported in to Systems
// Manager is waited for: one that was just launched takes a while.
func (s *SSM) command(ctx context.Context, k kind, t target.Task) (*command, error) {
	end, said := time.Now().Add(or(s.Arrival, 5*time.Minute)), false
	for {
		c, err := s.steps.Do(ctx, k, t.Step.Unit)
		if !errors.Is(err, errUnmanaged) || !time.Now().Before(end) {
			return c, err
		}
		if !said && t.Note != nil {
			t.Note(lifecycle.Note{Code: lifecycle.UnitLost, Text: t.Step.Unit + " has not reported in to Systems Manager yet: it is waited for"})
		}
		said = true
		if err := s.arrive(ctx, t.Step.Unit, end); err != nil {
			return nil, err
		}
	}
}

// arrive waits until a host has reported in, or its time is over.
func (s *SSM) arrive(ctx context.Context, id string, end time.Time) error {
	for {
		if err := sleep(ctx, asks); err != nil {
			return err
		}
		there, err := s.reports.Do(ctx, "", id)
		if there || err != nil || !time.Now().Before(end) {
			return err
		}
	}
}

// reported says which hosts have reported in, and answer.
func (s *SSM) reported(ctx context.Context, _ string, ids []string) []batch.Result[bool] {
	there := map[string]bool{}
	in := &ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(maxHosts),
		Filters: []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: ids}}}
	for range maxPages {
		var out *ssm.DescribeInstanceInformationOutput
		err := insist(ctx, func() (err error) { out, err = s.Client.DescribeInstanceInformation(ctx, in); return err })
		switch {
		case awsCode(err) == "InvalidInstanceId" && len(ids) > 1: // one that is not known may spoil the answer for all
			half := len(ids) / 2
			return append(s.reported(ctx, "", ids[:half]), s.reported(ctx, "", ids[half:])...)
		case awsCode(err) == "InvalidInstanceId":
			return batch.Same(len(ids), false, nil)
		case err != nil:
			return batch.Same(len(ids), false, failed(fmt.Sprintf("asking Systems Manager for %d hosts", len(ids)), err))
		}
		for _, i := range out.InstanceInformationList {
			there[aws.ToString(i.InstanceId)] = i.PingStatus == types.PingStatusOnline
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	results := make([]batch.Result[bool], len(ids))
	for i, id := range ids {
		results[i].Value = there[id]
	}
	return results
}
