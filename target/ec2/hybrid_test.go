package ec2_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
	"github.com/cutover-deploy/cutover/internal/awsfake/ssm"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/tags"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// activated makes n machines outside of EC2 with a tag.
func (w *managedWorld) activated(n int) (ids []string) {
	for range n {
		id := w.run.Activate(map[string]string{"role": "web"})
		w.host(id)
		ids = append(ids, id)
	}
	return ids
}

// hybridFleet is one of such machines, and of EC2 instances if there is an ec2.
func (w *managedWorld) hybridFleet(s ec2.Selection, others ec2.Instances) *ec2.Fleet {
	return &ec2.Fleet{Selection: s, Reach: w.reach, Instances: &ec2.Hybrid{Client: sdk.NewFromConfig(w.API.Config()), EC2: others}}
}

// inEC2 lists the managed nodes that are EC2 instances.
func inEC2(w *managedWorld) func() []ssm.Node {
	return func() (all []ssm.Node) {
		for _, m := range w.Machines.List() {
			if m.State == machines.Running {
				all = append(all, ssm.Node{ID: m.ID, Ping: types.PingStatusOnline, Tags: m.Tags})
			}
		}
		return all
	}
}

func ids(units []lifecycle.Unit) (all []string) {
	for _, u := range units {
		all = append(all, u.ID)
	}
	return all
}

// The contract of targets, kept by machines outside of EC2.
func TestHybridFleetKeepsTheContractOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := targettest.Check(t.Context(), func() (*targettest.Harness, error) {
			w := newManaged(t)
			w.activated(3)
			h := harness(t, w.world, func() *ec2.Fleet { return w.hybridFleet(webTag, nil) })
			h.Events, h.Sick = []lifecycle.Event{lifecycle.Install, lifecycle.AfterInstall}, nil
			end := h.Close
			h.Close = func() { end(); w.run.Close() }
			return h, nil
		})
		require.NoError(t, err)
	})
}

// A fleet of both kinds: each is found where it is, and one deployment goes to all. EC2
// instances are managed nodes too, and are not found twice.
func TestMixedFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.run.EC2 = inEC2(w)
		want := append(w.tagged(3), w.activated(60)...)
		w.Machines.Launch(ec2world.Zones[0], map[string]string{"role": "db"})
		w.run.Activate(map[string]string{"role": "db"})
		f := w.hybridFleet(webTag, direct{w.Machines})
		units, err := f.Units(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, ids(units))
		require.Equal(t, 2, w.API.Counts()["SSM.DescribeInstanceInformation"], "two pages")
		require.Equal(t, 60, w.API.Counts()["SSM.ListTagsForResource"], "EC2 instances have told their tags already")

		res, err := w.deployment(t, f, strategy.HalfAtATime()).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, "map[Succeeded:63]", statuses(res), "%+v", res.Failure)
	})
}

// Machines alone: EC2 is never asked.
func TestHybridFleetAsksNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.activated(2)
		before := len(w.API.Calls())
		f := w.hybridFleet(webTag, nil)
		res, err := w.deployment(t, f, strategy.AllAtOnce()).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, "map[Succeeded:2]", statuses(res))
		policy, err := f.Policy(ec2.Scope{})
		require.NoError(t, err)
		may := allowed(t, policy)
		called := map[string]bool{}
		for _, c := range w.API.Calls()[before:] {
			require.Equal(t, "SSM", c.Service)
			require.True(t, may["ssm:"+c.Operation], "%s is called, and the policy does not allow it", c.Operation)
			called[c.Operation] = true
		}
		require.Len(t, may, len(called)+1, "nothing more than is called, and what fetches long output: %s", policy)
		require.Contains(t, policy, "managed-instance/*")
		require.NotContains(t, policy, "ec2:")
		require.NotContains(t, policy, ":instance/*")
	})
}

