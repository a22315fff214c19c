package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/function"
)

// client is the CodeDeploy client of a validation function, with its endpoint changed.
func client(t *testing.T, h http.Handler) *codedeploy.Client {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return codedeploy.New(codedeploy.Options{Region: "eu-central-1", BaseEndpoint: &server.URL,
		HTTPClient: server.Client(), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
}

func put(ctx context.Context, c *codedeploy.Client, deployment, execution string, s types.LifecycleEventStatus) error {
	out, err := c.PutLifecycleEventHookExecutionStatus(ctx, &codedeploy.PutLifecycleEventHookExecutionStatusInput{
		DeploymentId: &deployment, LifecycleEventHookExecutionId: &execution, Status: s})
	if err == nil && aws.ToString(out.LifecycleEventHookExecutionId) != execution {
		return errors.New("the answer does not name the execution")
	}
	return err
}

// validation is a function as people have written them for CodeDeploy: it looks at
// something, calls back, and returns whatever.
func validation(c **codedeploy.Client, s types.LifecycleEventStatus) function.Caller {
	return callerFunc(func(ctx context.Context, in function.Invocation) (json.RawMessage, error) {
		var event struct{ DeploymentId, LifecycleEventHookExecutionId string }
		if err := json.Unmarshal(in.Payload, &event); err != nil {
			return nil, err
		}
		if err := put(ctx, *c, event.DeploymentId, event.LifecycleEventHookExecutionId, s); err != nil {
			return nil, &function.Error{Message: err.Error()}
		}
		return json.RawMessage(`{"statusCode":200}`), nil
	})
}

func TestExistingValidationFunctionsCallBack(t *testing.T) {
	for status, want := range map[types.LifecycleEventStatus]lifecycle.Code{
		types.LifecycleEventStatusSucceeded: "", types.LifecycleEventStatusFailed: lifecycle.HookFailed} {
		var c *codedeploy.Client
		h := &function.Hooks{Secret: secret, Caller: validation(&c, status)}
		c = client(t, h.Callbacks())
		require.Equal(t, want, code(t, h.Run(t.Context(), task(), "check")))
	}
}

// A callback that comes after the function has returned, from anywhere.
func TestCallbackAfterTheReturn(t *testing.T) {
	f := says(`"I have sent a message to somebody who will look into it"`)
	h := &function.Hooks{Secret: secret, Caller: f}
	c := client(t, h.Callbacks())
	done := make(chan error, 1)
	go func() { done <- h.Run(t.Context(), task(), "check") }()
	require.Eventually(t, func() bool { return f.count() == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, put(t.Context(), c, "d-1", f.last().ExecutionID, types.LifecycleEventStatusSucceeded))
	require.NoError(t, <-done)
}

// D27: what comes late or twice changes nothing, and is told so.
func TestD27_LateAndRepeatedCallbacks(t *testing.T) {
	var notes atomic.Int32
	f := hangs()
	h := &function.Hooks{Secret: secret, Caller: f, Timeout: time.Millisecond, Note: func(lifecycle.Note) { notes.Add(1) }}
	c := client(t, h.Callbacks())
	require.Equal(t, lifecycle.TimedOut, code(t, h.Run(t.Context(), task(), "check")))
	id := f.last().ExecutionID

	err := put(t.Context(), c, "d-1", id, types.LifecycleEventStatusSucceeded)
	late, ok := errors.AsType[*types.LifecycleEventAlreadyCompletedException](err)
	require.True(t, ok, "%v", err)
	require.Contains(t, late.ErrorMessage(), "BeforeAllowTraffic")
	require.EqualValues(t, 1, notes.Load(), "somebody may read of it")
	require.Equal(t, lifecycle.TimedOut, code(t, h.Run(t.Context(), task(), "check")))

	h = &function.Hooks{Secret: secret, Caller: says(`null`)}
	c = client(t, h.Callbacks()) // a process that was started again, and that does not wait yet
	require.NoError(t, put(t.Context(), c, "d-1", id, types.LifecycleEventStatusSucceeded))
	require.NoError(t, put(t.Context(), c, "d-1", id, types.LifecycleEventStatusSucceeded), "a client that tries again must not fail")
	err = put(t.Context(), c, "d-1", id, types.LifecycleEventStatusFailed)
	_, ok = errors.AsType[*types.LifecycleEventAlreadyCompletedException](err)
	require.True(t, ok, "%v", err)
	again := task()
	again.Again = true
	require.NoError(t, h.Run(t.Context(), again, "check"), "what was said first counts")
}

func TestRefusedCallbacks(t *testing.T) {
	f := says(`{"hookStatus":"SUCCEEDED"}`)
	h := &function.Hooks{Secret: secret, Caller: f}
	c := client(t, h.Callbacks())
	require.NoError(t, h.Run(t.Context(), task(), "check"))
	id := f.last().ExecutionID
	other := &function.Hooks{Secret: []byte("somebody else's secret"), Caller: f}
	two := task()
	two.Step.Deployment = "d-2"
	require.NoError(t, other.Run(t.Context(), two, "check"))
	for name, tc := range map[string]struct {
		deployment, execution string
		status                types.LifecycleEventStatus
		want                  string
	}{
		"an id that was made up":        {"d-1", "e-123", types.LifecycleEventStatusSucceeded, "InvalidLifecycleEventHookExecutionIdException"},
		"an id of somebody else":        {"d-2", f.last().ExecutionID, types.LifecycleEventStatusSucceeded, "InvalidLifecycleEventHookExecutionIdException"},
		"an id with a changed step":     {"d-1", "x" + id, types.LifecycleEventStatusSucceeded, "InvalidLifecycleEventHookExecutionIdException"},
		"no id":                         {"d-1", "", types.LifecycleEventStatusSucceeded, "InvalidLifecycleEventHookExecutionIdException"},
		"another deployment":            {"d-3", id, types.LifecycleEventStatusSucceeded, "DeploymentDoesNotExistException"},
		"a status that cannot be said":  {"d-1", id, types.LifecycleEventStatusInProgress, "InvalidLifecycleEventHookExecutionStatusException"},
		"a status that nobody knows":    {"d-1", id, "Splendid", "InvalidLifecycleEventHookExecutionStatusException"},
		"no status":                     {"d-1", id, "", "InvalidLifecycleEventHookExecutionStatusException"},
		"a hook that ended by a return": {"d-1", id, types.LifecycleEventStatusSucceeded, "LifecycleEventAlreadyCompletedException"},
	} {
		err := put(t.Context(), c, tc.deployment, tc.execution, tc.status)
		require.ErrorContains(t, err, tc.want, name)
		require.ErrorContains(t, err, "StatusCode: 400", name)
	}
	_, err := c.StopDeployment(t.Context(), &codedeploy.StopDeploymentInput{DeploymentId: aws.String("d-1")})
	require.ErrorContains(t, err, "UnknownOperationException")
}

func TestCallbacksThatAreNoRequests(t *testing.T) {
	h := (&function.Hooks{Secret: secret}).Callbacks()
	for name, tc := range map[string]struct{ method, body, want string }{
		"not by POST": {http.MethodGet, "", "UnknownOperationException"},
		"no JSON":     {http.MethodPost, "<xml/>", "SerializationException"},
		"too long":    {http.MethodPost, `{"status":"` + strings.Repeat("x", 1<<20) + `"}`, "SerializationException"},
		"no id":       {http.MethodPost, `{}`, "DeploymentIdRequiredException"},
	} {
		req := httptest.NewRequest(tc.method, "/", strings.NewReader(tc.body))
		req.Header.Set("X-Amz-Target", "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Equal(t, tc.want, w.Header().Get("X-Amzn-Errortype"), name)
		require.Contains(t, w.Body.String(), tc.want, name)
	}
}

// A callback that cannot be written down has not come; the client tries again.
func TestCallbackIsDurableBeforeItIsAnswered(t *testing.T) {
	f := hangs()
	h := &function.Hooks{Secret: secret, Caller: f, Timeout: time.Millisecond}
	require.Error(t, h.Run(t.Context(), task(), "check"))
	full := &function.Hooks{Secret: secret, Ledger: &broken{}}
	w := httptest.NewRecorder()
	full.Callbacks().ServeHTTP(w, succeeded(f.last().ExecutionID))
	require.Equal(t, http.StatusInternalServerError, w.Code)
}

// hiccup is a ledger that once fails after it has written a callback down.
type hiccup struct {
	function.Memory
	failed atomic.Bool
}

func (l *hiccup) Save(ctx context.Context, key string, e function.Execution) error {
	err := l.Memory.Save(ctx, key, e)
	if e.Callback && !l.failed.Swap(true) {
		return errors.New("syncing the directory: input/output error")
	}
	return err
}

// A callback that was written down although the ledger said otherwise ends the wait
// when it is said again, and not only when the hook's time is over.
func TestCallbackSaidAgainEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := says(`null`)
		h := &function.Hooks{Secret: secret, Caller: f, Ledger: &hiccup{}}
		var answers []int
		go func() {
			for range 2 {
				time.Sleep(time.Second)
				w := httptest.NewRecorder()
				h.Callbacks().ServeHTTP(w, succeeded(f.last().ExecutionID))
				answers = append(answers, w.Code)
			}
		}()
		began := time.Now()
		require.NoError(t, h.Run(t.Context(), task(), "check"))
		require.Equal(t, 2*time.Second, time.Since(began))
		synctest.Wait()
		require.Equal(t, []int{http.StatusInternalServerError, http.StatusOK}, answers)
	})
}

// succeeded is the request of a function that calls back that all is well.
func succeeded(execution string) *http.Request {
	body := `{"deploymentId":"d-1","lifecycleEventHookExecutionId":"` + execution + `","status":"Succeeded"}`
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	req.Header.Set("X-Amz-Target", "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus")
	return req
}

// A callback ends a call, a wait and a pause.
func TestCallbackEndsEveryWait(t *testing.T) {
	for name, f := range map[string]*scripted{"a call": hangs(), "a wait": says(`null`), "a pause": says(`{"hookStatus":"IN_PROGRESS"}`)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &function.Hooks{Secret: secret, Caller: f}
				time.AfterFunc(time.Second, func() {
					h.Callbacks().ServeHTTP(httptest.NewRecorder(), succeeded(f.last().ExecutionID))
				})
				began := time.Now()
				require.NoError(t, h.Run(t.Context(), task(), "check"))
				require.Equal(t, time.Second, time.Since(began))
			})
		})
	}
}

func TestHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		switch {
		case req.Header.Get("Authorization") != "let me in" || req.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), "d-1"):
			w.WriteHeader(http.StatusForbidden)
		case req.URL.Path == "/broken":
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "no database")
		case req.URL.Path == "/lost":
			conn, _, _ := http.NewResponseController(w).Hijack()
			conn.Close()
		default:
			_, _ = io.WriteString(w, `{"hookStatus":"SUCCEEDED"}`)
		}
	}))
	t.Cleanup(server.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for url, want := range map[string]lifecycle.Code{
		server.URL: "", server.URL + "/broken": lifecycle.HookFailed, server.URL + "/lost": lifecycle.Interrupted,
		gone.URL: lifecycle.TargetFailed, "http://%": lifecycle.TargetFailed,
	} {
		h := &function.Hooks{Caller: &function.HTTP{URL: url, Client: server.Client(), Header: http.Header{"Authorization": {"let me in"}}}}
		err := h.Run(t.Context(), task(), "check")
		require.Equal(t, want, code(t, err), "%s: %v", url, err)
	}
}

func TestNamesAndGo(t *testing.T) {
	look := func(err error) function.Caller {
		return function.Go(lifecycle.Func(func(_ context.Context, env lifecycle.Env, out io.Writer) error {
			require.Equal(t, task().Step, env.Step)
			_, _ = io.WriteString(out, "looked at it\n")
			return err
		}))
	}
	names := &function.Names{Named: map[string]function.Caller{"well": look(nil), "sick": look(errors.New("no rows")),
		"panics": function.Go(lifecycle.Func(func(context.Context, lifecycle.Env, io.Writer) error { panic("oh") }))}}
	for name, want := range map[string]lifecycle.Code{"well": "", "sick": lifecycle.HookFailed, "panics": lifecycle.Panicked, "other": lifecycle.Unsupported} {
		err := (&function.Hooks{Caller: names}).Run(t.Context(), task(), name)
		require.Equal(t, want, code(t, err), name)
		if name == "sick" {
			e, _ := errors.AsType[*lifecycle.Error](err)
			require.Contains(t, e.Log, "looked at it")
		}
	}
	require.NoError(t, (&function.Hooks{Caller: names}).Check(t.Context(), "", "well", "sick"))
	require.ErrorContains(t, (&function.Hooks{Caller: names}).Check(t.Context(), "other"), "no function other")
	require.Error(t, (&function.Hooks{}).Check(t.Context(), "well"))
	names.Else = says(`{"hookStatus":"SUCCEEDED"}`)
	require.NoError(t, (&function.Hooks{Caller: names}).Run(t.Context(), task(), "other"))
}
