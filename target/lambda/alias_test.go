package lambda_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/lambda"
)

func TestUnitsAreTheTwoVersions(t *testing.T) {
	w := newWorld(t)
	units, err := w.alias.Units(t.Context())
	require.NoError(t, err)
	require.Equal(t, []lifecycle.Unit{{ID: "1", Role: lifecycle.OriginalRole}, {ID: "2", Role: lifecycle.ReplacementRole}}, units)
	w.Delete("checkout", "1")
	units, err = w.alias.Units(t.Context())
	require.NoError(t, err)
	require.Contains(t, units[0].Lost, "no version 1")
	w.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.AccessDenied })
	units, err = w.alias.Units(t.Context())
	require.NoError(t, err, "a rollback must not depend on it")
	require.Empty(t, units[0].Lost)
}

func TestWeightsAreAbsolute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, step := range []struct {
			unit   string
			weight lifecycle.Weight
			want   fakelambda.Routing
		}{
			{"2", 10, fakelambda.Routing{"1": 0.9, "2": 0.1}},
			{"2", 10, fakelambda.Routing{"1": 0.9, "2": 0.1}},
			{"2", 99, fakelambda.Routing{"1": 0.01, "2": 0.99}},
			{"2", 100, fakelambda.Routing{"2": 1}},
			{"2", 0, fakelambda.Routing{"2": 1}},
			{"1", 70, fakelambda.Routing{"1": 0.7, "2": 0.3}},
			{"1", 0, fakelambda.Routing{"1": 1}},
		} {
			require.NoError(t, w.alias.Perform(t.Context(), w.allow(step.unit, step.weight)))
			got := w.shares()
			require.Len(t, got, len(step.want))
			for v, share := range step.want {
				require.InDelta(t, share, got[v], 1e-9, "version %s after %v", v, step)
			}
		}
		require.Equal(t, 5, w.api.Counts()["Lambda.UpdateAlias"], "what is as it is to be is not written")
	})
}

// G3, G17: what somebody else has changed is not overwritten unless that is asked for.
func TestG17_ForeignChange(t *testing.T) {
	for name, tc := range map[string]struct {
		version string
		weights map[string]float64
		foreign target.Foreign
		code    lifecycle.Code
		says    string
		want    fakelambda.Routing
		notes   int
	}{
		"it is held":                           {"1", map[string]float64{"2": 0.4}, target.HoldForeign, lifecycle.ExternalChange, "expected 10 % to version 2, found 60 % to version 1, 40 % to version 2", fakelambda.Routing{"1": 0.6, "2": 0.4}, 0},
		"it stops":                             {"1", nil, target.StopForeign, lifecycle.ExternalChange, "found 100 % to version 1", fakelambda.Routing{"1": 1}, 0},
		"it is overwritten":                    {"1", map[string]float64{"2": 0.4}, target.OverwriteForeign, "", "", fakelambda.Routing{"1": 0.8, "2": 0.2}, 1},
		"a larger share is adopted":            {"1", map[string]float64{"2": 0.4}, target.AdoptForeign, "", "", fakelambda.Routing{"1": 0.6, "2": 0.4}, 1},
		"a smaller share is adopted and grows": {"1", map[string]float64{"2": 0.05}, target.AdoptForeign, "", "", fakelambda.Routing{"1": 0.8, "2": 0.2}, 1},
		"all of it is adopted":                 {"2", nil, target.AdoptForeign, "", "", fakelambda.Routing{"2": 1}, 1},
		"half a percent is a change, too":      {"1", map[string]float64{"2": 0.105}, target.HoldForeign, lifecycle.ExternalChange, "10.5 %", fakelambda.Routing{"1": 0.895, "2": 0.105}, 0},
		"a third version":                      {"3", map[string]float64{"2": 0.1}, target.HoldForeign, lifecycle.ExternalChange, "version 3", fakelambda.Routing{"3": 0.9, "2": 0.1}, 0},
		"it is what the step asks for":         {"1", map[string]float64{"2": 0.2}, target.HoldForeign, "", "", fakelambda.Routing{"1": 0.8, "2": 0.2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, told := newWorld(t), &notes{}
				w.Publish("checkout", "code 3")
				require.NoError(t, w.alias.Perform(t.Context(), w.allow("2", 10)))
				w.Point("checkout", "live", tc.version, tc.weights)
				step := w.allow("2", 20)
				step.Expect, step.Foreign, step.Note = weight(10), tc.foreign, told.take
				err := w.alias.Perform(t.Context(), step)
				require.Equal(t, tc.code, codeOf(err), "%v", err)
				if err != nil {
					require.ErrorContains(t, err, tc.says)
				}
				require.InDeltaMapValues(t, tc.want, w.shares(), 1e-9)
				require.Len(t, told.all, tc.notes)
			})
		})
	}
}

