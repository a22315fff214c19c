package lambda_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	fakecloudwatch "github.com/cutover-deploy/cutover/internal/awsfake/cloudwatch"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// scenario is a deployment from version 1 to 2, what happens in it, and how it ends.
type scenario struct {
	shift    func(*env) strategy.Shift
	fails    lifecycle.Event  // whose hook fails; empty: none
	at       lifecycle.Weight // of the new version, when something happens
	alarm    bool             // it is that an alarm fires
	stop     *cutover.StopOptions
	policy   rollback.Policy
	status   strategy.Verdict
	code     lifecycle.Code
	rollback bool
	version  string // that the alias leads to in the end
	share    float64
	hooks    int
	updates  int
}

func atOnce(*env) strategy.Shift   { return strategy.Shift{} }
func canary(e *env) strategy.Shift { return strategy.Canary(10, e.minutes(5)) }
func linear(e *env) strategy.Shift { return strategy.Linear(10, e.minutes(1)) }

var always = rollback.Policy{OnFailure: true, OnAlarm: true, OnStop: true}

var scenarios = map[string]scenario{
	"all at once":                        {shift: atOnce, status: strategy.DeploymentSucceeded, version: "2", hooks: 2, updates: 1},
	"canary, 10 % for 5 minutes":         {shift: canary, status: strategy.DeploymentSucceeded, version: "2", hooks: 2, updates: 2},
	"linear, 10 % every minute":          {shift: linear, status: strategy.DeploymentSucceeded, version: "2", hooks: 2, updates: 10},
	"the hook before fails":              {shift: canary, fails: lifecycle.BeforeAllowTraffic, policy: always, status: strategy.DeploymentFailed, code: lifecycle.HookFailed, rollback: true, version: "1", hooks: 1},
	"the hook after fails":               {shift: canary, fails: lifecycle.AfterAllowTraffic, policy: always, status: strategy.DeploymentFailed, code: lifecycle.HookFailed, rollback: true, version: "1", hooks: 2, updates: 3},
	"the hook after fails, and it stays": {shift: canary, fails: lifecycle.AfterAllowTraffic, status: strategy.DeploymentFailed, code: lifecycle.HookFailed, version: "2", hooks: 2, updates: 2},
	"an alarm fires":                     {shift: canary, at: 10, alarm: true, policy: always, status: strategy.DeploymentStopped, code: lifecycle.AlarmActive, rollback: true, version: "1", hooks: 1, updates: 2},
	"an alarm fires, and it stays":       {shift: canary, at: 10, alarm: true, status: strategy.DeploymentStopped, code: lifecycle.AlarmActive, version: "1", share: 0.1, hooks: 1, updates: 1},
	"stop, with rollback":                {shift: linear, at: 30, stop: &cutover.StopOptions{Rollback: true}, status: strategy.DeploymentStopped, code: lifecycle.ManualStop, rollback: true, version: "1", hooks: 1, updates: 4},
	"stop, without rollback":             {shift: linear, at: 30, stop: &cutover.StopOptions{}, status: strategy.DeploymentStopped, code: lifecycle.ManualStop, version: "1", share: 0.3, hooks: 1, updates: 3},
}

// play runs a scenario, or goes on with it.
func (s scenario) play(t testing.TB, e *env, run func(*cutover.Deployment) (*cutover.Result, error)) (*cutover.Result, error) {
	d := e.deployment(t, strategy.Lambda{Shift: s.shift(e)})
	d.Rollback = s.policy
	d.Watch = rollback.Watch{Alarms: e.alarms, Every: e.minutes(1) / 2}
	e.hooks.fails[s.fails] = s.fails != ""
	var others sync.WaitGroup
	defer others.Wait()
	d.Observe = func(r lifecycle.Record) {
		reached := r.Kind == lifecycle.Ended && r.Failure == nil && r.Step.Event == lifecycle.AllowTraffic && r.Step.Weight == s.at && s.at > 0
		switch {
		case reached && s.alarm:
			e.fire()
		case reached && s.stop != nil:
			others.Go(func() { _ = d.Stop(context.Background(), *s.stop) }) // it may have ended by itself
		}
	}
	return run(d)
}

func run(t testing.TB) func(*cutover.Deployment) (*cutover.Result, error) {
	return func(d *cutover.Deployment) (*cutover.Result, error) { return d.Run(t.Context()) }
}

// check compares how it ended with how it had to.
func (s scenario) check(t testing.TB, e *env, res *cutover.Result) {
	t.Helper()
	require.Equal(t, s.status, res.Status, "%v", res.Err())
	if s.code != "" {
		require.Equal(t, s.code, codeOf(res.Err()), "%v", res.Err())
	}
	if s.fails != "" {
		require.ErrorContains(t, res.Err(), "no rows")
	}
	require.Equal(t, s.rollback, res.Rollback != nil)
	if s.rollback {
		require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "%v", res.Rollback.Err())
	}
	version, weights := e.readBack(t)
	require.Equal(t, s.version, version)
	if s.share == 0 {
		require.Empty(t, weights, "no weights are left")
	} else {
		require.InDeltaMapValues(t, map[string]float64{"2": s.share}, weights, 1e-9)
	}
	require.Equal(t, []string{"1", "2"}, e.versions(t))
	require.Len(t, e.hooks.calls, s.hooks)
	for hook, n := range e.hooks.calls {
		require.Equal(t, 1, n, hook)
	}
}

