package lifecycle_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// The availability table of CodeDeploy for servers, as it is documented: one row
// per event, one column per walk.
var (
	columns = []lifecycle.Walk{
		lifecycle.InPlace, lifecycle.InPlaceBalanced, lifecycle.Original, lifecycle.Replacement,
		lifecycle.RollbackOriginal, lifecycle.RollbackReplacement, lifecycle.Launch, lifecycle.Termination,
	}
	availability = []struct {
		event lifecycle.Event
		row   string
	}{
		{lifecycle.BeforeBlockTraffic, "-YY--Y-Y"},
		{lifecycle.BlockTraffic, "-YY--Y-Y"},
		{lifecycle.AfterBlockTraffic, "-YY--Y-Y"},
		{lifecycle.ApplicationStop, "YY-Y--YY"},
		{lifecycle.DownloadBundle, "YY-Y--Y-"},
		{lifecycle.BeforeInstall, "YY-Y--Y-"},
		{lifecycle.Install, "YY-Y--Y-"},
		{lifecycle.AfterInstall, "YY-Y--Y-"},
		{lifecycle.ApplicationStart, "YY-Y--Y-"},
		{lifecycle.ValidateService, "YY-Y--Y-"},
		{lifecycle.BeforeAllowTraffic, "-Y-YY-Y-"},
		{lifecycle.AllowTraffic, "-Y-YY-Y-"},
		{lifecycle.AfterAllowTraffic, "-Y-YY-Y-"},
	}
)

func TestWalksAreTheColumnsOfTheTable(t *testing.T) {
	for i, walk := range columns {
		t.Run(string(walk), func(t *testing.T) {
			var want []lifecycle.Event
			for _, line := range availability {
				if line.row[i] == 'Y' {
					want = append(want, line.event)
				}
			}
			got := walk.Events()
			// Start is ours: it opens each walk that installs something.
			if slices.Contains(want, lifecycle.Install) {
				require.Equal(t, lifecycle.Start, got[0])
				got = got[1:]
			}
			require.Equal(t, want, got)
		})
	}
}

func TestWalksOfECSAndLambda(t *testing.T) {
	require.Equal(t, []lifecycle.Event{"BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic",
		"AfterAllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"},
		lifecycle.ECSReplacement.Events())
	require.Equal(t, []lifecycle.Event{"BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"},
		lifecycle.LambdaReplacement.Events())
	require.Empty(t, lifecycle.Walk("sideways").Events())
}

func TestScriptableEvents(t *testing.T) {
	require.Equal(t, []lifecycle.Event{"BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall",
		"AfterInstall", "ApplicationStart", "ValidateService", "BeforeAllowTraffic", "AfterAllowTraffic"},
		lifecycle.Server.Scriptable())
	require.Equal(t, []lifecycle.Event{"BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic",
		"AfterAllowTraffic"}, lifecycle.ECS.Scriptable())
	require.Equal(t, []lifecycle.Event{"BeforeAllowTraffic", "AfterAllowTraffic"}, lifecycle.Lambda.Scriptable())

	for _, done := range []lifecycle.Event{lifecycle.Start, lifecycle.BlockTraffic, lifecycle.DownloadBundle,
		lifecycle.Install, lifecycle.AllowTraffic, lifecycle.Retire, "Nonsense"} {
		require.False(t, lifecycle.Server.Takes(done), "%s takes no scripts", done)
	}
	require.True(t, lifecycle.Server.Takes(lifecycle.ApplicationStop))
	require.False(t, lifecycle.Lambda.Takes(lifecycle.ApplicationStop), "Lambda has no ApplicationStop")
}

func TestTheTableCannotBeChangedThroughWhatItReturns(t *testing.T) {
	lifecycle.InPlace.Events()[0] = "Broken"
	lifecycle.Server.Scriptable()[0] = "Broken"
	require.Equal(t, lifecycle.Start, lifecycle.InPlace.Events()[0])
	require.Equal(t, lifecycle.BeforeBlockTraffic, lifecycle.Server.Scriptable()[0])
}

func TestStepKey(t *testing.T) {
	for want, step := range map[string]lifecycle.Step{
		"d-7/2/host-1/Install/0":         {Deployment: "d-7", Stage: 2, Unit: "host-1", Event: lifecycle.Install},
		"d-7/0/alias/AllowTraffic/10":    {Deployment: "d-7", Unit: "alias", Event: lifecycle.AllowTraffic, Weight: 10},
		`d-7/0/"rack/1"/Install/0`:       {Deployment: "d-7", Unit: "rack/1", Event: lifecycle.Install},
		`"d\n7"/0/h/Install/0`:           {Deployment: "d\n7", Unit: "h", Event: lifecycle.Install},
		"/0///0":                         {},
		`d-7/0/"\"rack/1\""/My_Event2/0`: {Deployment: "d-7", Unit: `"rack/1"`, Event: "My_Event2"},
	} {
		require.Equal(t, want, step.Key())
	}
}

func TestNoTwoStepsShareAKey(t *testing.T) {
	part := rapid.StringOfN(rapid.SampledFrom([]rune(`ab/"\ 0`)), 0, 4, -1)
	step := rapid.Custom(func(t *rapid.T) lifecycle.Step {
		return lifecycle.Step{Deployment: part.Draw(t, "deployment"), Stage: rapid.IntRange(0, 2).Draw(t, "stage"),
			Unit: part.Draw(t, "unit"), Event: lifecycle.Event(part.Draw(t, "event")),
			Weight: lifecycle.Weight(rapid.IntRange(0, 2).Draw(t, "weight"))}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := step.Draw(t, "a"), step.Draw(t, "b")
		require.Equal(t, a == b, a.Key() == b.Key(), "%q and %q", a.Key(), b.Key())
	})
}

func TestErrorReadsAsAPath(t *testing.T) {
	step := lifecycle.Step{Deployment: "d-7", Unit: "i-0ab", Event: lifecycle.AfterInstall}
	for want, e := range map[string]*lifecycle.Error{
		"d-7: AfterInstall on i-0ab: script restart.sh: exit status 3": {Step: step, Failure: lifecycle.Failure{Script: "restart.sh", Message: "exit status 3"}},
		"d-7: AfterInstall on i-0ab: no space":                         {Step: step, Failure: lifecycle.Failure{Message: "no space"}},
		"d-7: i-0ab: gone":                                             {Step: lifecycle.Step{Deployment: "d-7", Unit: "i-0ab"}, Failure: lifecycle.Failure{Message: "gone"}},
		"d-7: stopped":                                                 {Step: lifecycle.Step{Deployment: "d-7"}, Failure: lifecycle.Failure{Message: "stopped"}},
		"stopped":                                                      {Failure: lifecycle.Failure{Message: "stopped"}},
	} {
		require.EqualError(t, e, want)
	}
}
