package ecs_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// logical is a deployment as a person would tell it, whoever carries it out: a canary of 10 %
// for 5 minutes, with functions before and after.
type logical struct {
	fails lifecycle.Event // whose function fails; empty: none does
}

const twoHooks = "Hooks:\n  - BeforeAllowTraffic: %[1]s\n  - AfterAllowTraffic: %[1]s\n"

var dialects = map[string]func(*testing.T, logical) *cutover.Deployment{
	"ECS as CodeDeploy does": func(t *testing.T, l logical) *cutover.Deployment {
		w := newWorld(t)
		w.hooks.fail = l.fails
		d := w.deployment("d-2", strategy.ECS{Shift: strategy.Canary(10, 5*time.Minute)})
		d.Revision = w.source("web:2", fmt.Sprintf(twoHooks, "check"))
		return d
	},
	"ECS by itself": func(t *testing.T, l logical) *cutover.Deployment {
		w := nativeWorld(t)
		n := w.native(strategy.Canary(10, 5*time.Minute))
		n.Group.Bake = 0
		d := w.nativeDeployment(n)
		d.Revision = w.source("web:2", fmt.Sprintf(twoHooks, "arn:aws:lambda:eu-central-1:123456789012:function:check"))
		if l.fails != "" {
			w.fake.Hook(map[lifecycle.Event]ecstypes.DeploymentLifecycleHookStage{
				lifecycle.BeforeAllowTraffic: ecstypes.DeploymentLifecycleHookStagePreProductionTrafficShift,
				lifecycle.AfterAllowTraffic:  ecstypes.DeploymentLifecycleHookStagePostProductionTrafficShift}[l.fails], false)
		}
		return d
	},
	"Lambda": func(t *testing.T, l logical) *cutover.Deployment {
		api := &awsfake.API{}
		w := fakelambda.New(api)
		w.Create("checkout", "code 1")
		w.Publish("checkout", "code 2")
		w.Point("checkout", "live", "1", nil)
		dir := t.TempDir()
		text := "version: 0.0\nResources:\n  - checkout:\n      Type: AWS::Lambda::Function\n      Properties: {Name: checkout, Alias: live, CurrentVersion: \"1\", TargetVersion: \"2\"}\n" + fmt.Sprintf(twoHooks, "check")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yaml"), []byte(text), 0o600))
		spec, _, err := appspec.Parse("appspec.yaml", []byte(text), appspec.Options{Platform: lifecycle.Lambda})
		require.NoError(t, err)
		caller := function.Go(lifecycle.Func(func(_ context.Context, env lifecycle.Env, _ io.Writer) error {
			if env.Step.Event == l.fails {
				return fmt.Errorf("check said no")
			}
			return nil
		}))
		return &cutover.Deployment{Group: "fn", ID: "d-2", Revision: revision.Dir(dir), WorkDir: t.TempDir(), Rollback: rollback.Policy{OnFailure: true},
			Strategy: strategy.Lambda{Shift: strategy.Canary(10, 5*time.Minute)},
			Target:   &lambda.Alias{Client: awslambda.NewFromConfig(api.Config()), Spec: spec, Hooks: &function.Hooks{Caller: caller}}}
	},
}

// told is what the records say, without what is a driver's own.
func told(t *testing.T, d *cutover.Deployment) (lines []string) {
	t.Helper()
	roles := map[string]lifecycle.Role{}
	units, err := d.Target.Units(t.Context())
	require.NoError(t, err)
	for _, u := range units {
		roles[u.ID] = u.Role
	}
	d.Observe = func(r lifecycle.Record) {
		switch r.Kind {
		case lifecycle.Ended:
			ok := "ok"
			if r.Failure != nil {
				ok = "failed"
			}
			lines = append(lines, fmt.Sprintf("%s %s %d %s", roles[r.Step.Unit], r.Step.Event, r.Step.Weight, ok))
		case lifecycle.Held:
			lines = append(lines, "hold")
		case lifecycle.Finished:
			var verdict string
			_, _ = fmt.Sscanf(string(r.Data), `{"verdict":%q`, &verdict)
			lines = append(lines, "end "+verdict)
		}
	}
	_, err = d.Run(t.Context())
	require.NoError(t, err)
	return lines
}

// common drops what a version behind an alias does not go through.
func common(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		for _, own := range []lifecycle.Event{lifecycle.BeforeInstall, lifecycle.Install, lifecycle.AfterInstall, lifecycle.AllowTestTraffic, lifecycle.AfterAllowTestTraffic, lifecycle.Retire} {
			if strings.Contains(l, " "+string(own)+" ") {
				return true
			}
		}
		return false
	})
}

// The three dialects agree: the same deployment has the same records.
func TestDialectsAgree(t *testing.T) {
	for name, l := range map[string]logical{"good": {}, "bad before traffic": {fails: lifecycle.BeforeAllowTraffic}, "bad after traffic": {fails: lifecycle.AfterAllowTraffic}} {
		t.Run(name, func(t *testing.T) {
			got := map[string][]string{}
			for dialect, deployment := range dialects {
				synctest.Test(t, func(t *testing.T) { got[dialect] = told(t, deployment(t, l)) })
			}
			byItself := strings.Join(got["ECS by itself"], "; ")
			if l.fails == lifecycle.BeforeAllowTraffic { // ECS does not report the stage before production
				byItself = strings.Replace(byItself, "AfterAllowTestTraffic 0 failed", "AfterAllowTestTraffic 0 ok; replacement BeforeAllowTraffic 0 failed", 1)
			}
			require.Equal(t, strings.Join(got["ECS as CodeDeploy does"], "; "), byItself)
			require.Equal(t, common(got["ECS as CodeDeploy does"]), got["Lambda"])
			require.Contains(t, got["Lambda"], map[bool]string{true: "replacement AllowTraffic 10 ok", false: "end Failed"}[l.fails == ""])
			t.Log(strings.Join(got["ECS as CodeDeploy does"], "; "))
		})
	}
}
