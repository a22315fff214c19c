package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/function"
)

func TestWhatAFunctionSaysDecides(t *testing.T) {
	failed := &function.Error{Type: "Unhandled", Message: "boom", Log: "stack"}
	denied := &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.Denied, Message: "lambda:InvokeFunction is not allowed"}}
	for name, tc := range map[string]struct {
		caller *scripted
		calls  int
		took   time.Duration
		code   lifecycle.Code
		says   string
	}{
		"it is well":                         {says(`{"hookStatus":"SUCCEEDED"}`), 1, 0, "", ""},
		"it is not well":                     {says(`{"hookStatus":"FAILED","why":"no rows"}`), 1, 0, lifecycle.HookFailed, "FAILED"},
		"it is called again":                 {says(`{"hookStatus":"IN_PROGRESS","callBackDelay":90}`, `{"hookStatus":"SUCCEEDED"}`), 2, 90 * time.Second, "", ""},
		"30 seconds are the default":         {says(`{"hookStatus":"IN_PROGRESS"}`, `{"hookStatus":"FAILED"}`), 2, 30 * time.Second, lifecycle.HookFailed, "FAILED"},
		"a delay of nothing is a second":     {says(`{"hookStatus":"IN_PROGRESS","callBackDelay":-1}`, `{"hookStatus":"SUCCEEDED"}`), 2, time.Second, "", ""},
		"it is in progress for ever":         {says(`{"hookStatus":"IN_PROGRESS","callBackDelay":600}`), 6, time.Hour, lifecycle.TimedOut, "1h0m0s"},
		"an unknown status is no success":    {says(`{"hookStatus":"OK"}`), 1, 0, lifecycle.HookFailed, `"OK"`},
		"no status is no success":            {says(`{"statusCode":200}`), 1, 0, lifecycle.HookFailed, "hookStatus"},
		"nothing is no success":              {says(``), 1, 0, lifecycle.HookFailed, "hookStatus"},
		"text is no success":                 {says(`"SUCCEEDED"`), 1, 0, lifecycle.HookFailed, "hookStatus"},
		"it throws":                          {fails(failed), 1, 0, lifecycle.HookFailed, "Unhandled: boom"},
		"it was not called":                  {fails(denied), 1, 0, lifecycle.Denied, "InvokeFunction"},
		"its answer was lost":                {fails(errors.New("connection reset")), 1, 0, lifecycle.Interrupted, "RerunInterrupted"},
		"it never answers (D26)":             {hangs(), 1, time.Hour, lifecycle.TimedOut, "1h0m0s"},
		"there are too many calls: it waits": {&scripted{says: append(fails(&lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.Throttled}}).says, says(`{"hookStatus":"SUCCEEDED"}`).says...)}, 2, 30 * time.Second, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &function.Hooks{Caller: tc.caller}
				began := time.Now()
				err := h.Run(t.Context(), task(), "check")
				require.Equal(t, tc.code, code(t, err), "%v", err)
				require.Equal(t, tc.took, time.Since(began))
				require.Equal(t, tc.calls, tc.caller.count())
				if err != nil {
					require.ErrorContains(t, err, tc.says)
				}
				again := h.Run(t.Context(), task(), "check")
				require.Equal(t, err, again, "it is remembered")
				require.Equal(t, tc.calls, tc.caller.count(), "a hook runs once")
				require.Equal(t, "d-1", tc.caller.last().DeploymentID)
			})
		})
	}
}

func TestHookDetailsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := says(`{"hookStatus":"IN_PROGRESS","hookDetails":{"seen":3}}`, `{"hookStatus":"SUCCEEDED"}`)
		require.NoError(t, (&function.Hooks{Caller: f}).Run(t.Context(), task(), "check"))
		require.Empty(t, f.calls[0].Details)
		require.JSONEq(t, `{"seen":3}`, string(f.calls[1].Details))
		require.Equal(t, f.calls[0].ExecutionID, f.calls[1].ExecutionID)
	})
}

// CodeDeploy sends two fields and nothing else.
func TestPayloadIsCodeDeploys(t *testing.T) {
	var sent map[string]any
	h := &function.Hooks{Caller: callerFunc(func(_ context.Context, in function.Invocation) (json.RawMessage, error) {
		require.Equal(t, "check", in.Function)
		require.NoError(t, json.Unmarshal(in.Payload, &sent))
		return json.RawMessage(`{"hookStatus":"SUCCEEDED"}`), nil
	})}
	require.NoError(t, h.Run(t.Context(), task(), "check"))
	require.Len(t, sent, 2)
	require.Equal(t, "d-1", sent["DeploymentId"])
	require.NotEmpty(t, sent["LifecycleEventHookExecutionId"])
}

type callerFunc func(context.Context, function.Invocation) (json.RawMessage, error)

func (f callerFunc) Call(ctx context.Context, in function.Invocation) (json.RawMessage, error) {
	return f(ctx, in)
}

