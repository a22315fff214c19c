package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	found, err := readNodesNamed(ctx, s.Client, ids)
	if err != nil {
		return batch.Same(len(ids), false, failed(fmt.Sprintf("asking Systems Manager for %d hosts", len(ids)), err))
	}
	there := map[string]bool{}
	for _, i := range found {
		there[aws.ToString(i.InstanceId)] = i.PingStatus == types.PingStatusOnline
	}
	results := make([]batch.Result[bool], len(ids))
	for i, id := range ids {
		results[i].Value = there[id]
	}
	return results
}