// Somebody else changes the alias between our read and our write.
func TestG17_ChangeBetweenReadAndWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		meddle func(*world)
		code   lifecycle.Code
		want   fakelambda.Routing
	}{
		"of nothing that matters": {func(w *world) { w.Point("checkout", "live", "1", nil) }, "", fakelambda.Routing{"1": 0.9, "2": 0.1}},
		"of the weights":          {func(w *world) { w.Point("checkout", "live", "1", map[string]float64{"2": 0.5}) }, lifecycle.ExternalChange, fakelambda.Routing{"1": 0.5, "2": 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				once := false
				w.api.Inject(func(c awsfake.Call) awsfake.Fault {
					if c.Operation == "UpdateAlias" && !once {
						once = true
						tc.meddle(w)
					}
					return awsfake.NoFault
				})
				step := w.allow("2", 10)
				step.Expect = weight(0)
				require.Equal(t, tc.code, codeOf(w.alias.Perform(t.Context(), step)))
				require.InDeltaMapValues(t, tc.want, w.shares(), 1e-9)
			})
		})
	}
}

// Whoever changes it every time wins, and we say so.
func TestG17_SomebodyElseIsAlwaysFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "UpdateAlias" {
				w.Point("checkout", "live", "1", nil)
			}
			return awsfake.NoFault
		})
		require.Equal(t, lifecycle.ExternalChange, codeOf(w.alias.Perform(t.Context(), w.allow("2", 10))))
	})
}

// An update that Lambda has in progress is waited for, as are reads that lag behind it: neither
// is somebody else's doing, nor a failure.
func TestUpdateInProgressIsWaitedFor(t *testing.T) {
	for _, c := range []string{"ResourceConflictException", "PreconditionFailedException"} {
		t.Run(c, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				began := time.Now()
				w.alias.Client = busy{w.alias.Client, c, began.Add(5 * time.Second)}
				require.NoError(t, w.alias.Perform(t.Context(), w.allow("2", 10)))
				require.InDeltaMapValues(t, fakelambda.Routing{"1": 0.9, "2": 0.1}, w.shares(), 1e-9)
			})
		})
	}
}

// busy refuses updates of the alias with a code for a while.
type busy struct {
	lambda.Client
	code  string
	until time.Time
}

func (b busy) UpdateAlias(ctx context.Context, in *awslambda.UpdateAliasInput, opts ...func(*awslambda.Options)) (*awslambda.UpdateAliasOutput, error) {
	if time.Now().Before(b.until) {
		return nil, awsfake.APIError(b.code, "later")
	}
	return b.Client.UpdateAlias(ctx, in, opts...)
}

// G1: a weight counts when it was read back twice.
func TestG1_WeightIsReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var after []int
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "GetAlias" && len(w.Routes("checkout", "live")) == 2 {
				after = append(after, c.N)
				if len(after) < 20 && len(after)%2 == 0 {
					return awsfake.StaleRead // it comes and goes
				}
			}
			return awsfake.NoFault
		})
		require.NoError(t, w.alias.Perform(t.Context(), w.allow("2", 10)))
		require.Len(t, after, 20, "every other read was stale until then")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "GetAlias" && len(w.Routes("checkout", "live")) == 2 {
				return awsfake.StaleRead
			}
			return awsfake.NoFault
		})
		err := w.alias.Perform(t.Context(), w.allow("2", 10))
		require.Equal(t, lifecycle.Unknown, codeOf(err), "what does not show is not success: %v", err)
	})
}

