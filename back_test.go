package cutover

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// moody is a fleet that cannot say what its units are once a step has failed, while ill
// is set.
type moody struct {
	failing
	ill    func() error
	failed atomic.Bool
}

func (m *moody) Perform(ctx context.Context, t target.Task) error {
	err := m.failing.Perform(ctx, t)
	if err != nil {
		m.failed.Store(true)
	}
	return err
}

func (m *moody) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if m.ill != nil && m.failed.Load() {
		if err := m.ill(); err != nil {
			return nil, err
		}
	}
	return m.failing.Units(ctx)
}

// H8: an accident while the rollback is planned decides nothing, whatever its code is: the
// rollback stays promised, Run says what is in the way, and Resume carries it out.
func TestH8_AccidentKeepsTheRollback(t *testing.T) {
	for name, ill := range map[string]func() error{
		"throttled": func() error {
			return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.Throttled, Message: "slow down"}}
		},
		"panics": func() error { panic("a defect") },
	} {
		t.Run(name, func(t *testing.T) {
			f := fake.NewFleet(2)
			d := deployment(t, f, "one")
			good := run(t, d)
			d.ID, d.Revision = "d-bad", rev(t, "two")
			m := &moody{failing: failing{f, lifecycle.Step{Deployment: "d-bad", Event: lifecycle.ValidateService}}, ill: ill}
			d.Target = m
			res, err := d.Run(t.Context())
			require.ErrorContains(t, err, "rolling back d-bad")
			require.Equal(t, strategy.DeploymentFailed, res.Status)

			m.ill = nil
			res, err = d.Resume(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
			require.Equal(t, good.Revision, res.Rollback.Revision)
		})
	}
}
