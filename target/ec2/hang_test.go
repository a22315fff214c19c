package ec2_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// One call of each kind hangs once: the deployment succeeds, and no step is done twice.
func TestACallThatHangsIsMadeAgain(t *testing.T) {
	for _, operation := range []string{"SendCommand", "ListCommandInvocations", "RegisterTargets", "DeregisterTargets",
		"DescribeTargetGroups", "DescribeTargetGroupAttributes", "DescribeTargetHealth"} {
		for _, f := range awsfake.Hangs() {
			synctest.Test(t, func(t *testing.T) {
				w := newManaged(t)
				defer w.run.Close()
				w.tagged(4)
				w.API.Inject(awsfake.Once(operation, f))
				d := w.deployment(t, w.managedFleet(webTag), strategy.HalfAtATime())
				w.world.run(t, func() {
					began := time.Now()
					res, err := d.Run(t.Context())
					require.NoError(t, err, "%s: %s", operation, f)
					require.Equal(t, "map[Succeeded:4]", statuses(res), "%s: %s: %+v", operation, f, res.Failure)
					require.Less(t, time.Since(began), 20*time.Minute)
				})
				require.True(t, w.API.Met(), operation)
				seen := map[lifecycle.Step]bool{}
				for _, s := range w.hosts.Done() {
					require.False(t, seen[s], "%s: %s: %s was done twice", operation, f, s)
					seen[s] = true
				}
			})
		}
	}
}

// hung are the kinds of calls, and what makes them.
var hung = map[string]func(context.Context, *managedWorld, string) error{
	"SendCommand":            perform,
	"ListCommandInvocations": perform,
	"RegisterTargets":        admit,
	"DescribeTargetHealth":   admit,
}

func perform(ctx context.Context, w *managedWorld, id string) error {
	return w.managedFleet(webTag).Perform(ctx, target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}})
}

func admit(ctx context.Context, w *managedWorld, id string) error {
	return w.managedFleet(webTag).Balancers.SetWeight(ctx, id, target.Full)
}

// All calls of a kind hang: it ends when patience does, and the error says what did not
// answer. Nobody says that hosts were not told.
func TestCallsThatAlwaysHang(t *testing.T) {
	for operation, do := range hung {
		for _, f := range awsfake.Hangs() {
			synctest.Test(t, func(t *testing.T) {
				w := newManaged(t)
				defer w.run.Close()
				w.reach.Delivery, w.reach.Execution = time.Minute, 10*time.Minute
				id := w.tagged(1)[0]
				w.API.Inject(awsfake.On(operation, f))
				began := time.Now()
				err := do(t.Context(), w, id)
				require.ErrorContains(t, err, operation+" did not answer within 1m0s", "%s", f)
				require.Less(t, time.Since(began), 70*time.Minute, operation) // a host has an hour to be healthy
				if operation == "SendCommand" || operation == "ListCommandInvocations" {
					code, _ := codeAndText(err)
					require.Equal(t, lifecycle.Unknown, code, operation)
				}
			})
		}
	}
}

// Cancelled, nobody waits for an answer that does not come.
func TestCallsThatHangAreLeftOnCancel(t *testing.T) {
	for operation, do := range hung {
		synctest.Test(t, func(t *testing.T) {
			w := newManaged(t)
			defer w.run.Close()
			id := w.tagged(1)[0]
			w.API.Inject(awsfake.On(operation, awsfake.Hang))
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("gone")
			time.AfterFunc(30*time.Second, func() { cancel(gone) })
			began := time.Now()
			require.ErrorIs(t, do(ctx, w, id), gone, operation)
			require.Equal(t, 30*time.Second, time.Since(began), operation)
		})
	}
}
