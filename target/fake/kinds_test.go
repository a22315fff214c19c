package fake_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

func names(units []lifecycle.Unit) []string {
	out := []string{}
	for _, u := range units {
		out = append(out, u.ID+" "+string(u.Role))
	}
	return out
}

func listed(t *testing.T, f target.Target) []string {
	t.Helper()
	units, err := f.Units(t.Context())
	require.NoError(t, err)
	return names(units)
}

func weighted(unit string, e lifecycle.Event, w lifecycle.Weight) target.Task {
	one := task(unit, e)
	one.Step.Weight = w
	return one
}

// A pool knows what it has made for a deployment, and what serves in the end is the
// original of the next one.
func TestPool(t *testing.T) {
	ctx, b := t.Context(), &fake.Balancer{}
	f := fake.NewBlueGreen(2, b)
	require.Equal(t, map[string]lifecycle.Weight{"host-1": 100, "host-2": 100}, b.Weights())
	first, err := f.Provision(ctx, "d-1", 1)
	require.NoError(t, err)
	again, err := f.Provision(ctx, "d-1", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"host-3 replacement"}, names(first))
	require.Equal(t, []string{"host-3 replacement", "host-4 replacement"}, names(again), "what was missing")
	require.Equal(t, []string{"host-1 original", "host-2 original", "host-3 replacement", "host-4 replacement"}, listed(t, f))

	require.ErrorContains(t, f.Retire(ctx, "host-1"), "has 100 % of its traffic")
	require.Equal(t, lifecycle.TargetFailed, code(f.Perform(ctx, task("host-2", lifecycle.Retire))))
	require.NoError(t, f.Perform(ctx, task("host-3", lifecycle.AllowTraffic)))
	require.NoError(t, b.SetWeight(ctx, "host-1", 0))
	require.NoError(t, f.Perform(ctx, task("host-1", lifecycle.Retire)))
	require.NoError(t, f.Perform(ctx, task("host-1", lifecycle.Retire)), "it is known that it was retired")
	require.NoError(t, f.Retire(ctx, "host-1"))
	require.Equal(t, lifecycle.UnitLost, code(f.Perform(ctx, task("host-1", lifecycle.AllowTraffic))))

	_, err = f.Provision(ctx, "d-2", 1)
	require.NoError(t, err)
	require.Equal(t, []string{"host-2 original", "host-3 original", "host-5 replacement"}, listed(t, f))
	require.NoError(t, f.Retire(ctx, "host-4"), "it is not listed and exists")
	_, err = fake.NewFleet(1).Provision(ctx, "d-1", 1)
	require.ErrorContains(t, err, "no balancer")
}

// Names of the caller's own are not given twice.
func TestPool_NamesAreFree(t *testing.T) {
	f := fake.FleetOf(lifecycle.Unit{ID: "host-1", Role: lifecycle.OriginalRole}).Balance(&fake.Balancer{})
	made, err := f.Provision(t.Context(), "d-1", 1)
	require.NoError(t, err)
	require.Equal(t, []string{"host-2 replacement"}, names(made))
}

func TestService(t *testing.T) {
	ctx, s := t.Context(), fake.NewService("web")
	require.Equal(t, []string{"web-1 original", "web-2 replacement"}, listed(t, s))
	require.Equal(t, []string{"web-1"}, s.TaskSets())
	refused := map[string]target.Task{
		"Install creates it":   weighted("web-2", lifecycle.AllowTraffic, 10),
		"it cannot be deleted": task("web-1", lifecycle.Retire),
		"the task set serves":  task("web-1", lifecycle.Install),
		"no such event":        task("web-2", lifecycle.ApplicationStop),
		"no task set of that":  task("web-3", lifecycle.Install),
	}
	for text, one := range refused {
		require.ErrorContains(t, s.Perform(ctx, one), text)
	}
	require.Equal(t, map[string]lifecycle.Weight{"web-1": 100}, s.Weights())

	require.NoError(t, s.Perform(ctx, task("web-2", lifecycle.Install)))
	require.NoError(t, s.Perform(ctx, weighted("web-2", lifecycle.AllowTestTraffic, 100)))
	require.Equal(t, "web-2", s.TestTraffic())
	require.NoError(t, s.Perform(ctx, weighted("web-2", lifecycle.AllowTraffic, 30)))
	require.Equal(t, map[string]lifecycle.Weight{"web-1": 70, "web-2": 30}, s.Weights())
	require.NoError(t, s.Perform(ctx, weighted("web-1", lifecycle.AllowTraffic, 100)))
	require.NoError(t, s.Perform(ctx, weighted("web-2", lifecycle.Retire, 0)))
	require.Equal(t, []string{"web-1 original", "web-3 replacement"}, listed(t, s))
	require.Empty(t, s.TestTraffic())
	require.Equal(t, []fake.Shift{{"web-2", 0, 30}, {"web-1", 100, 70}, {"web-1", 70, 100}, {"web-2", 30, 0}}, s.History())
}

