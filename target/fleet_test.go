package target_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// recorder is a host and a balancer that write down what they are asked.
type recorder struct {
	id      string
	steps   []lifecycle.Event
	weights map[string]lifecycle.Weight
	err     error
}

func (r *recorder) Unit() lifecycle.Unit { return lifecycle.Unit{ID: r.id} }

func (r *recorder) Perform(_ context.Context, t target.Task) error {
	r.steps = append(r.steps, t.Step.Event)
	return r.err
}

func (r *recorder) SetWeight(_ context.Context, unit string, w lifecycle.Weight) error {
	if r.err == nil {
		r.weights[unit] = w
	}
	return r.err
}

func (r *recorder) Weight(_ context.Context, unit string) (lifecycle.Weight, error) {
	return r.weights[unit], nil
}

func task(unit string, e lifecycle.Event, w lifecycle.Weight) target.Task {
	return target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: unit, Event: e, Weight: w}}
}

func codeOf(t *testing.T, err error) lifecycle.Code {
	t.Helper()
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	return e.Code
}

func TestStepsGoWhereTheyBelong(t *testing.T) {
	a, b, lb := &recorder{id: "a"}, &recorder{id: "b"}, &recorder{weights: map[string]lifecycle.Weight{}}
	f := &target.Fleet{Hosts: []target.Host{a, b}, Traffic: lb}
	require.True(t, f.Balanced())
	for _, e := range lifecycle.InPlaceBalanced.Events() {
		require.NoError(t, f.Perform(t.Context(), task("b", e, 0)))
	}
	require.Empty(t, a.steps)
	require.NotContains(t, b.steps, lifecycle.BlockTraffic)
	require.NotContains(t, b.steps, lifecycle.AllowTraffic)
	require.Len(t, b.steps, len(lifecycle.InPlaceBalanced.Events())-2)
	require.Equal(t, map[string]lifecycle.Weight{"b": 100}, lb.weights)

	require.NoError(t, f.Perform(t.Context(), task("a", lifecycle.AllowTraffic, 10)))
	require.NoError(t, f.Perform(t.Context(), task("b", lifecycle.BlockTraffic, 0)))
	require.Equal(t, map[string]lifecycle.Weight{"a": 10, "b": 0}, lb.weights)
}

func TestV9_SameHostTwice(t *testing.T) {
	cases := map[string][]target.Host{
		`hosts 0 and 2 are both called "a"`: {&recorder{id: "a"}, &recorder{id: "b"}, &recorder{id: "a"}},
		"host 1 has no id":                  {&recorder{id: "a"}, &recorder{}},
		"host 0 is nil":                     {nil},
	}
	for text, hosts := range cases {
		_, err := (&target.Fleet{Hosts: hosts}).Units(t.Context())
		require.ErrorContains(t, err, text)
	}
}

func TestUnitsKeepTheirOrder(t *testing.T) {
	units, err := (&target.Fleet{Hosts: []target.Host{&recorder{id: "b"}, &recorder{id: "a"}}}).Units(t.Context())
	require.NoError(t, err)
	require.Equal(t, []lifecycle.Unit{{ID: "b"}, {ID: "a"}}, units)
	units, err = (&target.Fleet{}).Units(t.Context())
	require.NoError(t, err)
	require.Empty(t, units)
}

func TestRefusals(t *testing.T) {
	down := errors.New("balancer is down")
	a := &recorder{id: "a", err: errors.New("plain")}
	f := &target.Fleet{Hosts: []target.Host{a}}
	require.False(t, f.Balanced())
	require.Equal(t, lifecycle.UnitLost, codeOf(t, f.Perform(t.Context(), task("gone", lifecycle.Install, 0))))
	require.Equal(t, lifecycle.Unsupported, codeOf(t, f.Perform(t.Context(), task("a", lifecycle.BlockTraffic, 0))))
	require.Equal(t, a.err, f.Perform(t.Context(), task("a", lifecycle.Install, 0)), "a host's error is the host's")

	f.Traffic = &recorder{err: down}
	err := f.Perform(t.Context(), task("a", lifecycle.BlockTraffic, 0))
	require.Equal(t, lifecycle.TargetFailed, codeOf(t, err))
	require.ErrorIs(t, err, down)

	coded := &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.TimedOut, Message: "did not drain"}}
	f.Traffic = &recorder{err: coded}
	require.Equal(t, lifecycle.TimedOut, codeOf(t, f.Perform(t.Context(), task("a", lifecycle.BlockTraffic, 0))))
}

func TestCancelledFleetTouchesNothing(t *testing.T) {
	a := &recorder{id: "a"}
	f := &target.Fleet{Hosts: []target.Host{a}}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	require.ErrorIs(t, f.Perform(ctx, task("a", lifecycle.Install, 0)), why)
	require.Empty(t, a.steps)
	_, err := f.Units(ctx)
	require.ErrorIs(t, err, why)
}
