package instances_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakeec2 "github.com/cutover-deploy/cutover/internal/awsfake/ec2"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/ec2/instances"
)

func world() (*awsfake.API, *machines.World, instances.EC2) {
	api, w := &awsfake.API{}, &machines.World{}
	fakeec2.Serve(api, w)
	return api, w, instances.EC2{Client: sdk.NewFromConfig(api.Config())}
}

func ids(found []ec2.Instance) []string {
	out := []string{}
	for _, i := range found {
		out = append(out, i.ID)
	}
	return out
}

func TestDescribeReadsEveryPage(t *testing.T) {
	api, w, e := world()
	for i := range 950 {
		w.Launch("a", map[string]string{"n": fmt.Sprint(i % 2)})
	}
	found, err := e.Describe(t.Context(), ec2.Query{Tags: map[string][]string{"n": {"1"}}})
	require.NoError(t, err)
	require.Len(t, found, 475)
	require.Equal(t, 5, api.Counts()["EC2.DescribeInstances"])
	require.Equal(t, ec2.Instance{ID: "i-00000000000000002", State: "running", Zone: "a", Tags: map[string]string{"n": "1"}}, found[0])
}

func TestManyIDsAreAskedForInSeveralCalls(t *testing.T) {
	api, w, e := world()
	var want []string
	for range 450 {
		want = append(want, w.Launch("a", nil))
	}
	found, err := e.Describe(t.Context(), ec2.Query{IDs: append(want, "i-unknown")})
	require.NoError(t, err)
	require.Equal(t, want, ids(found))
	require.Equal(t, 5, api.Counts()["EC2.DescribeInstances"], "two pages of 200, twice, and one of the rest")
}

func TestAKeyOfAnyValue(t *testing.T) {
	_, w, e := world()
	one := w.Launch("a", map[string]string{"role": ""})
	w.Launch("a", nil)
	found, err := e.Describe(t.Context(), ec2.Query{Tags: map[string][]string{"role": nil}})
	require.NoError(t, err)
	require.Equal(t, []string{one}, ids(found))
}

func TestTerminateIsNotHeldUpByAnUnknownOne(t *testing.T) {
	_, w, e := world()
	one, two := w.Launch("a", nil), w.Launch("a", nil)
	require.NoError(t, e.Terminate(t.Context(), []string{one, "i-unknown", two}))
	require.NoError(t, e.Terminate(t.Context(), []string{one}))
	require.Empty(t, w.IDs())
}

// I12: a list whose pages go round in a circle ends with an error.
func TestI12_PagesThatDoNotEnd(t *testing.T) {
	api, _, e := world()
	awsfake.Handle(api, sdk.ServiceID, "DescribeInstances", func(context.Context, *sdk.DescribeInstancesInput) (*sdk.DescribeInstancesOutput, error) {
		return &sdk.DescribeInstancesOutput{NextToken: aws.String("again")}, nil
	})
	_, err := e.Describe(t.Context(), ec2.Query{})
	require.ErrorContains(t, err, "twice")
}

// Over the wire: what is asked for is understood.
func TestMoto(t *testing.T) {
	c := sdk.NewFromConfig(moto.Start(t, "MOTO_EC2_LOAD_DEFAULT_AMIS=false").Config())
	e := instances.EC2{Client: c}
	out, err := c.RunInstances(t.Context(), &sdk.RunInstancesInput{MinCount: aws.Int32(3), MaxCount: aws.Int32(3), ImageId: aws.String("ami-12c6146b"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("role"), Value: aws.String("web")}}}}})
	require.NoError(t, err)
	one := *out.Instances[0].InstanceId
	found, err := e.Describe(t.Context(), ec2.Query{Tags: map[string][]string{"role": {"web"}}})
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.Equal(t, "running", found[0].State)
	require.NotEmpty(t, found[0].Zone)
	require.NoError(t, e.Terminate(t.Context(), []string{one, "i-0123456789abcdef0"}))
	found, err = e.Describe(t.Context(), ec2.Query{IDs: []string{one, "i-0123456789abcdef0"}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "terminated", found[0].State)
}
