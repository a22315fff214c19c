package lambda_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// tamed is what the suite does to the hooks of an alias: which are slow, which fail,
// and how often each ran.
type tamed struct {
	mu    sync.Mutex
	slow  map[string]bool
	fails map[string]bool
	ran   map[string]int
}

func (h *tamed) Call(ctx context.Context, in function.Invocation) (json.RawMessage, error) {
	h.mu.Lock()
	key := in.Step.Key()
	h.ran[key]++
	slow, fails := h.slow[key], h.fails[key]
	h.mu.Unlock()
	if slow {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if fails {
		return nil, &function.Error{Message: "no rows"}
	}
	return json.RawMessage(`{"hookStatus":"SUCCEEDED"}`), nil
}

func (h *tamed) on(m map[string]bool) func(lifecycle.Step) {
	return func(s lifecycle.Step) {
		h.mu.Lock()
		defer h.mu.Unlock()
		m[s.Key()] = true
	}
}

// effects counts runs of hooks, which are the steps that can be done twice. Weights
// are absolute: setting one again has no effect.
func (h *tamed) effects(s lifecycle.Step) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Event == lifecycle.AllowTraffic {
		return 1
	}
	return h.ran[s.Key()]
}

// harness checks an alias behind a client. A controller that starts again has the same
// ledger.
func harness(t *testing.T, c lambda.Client, sick func(string)) *targettest.Harness {
	hooks, ledger := &tamed{slow: map[string]bool{}, fails: map[string]bool{}, ran: map[string]int{}}, &function.Files{Dir: t.TempDir()}
	open := func() (target.Target, error) {
		return &lambda.Alias{Client: c, Spec: parse(t, appSpec), Hooks: &function.Hooks{Caller: hooks, Ledger: ledger}}, nil
	}
	alias, _ := open()
	return &targettest.Harness{Target: alias, Reopen: open, Sick: sick, Patience: 10 * time.Second,
		Events: lifecycle.LambdaReplacement.Events(), Slow: hooks.on(hooks.slow), Fail: hooks.on(hooks.fails), Effects: hooks.effects}
}

// In a bubble: reading a weight back takes time.
func TestConformance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, targettest.Check(t.Context(), func() (*targettest.Harness, error) {
			w := newWorld(t)
			return harness(t, w.publisher(), func(unit string) { w.SetState("checkout", unit, types.StateFailed) }), nil
		}))
	})
}

var _ lambda.Client = (*awslambda.Client)(nil)
