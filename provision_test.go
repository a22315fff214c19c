package cutover

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

func blueGreen(t *testing.T, f target.Target) *Deployment {
	d := deployment(t, f, "one")
	d.Strategy = strategy.BlueGreen{}
	return d
}

// A plan says what would be made, and makes nothing.
func TestPlan_MakesNothing(t *testing.T) {
	f := fake.NewBlueGreen(3, &fake.Balancer{})
	d := blueGreen(t, f)
	plan, err := d.Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, plan.Provision)
	text := plan.String()
	for _, want := range []string{
		"Provision: 3 replacements, made by the target",
		"traffic before: host-1 100 %, host-2 100 %, host-3 100 %",
		"stage 0: replacements: install, 3 units",
		"3 replacements are made first, as many as originals serve (CodeDeploy: COPY_AUTO_SCALING_GROUP)",
	} {
		require.Contains(t, text, want)
	}
	units, err := f.Units(t.Context())
	require.NoError(t, err)
	require.Len(t, units, 3)
	require.Empty(t, f.Calls())

	sim, err := strategy.Simulate(plan, strategy.Model{})
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, sim.Verdict)
	require.Contains(t, sim.Touched, "new-3")
}

// poolOf is a target whose pool answers what a test wants.
type poolOf struct {
	*fake.Fleet
	units []lifecycle.Unit
	err   error
}

func (p *poolOf) Provision(context.Context, string, int) ([]lifecycle.Unit, error) {
	return p.units, p.err
}

// narrating is a pool that tells what it does.
type narrating struct{ *fake.Fleet }

func (p narrating) ProvisionNoting(ctx context.Context, deployment string, n int, note func(lifecycle.Note)) ([]lifecycle.Unit, error) {
	note(lifecycle.Note{Text: "a launch has failed"})
	return p.Provision(ctx, deployment, n)
}

// What a pool tells while it makes units is in the journal, with the step.
func TestPoolsThatTell(t *testing.T) {
	d := blueGreen(t, narrating{fake.NewBlueGreen(2, &fake.Balancer{})})
	var said []lifecycle.Record
	d.Observe = func(r lifecycle.Record) {
		if r.Kind == lifecycle.Noted && r.Step.Event == lifecycle.Provision {
			said = append(said, r)
		}
	}
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
	require.Len(t, said, 1)
	require.Contains(t, string(said[0].Data), "a launch has failed")
}

// Invariant 14: what was not made for the deployment is not removed, whatever a pool says.
func TestG26_PoolsThatLie(t *testing.T) {
	cases := map[string]struct {
		pool    poolOf
		retired int
	}{
		`says that it has made "host-1"`:                 {poolOf{units: []lifecycle.Unit{{ID: "host-1"}, {ID: "new-1"}}}, 1},
		`says that it has made ""`:                       {poolOf{units: []lifecycle.Unit{{}, {ID: "new-1"}}}, 1},
		`says that it has made "new-1"`:                  {poolOf{units: []lifecycle.Unit{{ID: "new-1"}, {ID: "new-1"}}}, 1},
		"1 replacements were made, and 2 are needed":     {poolOf{units: []lifecycle.Unit{{ID: "new-1"}}}, 1},
		"0 replacements were made, and 2 are needed":     {poolOf{}, 0},
		"no capacity; the originals were not touched":    {poolOf{err: errors.New("no capacity")}, 0},
		"no more capacity; the originals were not touch": {poolOf{err: errors.New("no more capacity"), units: []lifecycle.Unit{{ID: "new-1"}}}, 1},
	}
	for text, c := range cases {
		b := &fake.Balancer{}
		c.pool.Fleet = fake.NewBlueGreen(2, b)
		res := run(t, blueGreen(t, &c.pool))
		require.Equal(t, strategy.DeploymentFailed, res.Status, text)
		require.Contains(t, res.Failure.Message, text)
		require.Nil(t, res.Rollback)
		retired := 0
		for _, call := range c.pool.Calls() {
			require.Equal(t, lifecycle.Retire, call.Step.Event, text)
			require.Equal(t, "new-1", call.Step.Unit, text)
			retired++
		}
		require.Equal(t, c.retired, retired, text)
		require.Equal(t, map[string]lifecycle.Weight{"host-1": 100, "host-2": 100}, b.Weights(), text)
	}
}

// Who resumes a deployment that has yet to make its replacements needs a pool.
func TestProvision_ResumedWithoutAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewBlueGreen(2, &fake.Balancer{})
		d := blueGreen(t, f)
		d.Journal = &journal.Memory{}
		ctx, cancel := context.WithCancel(t.Context())
		f.On(fake.Match{Event: lifecycle.Provision}, fake.Hang())
		go func() { synctest.Wait(); cancel() }()
		_, err := d.Run(ctx)
		require.ErrorIs(t, err, context.Canceled)
		d.Target = struct{ target.Target }{f}
		res, err := d.Resume(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, lifecycle.Unsupported, res.Failure.Code)
	})
}

// Replacements that the target lists are used, and none are made.
func TestProvision_ReplacementsThatAreThere(t *testing.T) {
	f := fake.NewBlueGreen(3, &fake.Balancer{})
	_, err := f.Provision(t.Context(), "by hand", 2)
	require.NoError(t, err)
	d := blueGreen(t, f)
	plan, err := d.Plan(t.Context())
	require.NoError(t, err)
	require.Zero(t, plan.Provision)
	require.Equal(t, []string{"host-4", "host-5"}, plan.Stages[0].Units)
	require.Equal(t, strategy.DeploymentSucceeded, run(t, d).Status)
}