// fakeEnv is an environment on the fake. In a bubble an hour is an hour.
func fakeEnv(t testing.TB) (*env, *world) {
	w := newWorld(t)
	c := w.publisher()
	e := newEnv(c, c, time.Hour)
	metrics := fakecloudwatch.New(w.api)
	metrics.Set("errors", cwtypes.StateValueOk)
	metrics.SetComposite("all", cwtypes.StateValueOk)
	e.fire = func() { metrics.Set("errors", cwtypes.StateValueAlarm) }
	e.alarms = (&cloudwatch.Alarms{Client: awscloudwatch.NewFromConfig(w.api.Config()), Names: []string{"errors", "all"}}).List()
	return e, w
}

func TestDeploy(t *testing.T) {
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, w := fakeEnv(t)
				began := time.Now()
				res, err := s.play(t, e, run(t))
				require.NoError(t, err)
				s.check(t, e, res)
				require.Equal(t, s.updates, w.api.Counts()["Lambda.UpdateAlias"], "each weight is written once")
				planned(t, w, s.shift(e))
				calls := len(w.api.Calls()) - w.api.Counts()["CloudWatch.DescribeAlarms"]
				require.LessOrEqual(t, w.api.Counts()["CloudWatch.DescribeAlarms"], 2+int(time.Since(began)/(30*time.Second)), "all alarms with one call")
				t.Logf("%d API calls in %s: %v", calls, time.Since(began), w.api.Counts())
				require.LessOrEqual(t, calls, 18+9*s.updates/2, "what doc.go states, and what the test asks itself")
			})
		})
	}
}

// planned checks that the alias never had a routing that is in no plan: the shares of
// the shift, one after the other, and all calls to version 1 on the way back.
func planned(t testing.TB, w *world, s strategy.Shift) {
	t.Helper()
	legal := map[float64]bool{0: true}
	for _, weight := range s.Weights() {
		legal[float64(weight)/100] = true
	}
	last, back := 0.0, false
	for _, r := range w.Routes("checkout", "live") {
		share := r.Routing["2"]
		require.InDelta(t, 1, r.Routing["1"]+share, 1e-9, "%v: no third version, and nothing is lost", r)
		require.True(t, legal[share], "%v is not planned", r.Routing)
		if share < last {
			require.Zero(t, share, "the way back is one step")
			back = true
		} else if back {
			require.Zero(t, share, "after the way back it stays")
		}
		last = share
	}
}

// G19: a deployment that was stopped in the middle is in the way of the next one, unless
// that says twice that it takes what is left: to the target and to the engine.
func TestG19_DeployAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := fakeEnv(t)
		_, err := scenarios["stop, without rollback"].play(t, e, run(t))
		require.NoError(t, err)
		e.hooks.fails = map[lifecycle.Event]bool{}
		d := e.deployment(t, strategy.Lambda{Shift: strategy.Canary(10, time.Minute)})
		d.ID = "d-next"
		_, err = d.Run(t.Context())
		require.Equal(t, lifecycle.ExternalChange, codeOf(err), "%v", err)
		require.ErrorContains(t, err, "TakeLeftover")

		d.Target.(*lambda.Alias).TakeLeftover, d.OnForeignChange = true, target.OverwriteForeign
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, strategy.DeploymentSucceeded, res.Status, "%v", res.Err())
		require.InDeltaMapValues(t, map[string]float64{"2": 1}, w.shares(), 1e-9)
	})
}

// G3: somebody else changes the weights while a canary is held. The deployment waits and
// says why, and goes on when they are back.
func TestG3_ForeignChangeHoldsADeployment(t *testing.T) {
	for name, tc := range map[string]struct {
		resolve func(*world, *cutover.Deployment)
		status  strategy.Verdict
		version string
	}{
		"it is put back":    {func(w *world, _ *cutover.Deployment) { w.Point("checkout", "live", "1", map[string]float64{"2": 0.1}) }, strategy.DeploymentSucceeded, "2"},
		"somebody says yes": {func(_ *world, d *cutover.Deployment) { _ = d.Continue(context.Background(), "that was me") }, strategy.DeploymentSucceeded, "2"},
		"somebody stops it": {func(_ *world, d *cutover.Deployment) {
			_ = d.Stop(context.Background(), cutover.StopOptions{Rollback: true})
		}, strategy.DeploymentStopped, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, w := fakeEnv(t)
				d := e.deployment(t, strategy.Lambda{Shift: strategy.Canary(10, 5*time.Minute)})
				var why []string
				d.Observe = func(r lifecycle.Record) {
					if r.Kind == lifecycle.Noted {
						why = append(why, string(r.Data))
					}
				}
				time.AfterFunc(time.Minute, func() { w.Point("checkout", "live", "1", map[string]float64{"2": 0.5}) })
				time.AfterFunc(time.Hour, func() { tc.resolve(w, d) })
				began := time.Now()
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, tc.status, res.Status, "%v", res.Err())
				require.GreaterOrEqual(t, time.Since(began), time.Hour)
				require.NotEmpty(t, why)
				require.Contains(t, why[0], "expected 10 % to version 2, found 50 % to version 1, 50 % to version 2")
				version, weights := e.readBack(t)
				require.Equal(t, tc.version, version)
				require.Empty(t, weights)
			})
		})
	}
}
