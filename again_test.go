package cutover

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// telling is a target that keeps what it was told about steps.
type telling struct {
	target.Target
	again map[lifecycle.Event]bool
}

func (t *telling) Perform(ctx context.Context, task target.Task) error {
	t.again[task.Step.Event] = task.Again
	return t.Target.Perform(ctx, task)
}

// After a crash, a doer learns which step was begun before it: that one and no other.
func TestStepsThatWereBegunBeforeACrash(t *testing.T) {
	memory, to := &journal.Memory{}, &telling{fake.NewFleet(1), map[lifecycle.Event]bool{}}
	errCrash := errors.New("the controller ends here")
	d := func(j journal.Journal) *Deployment {
		return &Deployment{Group: "web", Target: to, Revision: revision.Dir(t.TempDir()), WorkDir: t.TempDir(), Journal: j}
	}
	_, err := d(&journaltest.Tap{Journal: memory, Before: func(records []lifecycle.Record) error {
		for _, r := range records {
			if r.Kind == lifecycle.Ended && r.Step.Event == lifecycle.Install {
				return errCrash
			}
		}
		return nil
	}}).Run(t.Context())
	require.ErrorIs(t, err, errCrash)
	for e, again := range to.again {
		require.False(t, again, e)
	}
	to.again = map[lifecycle.Event]bool{}
	_, err = d(memory).Resume(t.Context(), "")
	require.NoError(t, err)
	require.Greater(t, len(to.again), 2)
	for e, again := range to.again {
		require.Equal(t, e == lifecycle.Install, again, e)
	}
}