// CodeDeploy's tag groups, over machines: any filter of a group, and each of the groups.
func TestTagGroupsOfMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.run.EC2 = inEC2(w)
		w.tagged(1)
		a := w.run.Activate(map[string]string{"env": "prod", "role": "web"})
		b := w.run.Activate(map[string]string{"env": "canary", "role": "web"})
		c := w.run.Activate(map[string]string{"env": "prod", "role": "db", "note": ""})
		w.run.Activate(map[string]string{"env": "Prod", "role": "web"})
		for text, want := range map[string][]string{
			"env=prod, env=canary; role=web": {a, b},
			"env=prod, role=db":              {a, c},
			"env=prod; role":                 {a, c},
			"note":                           {c},
			"=db":                            {c},
			"env=prod, env=none; =web":       {a},
		} {
			s, err := tags.Parse(text)
			require.NoError(t, err)
			units, err := w.hybridFleet(ec2.Selection{Tags: s}, nil).Units(t.Context())
			require.NoError(t, err, text)
			require.Equal(t, want, ids(units), text)
		}
		empty := ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "note", Type: tags.KeyAndValue}}}}
		units, err := w.hybridFleet(empty, nil).Units(t.Context())
		require.NoError(t, err, "the API takes no empty values")
		require.Equal(t, []string{c}, ids(units))

		s, err := tags.Parse("env=test")
		require.NoError(t, err)
		_, err = w.hybridFleet(ec2.Selection{Tags: s}, nil).Units(t.Context())
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.NoUnits, code, "%v", err)
		require.Contains(t, text, "env=test")
	})
}

// The ping status is the state of a unit: who cannot be reached is lost.
func TestPingStatusOfMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		all := w.activated(4)
		w.run.Ping(all[1], types.PingStatusConnectionLost)
		w.run.Ping(all[2], types.PingStatusInactive)
		w.run.Deregister(all[3])
		units, err := w.hybridFleet(webTag, nil).Units(t.Context())
		require.NoError(t, err)
		require.Equal(t, all[:3], ids(units))
		require.Empty(t, units[0].Lost)
		require.Contains(t, units[1].Lost, "lost the connection")
		require.Contains(t, units[2].Lost, "not heard of the machine")
	})
}

// Another process finds a machine by its id; one that was deregistered is lost, whether
// the list answers or refuses because of it.
func TestMachinesByID(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newManaged(t)
			defer w.run.Close()
			w.run.StrictIDs = strict
			all := w.activated(5)
			w.run.Deregister(all[2])
			h := &ec2.Hybrid{Client: sdk.NewFromConfig(w.API.Config())}
			found, err := h.Describe(t.Context(), ec2.Query{IDs: all})
			require.NoError(t, err)
			require.Len(t, found, 4)
			require.Equal(t, map[string]string{"role": "web"}, found[0].Tags)
			_, err = h.Describe(t.Context(), ec2.Query{IDs: all})
			require.NoError(t, err)
			require.Equal(t, 4, w.API.Counts()["SSM.ListTagsForResource"], "tags are read once")

			task := target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: all[2], Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}}
			code, _ := codeAndText(w.hybridFleet(webTag, nil).Perform(t.Context(), task))
			require.Equal(t, lifecycle.UnitLost, code)
			task.Step.Unit = all[0]
			require.NoError(t, w.hybridFleet(webTag, nil).Perform(t.Context(), task))
		})
	}
}

// Calls are throttled, answers are lost, and the tags of a machine are empty when they
// are read too early: no machine is left out because of that.
func TestMachinesThroughAStorm(t *testing.T) {
	for _, fault := range []awsfake.Fault{awsfake.Throttle, awsfake.ServerError, awsfake.LostReply, awsfake.EmptyAnswer} {
		synctest.Test(t, func(t *testing.T) {
			w := newManaged(t)
			defer w.run.Close()
			want := w.activated(120)
			asked := map[string]bool{}
			w.API.Inject(func(c awsfake.Call) awsfake.Fault {
				in, ofTags := c.In.(*sdk.ListTagsForResourceInput)
				first := ofTags && !asked[*in.ResourceId]
				if ofTags {
					asked[*in.ResourceId] = true
				}
				if first || c.N%2 == 0 && fault != awsfake.EmptyAnswer {
					return fault
				}
				return awsfake.NoFault
			})
			units, err := w.hybridFleet(webTag, nil).Units(t.Context())
			require.NoError(t, err, fault)
			require.Equal(t, want, ids(units), fault)
		})
	}
}

// A machine that was activated a moment ago comes when the list has it.
func TestMachinesComeWhenTheListHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.run.NodeLag = time.Minute
		w.activated(1)
		f := w.hybridFleet(webTag, nil)
		_, err := f.Units(t.Context())
		code, _ := codeAndText(err)
		require.Equal(t, lifecycle.NoUnits, code)
		time.Sleep(time.Minute)
		units, err := f.Units(t.Context())
		require.NoError(t, err)
		require.Len(t, units, 1)
	})
}

