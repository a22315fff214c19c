package lambda_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// env is somewhere to deploy to: the fake, or the emulator.
type env struct {
	client  *awslambda.Client
	through lambda.Client // what the driver is given
	hour    time.Duration // how long an hour of the scenario is
	journal journal.Journal
	ledger  function.Ledger
	hooks   *hookWorld

	alarms []rollback.Alarm
	fire   func() // lets one of them fire
}

// hookWorld is what the functions of the AppSpec do, and how often they were called.
type hookWorld struct {
	mu    sync.Mutex
	calls map[string]int
	fails map[lifecycle.Event]bool
}

// Run is the hook of every event.
func (h *hookWorld) Run(_ context.Context, e lifecycle.Env, _ io.Writer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[e.Step.Key()]++
	if h.fails[e.Step.Event] {
		return &function.Error{Message: "no rows"}
	}
	return nil
}

func newEnv(c *awslambda.Client, through lambda.Client, hour time.Duration) *env {
	return &env{client: c, through: through, hour: hour, journal: &journal.Memory{}, ledger: &function.Memory{},
		hooks: &hookWorld{calls: map[string]int{}, fails: map[lifecycle.Event]bool{}}}
}

// deployment is one of a controller that was just started: nothing is in its memory.
func (e *env) deployment(t testing.TB, s strategy.Strategy) *cutover.Deployment {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(appSpec), 0o600))
	hook := function.Go(e.hooks)
	hooks := &function.Hooks{Ledger: e.ledger, Caller: &function.Names{Named: map[string]function.Caller{"LooksBefore": hook, "LooksAfter": hook}}}
	return &cutover.Deployment{Group: "checkout", ID: "d-it", Revision: revision.Dir(dir), WorkDir: dir, Strategy: s, Journal: e.journal,
		Target: &lambda.Alias{Client: e.through, Spec: parse(t, appSpec), Hooks: hooks}}
}

// minutes are compressed as the hour is.
func (e *env) minutes(n int) time.Duration { return time.Duration(n) * e.hour / 60 }

// readBack is the alias as the plain SDK shows it.
func (e *env) readBack(t testing.TB) (version string, weights map[string]float64) {
	t.Helper()
	out, err := e.client.GetAlias(context.Background(), &awslambda.GetAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live")})
	require.NoError(t, err)
	weights = map[string]float64{}
	if out.RoutingConfig != nil {
		for v, w := range out.RoutingConfig.AdditionalVersionWeights {
			weights[v] = w
		}
	}
	return *out.FunctionVersion, weights
}

// versions are those that are published.
func (e *env) versions(t testing.TB) (all []string) {
	t.Helper()
	out, err := e.client.ListVersionsByFunction(context.Background(), &awslambda.ListVersionsByFunctionInput{FunctionName: aws.String("checkout")})
	require.NoError(t, err)
	for _, v := range out.Versions {
		if *v.Version != "$LATEST" {
			all = append(all, *v.Version)
		}
	}
	return all
}
