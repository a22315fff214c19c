package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
	"github.com/cutover-deploy/cutover/internal/awsfake/ssm"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/tags"
)

// Machines outside of EC2, and the instances with the same tags, in one fleet.
func ExampleHybrid() {
	api := &awsfake.API{}
	manager := ssm.New(api, nil)
	defer manager.Close()
	manager.Activate(map[string]string{"role": "web"})
	manager.Activate(map[string]string{"role": "db"})
	region := &machines.World{}
	region.Launch("eu-central-1a", map[string]string{"role": "web"})

	web, err := tags.Parse("role=web")
	if err != nil {
		fmt.Println(err)
		return
	}
	fleet := &ec2.Fleet{
		Selection: ec2.Selection{Tags: web},
		Instances: &ec2.Hybrid{Client: awsssm.NewFromConfig(api.Config()), EC2: direct{region}}, // in your program: instances.EC2
		Reach:     &ec2.SSM{},                                                                   // in your program with Client and Store
	}
	units, err := fleet.Units(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, u := range units {
		fmt.Println(u.ID)
	}
	// Output:
	// i-00000000000000001
	// mi-00000000000000001
}

// Three tagged instances, without load balancers. Their hosts are reached by whatever a
// function says: here they are fakes.
func ExampleFleet() {
	region := ec2world.New()
	region.Machines.Boot = 0
	hosts := fake.FleetOf()
	for i := range 3 {
		region.Machines.Launch(ec2world.Zones[i], map[string]string{"env": "prod", "role": "web"})
	}
	region.Machines.Launch(ec2world.Zones[0], map[string]string{"env": "test", "role": "web"})

	prod, err := tags.Parse("env=prod; role=web")
	if err != nil {
		fmt.Println(err)
		return
	}
	fleet := &ec2.Fleet{
		Selection: ec2.Selection{Tags: prod},
		Instances: direct{region.Machines}, // in your program: instances.EC2
		Reach: ec2.HostFunc(func(i ec2.Instance) target.Host { // in your program: &ec2.SSM
			return fakeOf{hosts, i}
		}),
	}
	units, err := fleet.Units(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	hosts.SetUnits(units...)
	d := &cutover.Deployment{Group: "web", Revision: revision.Dir("testdata/revision"), Target: fleet, Strategy: strategy.AllAtOnce()}
	res, err := d.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Status)
	for _, u := range res.Units {
		fmt.Println(u.Unit, u.Status)
	}
	// Output:
	// Succeeded
	// i-00000000000000001 Succeeded
	// i-00000000000000002 Succeeded
	// i-00000000000000003 Succeeded
}

type fakeOf struct {
	*fake.Fleet
	i ec2.Instance
}

func (h fakeOf) Unit() lifecycle.Unit { return lifecycle.Unit{ID: h.i.ID, Zone: h.i.Zone} }

// C18: nothing that matches is an error, before anything is touched.
func TestC18_NothingMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, s := range []ec2.Selection{webTag, {Groups: []string{"web"}}} {
			_, err := w.deployment(t, w.fleet(s), strategy.AllAtOnce()).Run(t.Context())
			e, ok := errors.AsType[*lifecycle.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, lifecycle.NoUnits, e.Code)
			require.Contains(t, e.Message, "web")
		}
	})
}
