package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("a secret that nobody can guess")

// scripted is a caller that says one thing after the other.
type scripted struct {
	mu    sync.Mutex
	says  []func(context.Context, function.Invocation) (json.RawMessage, error)
	calls []function.Payload
}

func (s *scripted) Call(ctx context.Context, in function.Invocation) (json.RawMessage, error) {
	s.mu.Lock()
	var p function.Payload
	if err := json.Unmarshal(in.Payload, &p); err != nil {
		panic(err)
	}
	n := min(len(s.calls), len(s.says)-1)
	s.calls = append(s.calls, p)
	say := s.says[n]
	s.mu.Unlock()
	return say(ctx, in)
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *scripted) last() function.Payload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[len(s.calls)-1]
}

func says(texts ...string) *scripted {
	s := &scripted{}
	for _, text := range texts {
		s.says = append(s.says, func(context.Context, function.Invocation) (json.RawMessage, error) {
			return json.RawMessage(text), nil
		})
	}
	return s
}

func fails(err error) *scripted {
	return &scripted{says: []func(context.Context, function.Invocation) (json.RawMessage, error){
		func(context.Context, function.Invocation) (json.RawMessage, error) { return nil, err }}}
}

// hangs is a function that never answers.
func hangs() *scripted {
	return &scripted{says: []func(context.Context, function.Invocation) (json.RawMessage, error){
		func(ctx context.Context, _ function.Invocation) (json.RawMessage, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}}
}

func task() target.Task {
	return target.Task{Job: &target.Job{}, Step: lifecycle.Step{Deployment: "d-1", Unit: "2", Event: lifecycle.BeforeAllowTraffic}}
}

// code is the code of a failure; empty for success.
func code(t *testing.T, err error) lifecycle.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%T: %v", err, err)
	require.NotEmpty(t, e.Message)
	require.Equal(t, task().Step, e.Step)
	return e.Code
}