func TestAlias(t *testing.T) {
	ctx, a := t.Context(), fake.NewAlias("1")
	require.Equal(t, []string{"1 original"}, listed(t, a))
	a.Publish("2")
	require.NoError(t, a.Perform(ctx, weighted("2", lifecycle.AllowTraffic, 60)))
	a.Publish("3")
	require.Equal(t, []string{"2 original", "3 replacement"}, listed(t, a), "the version with the most traffic")
	require.NoError(t, a.Perform(ctx, weighted("3", lifecycle.AllowTraffic, 10)))
	require.Equal(t, map[string]lifecycle.Weight{"1": 0, "2": 90, "3": 10}, a.Weights())
	require.Equal(t, lifecycle.UnitLost, code(a.Perform(ctx, weighted("9", lifecycle.AllowTraffic, 10))))
	require.Equal(t, lifecycle.Unsupported, code(a.Perform(ctx, task("3", lifecycle.Install))))
}

func TestHealth(t *testing.T) {
	ctx, b := t.Context(), &fake.Balancer{}
	f := fake.NewFleet(1).Balance(b)
	f.SetHealth("host-1", false)
	require.ErrorContains(t, f.Perform(ctx, task("host-1", lifecycle.AllowTraffic)), "health checks")
	require.Empty(t, b.Weights())
	f.SetHealth("host-1", true)
	one := task("host-1", lifecycle.AllowTraffic)
	one.Step.Deployment = "d-2"
	require.NoError(t, f.Perform(ctx, one))
}

// G1: what was written is not what is read, for a while.
func TestStaleReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake.NewAlias("1")
		a.Publish("2")
		a.On(fake.Match{}, fake.StaleRead(time.Minute))
		read := func(unit string) lifecycle.Weight {
			w, err := a.Weight(t.Context(), unit)
			require.NoError(t, err)
			return w
		}
		require.NoError(t, a.Perform(t.Context(), weighted("2", lifecycle.AllowTraffic, 10)))
		require.Equal(t, []lifecycle.Weight{100, 0}, []lifecycle.Weight{read("1"), read("2")})
		require.Equal(t, map[string]lifecycle.Weight{"1": 90, "2": 10}, a.Weights(), "as it is")
		time.Sleep(time.Minute)
		require.Equal(t, []lifecycle.Weight{90, 10}, []lifecycle.Weight{read("1"), read("2")})

		b := &fake.Balancer{}
		b.Lag(time.Second)
		require.NoError(t, b.SetWeight(t.Context(), "x", 100))
		w, err := b.Weight(t.Context(), "x")
		require.NoError(t, err)
		require.Zero(t, w)
	})
}

// G2: throttled a few times, and then no longer; nothing is kept of it.
func TestThrottle(t *testing.T) {
	ctx, f, b := t.Context(), fake.NewFleet(2), &fake.Balancer{}
	f.On(fake.Match{Event: lifecycle.Install}, fake.Throttle(2))
	for _, want := range []lifecycle.Code{lifecycle.Throttled, lifecycle.Throttled, "", ""} {
		require.Equal(t, want, code(f.Perform(ctx, task("host-1", lifecycle.Install))))
	}
	require.Len(t, f.Done(), 1)
	b.Throttle(1)
	require.ErrorContains(t, b.SetWeight(ctx, "x", 100), "throttled")
	require.NoError(t, b.SetWeight(ctx, "x", 100))
}