// G5, G20: no calls for a version that cannot take them.
func TestG20_VersionsThatCannotTakeCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		harm   func(*world)
		unit   string
		weight lifecycle.Weight
		code   lifecycle.Code
		says   string
	}{
		"the new one was deleted":          {func(w *world) { w.Delete("checkout", "2") }, "2", 10, lifecycle.UnitLost, "gone"},
		"the new one has failed":           {func(w *world) { w.SetState("checkout", "2", types.StateFailed) }, "2", 10, lifecycle.TrafficUnhealthy, "failed"},
		"the new one never gets active":    {func(w *world) { w.SetState("checkout", "2", types.StatePending) }, "2", 10, lifecycle.TrafficUnhealthy, "Pending"},
		"the new one has an unknown state": {func(w *world) { w.SetState("checkout", "2", "Dreaming") }, "2", 10, lifecycle.TrafficUnhealthy, "Dreaming"},
		"nobody has called it for weeks":   {func(w *world) { w.SetState("checkout", "2", types.StateInactive) }, "2", 10, "", ""},
		"the old one was deleted":          {func(w *world) { w.Delete("checkout", "1") }, "1", 0, lifecycle.UnitLost, "gone"},
		"the alias was deleted (G24)":      {func(w *world) { w.DeleteAlias("checkout", "live") }, "2", 10, lifecycle.UnitLost, "alias live"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if tc.unit == "1" {
					require.NoError(t, w.alias.Perform(t.Context(), w.allow("2", 100)))
				}
				tc.harm(w)
				began := time.Now()
				err := w.alias.Perform(t.Context(), w.allow(tc.unit, tc.weight))
				require.Equal(t, tc.code, codeOf(err), "%v", err)
				if err != nil {
					require.ErrorContains(t, err, tc.says)
				}
				require.LessOrEqual(t, time.Since(began), 6*time.Minute)
			})
		})
	}
}

// On the way back nothing but what is sure to fail is in the way.
func TestWayBackNeedsNoPermissionToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, told := newWorld(t), &notes{}
		require.NoError(t, w.alias.Perform(t.Context(), w.allow("2", 10)))
		w.api.Inject(awsfake.On("GetFunctionConfiguration", awsfake.AccessDenied))
		require.Equal(t, lifecycle.Denied, codeOf(w.alias.Perform(t.Context(), w.allow("2", 20))))
		back := w.allow("1", 0)
		back.Note = told.take
		require.NoError(t, w.alias.Perform(t.Context(), back))
		require.Equal(t, fakelambda.Routing{"1": 1}, w.shares())
		require.Len(t, told.all, 1)
	})
}

// G4, G19, G20, R8-R10: nothing is touched unless all is as the AppSpec says.
func TestG19_PreFlight(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(*world)
		code lifecycle.Code
		says string
	}{
		"all is well":      {func(*world) {}, "", ""},
		"weights are left": {func(w *world) { w.Point("checkout", "live", "1", map[string]float64{"2": 0.1}) }, lifecycle.ExternalChange, "90 % to version 1, 10 % to version 2"},
		"weights are left, and that is fine": {func(w *world) {
			w.Point("checkout", "live", "1", map[string]float64{"2": 0.1})
			w.alias.TakeLeftover = true
		}, "", ""},
		"it leads elsewhere": {func(w *world) {
			w.Publish("checkout", "code 3")
			w.Point("checkout", "live", "3", nil)
		}, lifecycle.ExternalChange, "CurrentVersion 1"},
		"it leads to the new version already": {func(w *world) { w.Point("checkout", "live", "2", nil) }, lifecycle.AppSpecInvalid, "nothing to deploy"},
		"there is no new version":             {func(w *world) { w.Delete("checkout", "2") }, lifecycle.UnitLost, "version 2"},
		"the new version is broken":           {func(w *world) { w.SetState("checkout", "2", types.StateFailed) }, lifecycle.TrafficUnhealthy, "version 2"},
		"there is no alias":                   {func(w *world) { w.DeleteAlias("checkout", "live") }, lifecycle.UnitLost, "GetAlias"},
		"nobody may look":                     {func(w *world) { w.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.AccessDenied }) }, lifecycle.Denied, "lambda:GetAlias on alias live of function checkout"},
		"there is no client":                  {func(w *world) { w.alias.Client = nil }, lifecycle.AppSpecInvalid, "Client"},
		"there is no AppSpec":                 {func(w *world) { w.alias.Spec = nil }, lifecycle.AppSpecInvalid, "Spec"},
		"nobody can call the hooks":           {func(w *world) { w.alias.Hooks = nil }, lifecycle.AppSpecInvalid, "LooksBefore"},
		"a hook does not exist":               {func(w *world) { w.alias.Spec.Functions[1].Function = "LoksAfter" }, lifecycle.AppSpecInvalid, "LoksAfter"},
		"a hook may not be called": {func(w *world) {
			w.api.Inject(awsfake.On("Invoke", awsfake.AccessDenied))
		}, lifecycle.Denied, "lambda:InvokeFunction"},
		"the versions are the same": {func(w *world) { w.alias.Spec.Function.TargetVersion = "1" }, lifecycle.AppSpecInvalid, "nothing to deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tc.harm(w)
				s, err := w.alias.Snapshot(t.Context(), &target.Job{})
				require.Equal(t, tc.code, codeOf(err), "%v", err)
				if err != nil {
					require.ErrorContains(t, err, tc.says)
				} else {
					require.EqualValues(t, 100, s.Weights["1"]+s.Weights["2"])
					require.GreaterOrEqual(t, s.Weights["1"], lifecycle.Weight(90))
				}
				for _, call := range w.api.Calls() {
					if call.Operation != "Invoke" {
						require.Contains(t, call.Name(), ".Get")
					}
				}
				require.Empty(t, w.Invoked("LooksBefore"), "looking runs nothing")
			})
		})
	}
}