func TestNoHookIsSuccess(t *testing.T) {
	var none *function.Hooks
	require.NoError(t, none.Run(t.Context(), task(), ""))
	require.Equal(t, lifecycle.Unsupported, code(t, none.Run(t.Context(), task(), "check")))
	short := &function.Hooks{Caller: says(""), Secret: []byte("short")}
	require.ErrorContains(t, short.Run(t.Context(), task(), "check"), "16")
}

// What a crash leaves: the journal knows that the step was begun, and the ledger how
// far the hook has come.
func TestAfterACrash(t *testing.T) {
	at := func(p function.Phase, age time.Duration) *function.Execution {
		return &function.Execution{Step: task().Step, Function: "check", Phase: p, Began: time.Now().Add(-age)}
	}
	in := func(e *function.Execution, next time.Duration) *function.Execution {
		e.Next = time.Now().Add(next)
		return e
	}
	well := `{"hookStatus":"SUCCEEDED"}`
	for name, tc := range map[string]struct {
		memory bool                       // there is no ledger beyond the process
		left   func() *function.Execution // nil: nothing was written
		rerun  bool
		secret []byte
		calls  int
		took   time.Duration
		code   lifecycle.Code
	}{
		"it was not begun":                           {calls: 1},
		"nobody knows whether it was begun":          {memory: true, code: lifecycle.Interrupted},
		"nobody knows, and it may run again":         {memory: true, rerun: true, calls: 1},
		"nobody knows, and it may call back":         {memory: true, secret: secret, code: lifecycle.Interrupted, took: time.Hour},
		"it was being called":                        {left: func() *function.Execution { return at(function.Calling, time.Minute) }, code: lifecycle.Interrupted},
		"it was being called, and may run again":     {left: func() *function.Execution { return at(function.Calling, time.Minute) }, rerun: true, calls: 1},
		"it was being called, and may call back":     {left: func() *function.Execution { return at(function.Calling, time.Minute) }, secret: secret, code: lifecycle.Interrupted, took: 59 * time.Minute},
		"it had ended":                               {left: func() *function.Execution { return at(function.Ended, time.Minute) }},
		"it is to be called again":                   {left: func() *function.Execution { return in(at(function.Again, time.Minute), 20*time.Second) }, calls: 1, took: 20 * time.Second},
		"the time to call it again is over":          {left: func() *function.Execution { return in(at(function.Again, time.Minute), -20*time.Second) }, calls: 1},
		"it is waited for until the same moment":     {left: func() *function.Execution { return at(function.Waiting, 50*time.Minute) }, secret: secret, code: lifecycle.TimedOut, took: 10 * time.Minute},
		"its time has run out while nobody was here": {left: func() *function.Execution { return at(function.Waiting, 2*time.Hour) }, secret: secret, code: lifecycle.TimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := says(well)
				h := &function.Hooks{Caller: f, Secret: tc.secret}
				if !tc.memory {
					h.Ledger = &function.Files{Dir: t.TempDir()}
				}
				again := task()
				again.Again, again.Job.RerunInterrupted = true, tc.rerun
				if tc.left != nil {
					require.NoError(t, h.Ledger.Save(t.Context(), again.Step.Key(), *tc.left()))
				}
				began := time.Now()
				err := h.Run(t.Context(), again, "check")
				require.Equal(t, tc.code, code(t, err), "%v", err)
				require.Equal(t, tc.calls, f.count())
				require.Equal(t, tc.took, time.Since(began))
			})
		})
	}
}

// Where it may run again, the engine asks again when an answer was lost.
func TestLostAnswerIsUnknownWhereItMayRunAgain(t *testing.T) {
	f := &scripted{says: append(fails(errors.New("connection reset")).says, says(`{"hookStatus":"SUCCEEDED"}`).says...)}
	h := &function.Hooks{Caller: f}
	one, notes := task(), 0
	one.Job.RerunInterrupted = true
	one.Note = func(lifecycle.Note) { notes++ }
	require.Equal(t, lifecycle.Unknown, code(t, h.Run(t.Context(), one, "check")))
	require.NoError(t, h.Run(t.Context(), one, "check"))
	require.Equal(t, 2, f.count())
	require.Equal(t, 1, notes)
}

func TestCancelAbandons(t *testing.T) {
	why := errors.New("enough")
	for name, f := range map[string]*scripted{"a call": hangs(), "a wait": says(`null`), "a pause": says(`{"hookStatus":"IN_PROGRESS"}`)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &function.Hooks{Caller: f, Secret: secret}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(why) })
				require.Equal(t, why, h.Run(ctx, task(), "check"))
				require.Equal(t, why, h.Run(ctx, task(), "check"), "nothing begins")
			})
		})
	}
}

// broken is a ledger on a full disk.
type broken struct{ function.Memory }

func (*broken) Save(context.Context, string, function.Execution) error {
	return errors.New("disk full")
}

func TestNothingIsCalledThatIsNotWrittenDown(t *testing.T) {
	f := says(`{"hookStatus":"SUCCEEDED"}`)
	h := &function.Hooks{Caller: f, Ledger: &broken{}}
	require.Equal(t, lifecycle.JournalFailed, code(t, h.Run(t.Context(), task(), "check")))
	require.Zero(t, f.count())
}
