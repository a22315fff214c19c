package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
)

func (w *world) hook() target.Task {
	return target.Task{Job: &target.Job{}, Step: lifecycle.Step{Deployment: "d-1", Unit: "2", Event: lifecycle.BeforeAllowTraffic}}
}

func TestHooksAreFunctionsOfLambda(t *testing.T) {
	for name, tc := range map[string]struct {
		harm  func(*world)
		code  lifecycle.Code
		says  string
		calls int
	}{
		"it is well": {func(*world) {}, "", "", 1},
		"it is not":  {func(w *world) { w.says("LooksBefore", `{"hookStatus":"FAILED"}`) }, lifecycle.HookFailed, "FAILED", 1},
		"it throws": {func(w *world) {
			w.On("LooksBefore", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no rows") })
		}, lifecycle.HookFailed, "Error: no rows", 1},
		"it does not exist":  {func(w *world) { w.alias.Spec.Functions[0].Function = "Other" }, lifecycle.TargetFailed, "Other", 1},
		"nobody may call it": {func(w *world) { w.api.Inject(awsfake.At(0, awsfake.AccessDenied)) }, lifecycle.Denied, "lambda:InvokeFunction", 1},
		"an answer is lost":  {func(w *world) { w.api.Inject(awsfake.At(0, awsfake.LostReply)) }, lifecycle.Interrupted, "RerunInterrupted", 1},
		"no answer comes":    {func(w *world) { w.api.Inject(awsfake.At(0, awsfake.HungReply)) }, lifecycle.Interrupted, "RerunInterrupted", 1},
		"too many requests":  {func(w *world) { w.api.Inject(awsfake.At(0, awsfake.Throttle)) }, "", "", 2},
		"a server's error":   {func(w *world) { w.api.Inject(awsfake.At(0, awsfake.ServerError)) }, lifecycle.Interrupted, "RerunInterrupted", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tc.harm(w)
				err := w.alias.Perform(t.Context(), w.hook())
				require.Equal(t, tc.code, codeOf(err), "%v", err)
				if err != nil {
					require.ErrorContains(t, err, tc.says)
				}
				require.Equal(t, tc.calls, w.api.Counts()["Lambda.Invoke"], "what may have run is not called again")
			})
		})
	}
}

func TestHookGetsCodeDeploysPayload(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.alias.Perform(t.Context(), w.hook()))
	var p function.Payload
	require.NoError(t, json.Unmarshal(w.Invoked("LooksBefore")[0], &p))
	require.Equal(t, "d-1", p.DeploymentID)
	require.NotEmpty(t, p.ExecutionID)
}

func TestEventsWithoutHooksSucceed(t *testing.T) {
	w := newWorld(t)
	w.alias.Spec.Functions, w.alias.Hooks = nil, nil
	require.NoError(t, w.alias.Perform(t.Context(), w.hook()))
	require.Empty(t, w.api.Calls())
}

func TestHookThatTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t), 0
		w.On("LooksBefore", func(context.Context, []byte) ([]byte, error) {
			if n++; n < 4 {
				return []byte(`{"hookStatus":"IN_PROGRESS","callBackDelay":60}`), nil
			}
			return []byte(`{"hookStatus":"SUCCEEDED"}`), nil
		})
		began := time.Now()
		require.NoError(t, w.alias.Perform(t.Context(), w.hook()))
		require.Equal(t, 3*time.Minute, time.Since(began))
	})
}