func TestMachinePagesThatDoNotEnd(t *testing.T) {
	api := &awsfake.API{}
	again := "again"
	awsfake.Handle(api, sdk.ServiceID, "DescribeInstanceInformation", func(context.Context, *sdk.DescribeInstanceInformationInput) (*sdk.DescribeInstanceInformationOutput, error) {
		return &sdk.DescribeInstanceInformationOutput{NextToken: &again}, nil
	})
	_, err := (&ec2.Hybrid{Client: sdk.NewFromConfig(api.Config())}).Describe(t.Context(), ec2.Query{})
	require.ErrorContains(t, err, "twice")
}

// What machines outside of EC2 cannot do is refused before anything happens.
func TestWhatMachinesCannotDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.tagged(1)
		id := w.activated(1)[0]
		for want, change := range map[string]func(*ec2.Fleet){
			"target groups of type instance": func(f *ec2.Fleet) { f.Balancers = w.fleet(webTag).Balancers },
			"blue/green": func(f *ec2.Fleet) {
				f.Green, f.Balancers = &ec2.Green{Selection: ec2.Selection{Tags: webTag.Tags}}, w.fleet(webTag).Balancers
			},
		} {
			f := w.hybridFleet(webTag, direct{w.Machines})
			change(f)
			_, err := f.Units(t.Context())
			code, text := codeAndText(err)
			require.Equal(t, lifecycle.Unsupported, code, "%v", err)
			require.Contains(t, text, want)
			require.Contains(t, text, id)
		}
		h := &ec2.Hybrid{Client: sdk.NewFromConfig(w.API.Config())}
		code, _ := codeAndText(h.Terminate(t.Context(), []string{id}))
		require.Equal(t, lifecycle.Unsupported, code)
		_, err := h.Describe(t.Context(), ec2.Query{IDs: []string{"i-1"}})
		require.ErrorContains(t, err, "Hybrid.EC2")
	})
}

func TestNoMachinesAreNotTerminated(t *testing.T) {
	require.NoError(t, new(ec2.Hybrid).Terminate(t.Context(), nil))
	code, text := codeAndText(new(ec2.Hybrid).Terminate(t.Context(), []string{"i-1"}))
	require.Equal(t, lifecycle.Unsupported, code)
	require.Contains(t, text, "i-1")
}

// Tags that may not be read are not asked for machine by machine.
func TestTheFirstErrorEndsTheReadingOfTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.activated(120)
		w.API.Inject(awsfake.On("ListTagsForResource", awsfake.AccessDenied))
		_, err := w.hybridFleet(webTag, nil).Units(t.Context())
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.Denied, code, "%v", err)
		require.Contains(t, text, "reading the tags of mi-")
		require.LessOrEqual(t, w.API.Counts()["SSM.ListTagsForResource"], 16)
	})
}

// A connection that is lost in the middle of a step may come back: the machine works on.
func TestAMachineMayBeOutOfTouchForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.activated(1)[0]
		w.mem.took = func(string, lifecycle.Event) time.Duration { return 10 * time.Minute }
		f := w.hybridFleet(webTag, nil)
		_, err := f.Units(t.Context())
		require.NoError(t, err)
		time.AfterFunc(time.Minute, func() { w.run.Ping(id, types.PingStatusConnectionLost) })
		require.NoError(t, f.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}}))
	})
}

// Real agents on machines that call themselves mi-….
func TestHybridRealAgents(t *testing.T) {
	t.Parallel()
	r := newReal(t, 0)
	for range 2 {
		r.add(t, r.run.Activate(map[string]string{"role": "web"}))
	}
	d := r.deployment(t, revisionOf(t, "one", "exit 0"))
	d.Target = &ec2.Fleet{Selection: webTag, Instances: &ec2.Hybrid{Client: sdk.NewFromConfig(r.api.Config())}, Reach: r.reach}
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "map[Succeeded:2]", statuses(res), fmt.Sprint(res.Failure))
	for _, id := range r.ids {
		require.Equal(t, "one", r.read(t, id, "srv/app/page.txt"))
	}
}