// Weights of a third version that were left go with the first shift.
func TestG19_LeftoverOfAThirdVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Publish("checkout", "code 3")
		w.Point("checkout", "live", "1", map[string]float64{"3": 0.25})
		w.alias.TakeLeftover = true
		before, err := w.alias.Snapshot(t.Context(), &target.Job{})
		require.NoError(t, err)
		require.Equal(t, map[string]lifecycle.Weight{"1": 75, "3": 25}, before.Weights)
		step := w.allow("2", 10)
		step.Expect = weight(0)
		require.Equal(t, lifecycle.ExternalChange, codeOf(w.alias.Perform(t.Context(), step)))
		step.Job.Before = &before
		require.NoError(t, w.alias.Perform(t.Context(), step))
		require.InDeltaMapValues(t, fakelambda.Routing{"1": 0.9, "2": 0.1}, w.shares(), 1e-9)
	})
}

func TestStepsThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		step lifecycle.Step
		code lifecycle.Code
	}{
		"another version":  {lifecycle.Step{Unit: "9", Event: lifecycle.AllowTraffic}, lifecycle.UnitLost},
		"another event":    {lifecycle.Step{Unit: "2", Event: lifecycle.Install}, lifecycle.Unsupported},
		"too large a part": {lifecycle.Step{Unit: "2", Event: lifecycle.AllowTraffic, Weight: 101}, lifecycle.StrategyInvalid},
	} {
		require.Equal(t, tc.code, codeOf(w.alias.Perform(t.Context(), target.Task{Step: tc.step})), name)
	}
	require.Empty(t, w.api.Calls())
}

func TestCancelAbandonsEveryWait(t *testing.T) {
	why := errors.New("enough")
	for name, harm := range map[string]func(*world){
		"for a version": func(w *world) { w.SetState("checkout", "2", types.StatePending) },
		"for a weight": func(w *world) {
			w.api.Inject(func(c awsfake.Call) awsfake.Fault {
				if len(w.Routes("checkout", "live")) == 2 {
					return awsfake.StaleRead
				}
				return awsfake.NoFault
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				harm(w)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(5*time.Second, func() { cancel(why) })
				require.Equal(t, why, w.alias.Perform(ctx, w.allow("2", 10)))
			})
		})
	}
}

func TestCheckComparesTheAppSpecs(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct{ text, says string }{
		"the same":          {appSpec, ""},
		"written otherwise": {strings.Replace(appSpec, "- checkout:", "- function:", 1), ""},
		"another version":   {strings.Replace(appSpec, `"2"`, `"3"`, 1), "another AppSpec"},
		"another hook":      {strings.Replace(appSpec, "LooksAfter", "Sleeps", 1), "another AppSpec"},
		"it is for servers": {"version: 0.0\nos: linux\n", "for servers"},
		"it is not there":   {"", "appspec.yml"},
	} {
		dir := t.TempDir()
		if tc.text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "appspec.yml"), []byte(tc.text), 0o600))
		}
		bundle, err := revision.Dir(dir).Open(t.Context(), t.TempDir())
		require.NoError(t, err)
		_, err = w.alias.Check(t.Context(), &target.Job{Bundle: bundle})
		if tc.says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, lifecycle.AppSpecInvalid, codeOf(err), name)
		require.ErrorContains(t, err, tc.says, name)
	}
}

var _ = lambda.Scope{}
