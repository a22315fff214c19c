package ecs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecssdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/require"

	ecsfake "github.com/cutover-deploy/cutover/internal/awsfake/ecs"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ecs"
)

// paged is a client whose lists come in many pages, of which the first one has nothing in it.
type paged struct{ *ecssdk.Client }

const first = "first page"

func (p paged) ListTasks(ctx context.Context, in *ecssdk.ListTasksInput, opts ...func(*ecssdk.Options)) (*ecssdk.ListTasksOutput, error) {
	if in.NextToken == nil {
		return &ecssdk.ListTasksOutput{NextToken: aws.String(first)}, nil
	}
	one := *in
	if one.MaxResults = aws.Int32(1); *in.NextToken == first {
		one.NextToken = nil
	}
	return p.Client.ListTasks(ctx, &one, opts...)
}

func (p paged) ListServiceDeployments(ctx context.Context, in *ecssdk.ListServiceDeploymentsInput, opts ...func(*ecssdk.Options)) (*ecssdk.ListServiceDeploymentsOutput, error) {
	if in.NextToken == nil {
		old := ecstypes.ServiceDeploymentBrief{ServiceDeploymentArn: aws.String("old"), Status: ecstypes.ServiceDeploymentStatusSuccessful, CreatedAt: aws.Time(time.Now().Add(-1000 * time.Hour))}
		return &ecssdk.ListServiceDeploymentsOutput{NextToken: aws.String(first), ServiceDeployments: []ecstypes.ServiceDeploymentBrief{old}}, nil
	}
	one := *in
	if one.MaxResults = aws.Int32(1); *in.NextToken == first {
		one.NextToken = nil
	}
	return p.Client.ListServiceDeployments(ctx, &one, opts...)
}

// Tasks that crash are found on whichever page they are, and so is a service deployment.
func TestListsComeInPages(t *testing.T) {
	t.Run("stopped tasks", func(t *testing.T) {
		in(t, func(t *testing.T, w *world) {
			w.fake.Behave("web:2", ecsfake.Behaviour{Crash: 5 * time.Second})
			d := w.deployment("d-2", canary)
			s := w.service()
			s.ECS = paged{w.ecs}
			d.Target = s
			began := time.Now()
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Contains(t, res.Units[1].Failure.Message, "do not stay up")
			require.Less(t, time.Since(began), 15*time.Minute)
		})
	})
	t.Run("service deployments", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := nativeWorld(t)
			n := w.native(strategy.Shift{})
			n.ECS = paged{w.ecs}
			res, err := w.nativeDeployment(n).Run(t.Context())
			require.NoError(t, err)
			require.NoError(t, res.Err())
			require.Equal(t, "web:2 2 web-blue=0 web-green=100 SUCCESSFUL", w.state())
		})
	})
}

var _ ecs.NativeAPI = paged{}
