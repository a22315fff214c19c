package ec2_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/tags"
)

// world is a fleet in memory whose hosts are fakes: what is deployed to them is known
// by the fake fleet.
type world struct {
	*ec2world.World
	hosts  *fake.Fleet
	arn    string
	behind []string // classic load balancers that groups are behind, too

	mu    sync.Mutex
	units []lifecycle.Unit
}

// newWorld makes a region with one target group. It is to be called in a bubble.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: ec2world.New(), hosts: fake.FleetOf()}
	w.Groups.OnLaunch = func(_, id string) { w.host(id) }
	var err error
	w.arn, err = w.TargetGroup(t.Context(), "web", 30*time.Second)
	require.NoError(t, err)
	return w
}

// host makes a host for a machine.
func (w *world) host(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.units = append(w.units, lifecycle.Unit{ID: id})
	w.hosts.SetUnits(w.units...)
}

// tagged launches n machines with a tag, in all zones, and registers them.
func (w *world) tagged(n int) (ids []string) {
	for i := range n {
		id := w.Machines.Launch(ec2world.Zones[i%3], map[string]string{"role": "web"})
		w.host(id)
		ids = append(ids, id)
	}
	time.Sleep(time.Minute)
	for _, id := range ids {
		w.Register(w.arn, id)
	}
	time.Sleep(time.Minute)
	return ids
}

// scaled makes an Auto Scaling group of n instances that serve.
func (w *world) scaled(t *testing.T, name string, n int) []string {
	t.Helper()
	require.NoError(t, w.Group(t.Context(), name, n, append(w.behind, w.arn)...))
	for range 100 { // until all that was launched serves
		w.Groups.Settle()
		time.Sleep(2 * time.Second)
	}
	require.Len(t, w.Serving(w.arn), n)
	return w.Groups.Members(name)
}

// Host implements [ec2.Reach].
func (w *world) Host(i ec2.Instance) target.Host { return fakeHost{w, i} }

type fakeHost struct {
	w *world
	i ec2.Instance
}

func (h fakeHost) Unit() lifecycle.Unit { return lifecycle.Unit{ID: h.i.ID, Zone: h.i.Zone} }

func (h fakeHost) Perform(ctx context.Context, t target.Task) error { return h.w.hosts.Perform(ctx, t) }

// direct is EC2 without its client.
type direct struct{ w *machines.World }

func (d direct) Describe(_ context.Context, q ec2.Query) ([]ec2.Instance, error) {
	var out []ec2.Instance
	for _, m := range d.w.List() {
		if len(q.IDs) > 0 && !slices.Contains(q.IDs, m.ID) {
			continue
		}
		hit := true
		for key, values := range q.Tags {
			v, ok := m.Tags[key]
			hit = hit && ok && (len(values) == 0 || slices.Contains(values, v))
		}
		if hit {
			out = append(out, ec2.Instance{ID: m.ID, State: string(m.State), Zone: m.Zone, Tags: m.Tags, Group: m.Tags["aws:autoscaling:groupName"]})
		}
	}
	return out, nil
}

func (d direct) Terminate(_ context.Context, ids []string) error {
	d.w.Terminate(ids...)
	return nil
}

// fleet is the driver for a selection.
func (w *world) fleet(s ec2.Selection) *ec2.Fleet {
	return &ec2.Fleet{Selection: s, Instances: direct{w.Machines}, AutoScaling: w.AutoScaling, Reach: w,
		Balancers: &ec2.Balancers{TargetGroups: []string{"web"}, V2: w.V2, V1: w.V1}}
}

var webTag = ec2.Selection{Tags: tags.Selection{Filters: tags.Group{{Key: "role", Value: "web"}}}}

// deployment deploys a small revision.
func (w *world) deployment(t *testing.T, to target.Target, s strategy.Strategy) *cutover.Deployment {
	t.Helper()
	return &cutover.Deployment{Group: "web", Revision: revision.Dir("testdata/revision"), Target: to, Strategy: s,
		Rollback: rollback.Policy{OnFailure: true}, Journal: &journal.Memory{}, WorkDir: t.TempDir()}
}

// run lets the world go on while f runs, and samples how many serve: the fewest and
// when.
func (w *world) run(t *testing.T, f func()) (fewest int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	fewest = len(w.Serving(w.arn))
	all.Go(func() {
		w.World.Run(ctx, func() { fewest = min(fewest, len(w.Serving(w.arn))) })
	})
	f()
	stop()
	all.Wait()
	return fewest
}

func statuses(res *cutover.Result) string {
	n := map[string]int{}
	for _, u := range res.Units {
		n[fmt.Sprint(u.Status)]++
	}
	return fmt.Sprint(n)
}

// pass lets the world go on for a while.
func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	w.run(t, func() { time.Sleep(d) })
}

// sweep runs do for every step-th number, each in a bubble of its own, until there is no
// more to be cut off.
func sweep(t *testing.T, first, step int, do func(t *testing.T, n int) (more bool)) {
	for n, more := first, true; more; n += step {
		synctest.Test(t, func(t *testing.T) { more = do(t, n) })
	}
}
