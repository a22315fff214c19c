package strategy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// zones makes units spread over zones: zones(3, "a", 2, "b").
func zoned(spec ...any) []lifecycle.Unit {
	var us []lifecycle.Unit
	for i := 0; i < len(spec); i += 2 {
		for n := range spec[i].(int) {
			us = append(us, lifecycle.Unit{ID: fmt.Sprintf("%s%d", spec[i+1], n), Zone: spec[i+1].(string), Healthy: true, Revision: "sha256:old"})
		}
	}
	return us
}

func roles(blue, green int) []lifecycle.Unit {
	var us []lifecycle.Unit
	for i := range blue {
		us = append(us, lifecycle.Unit{ID: fmt.Sprintf("blue%d", i+1), Role: lifecycle.OriginalRole, Healthy: true, Revision: "sha256:old"})
	}
	for i := range green {
		us = append(us, lifecycle.Unit{ID: fmt.Sprintf("green%d", i+1), Role: lifecycle.ReplacementRole})
	}
	return us
}

func simulate(t *testing.T, p Plan, m Model) *Timeline {
	tl, err := Simulate(p, m)
	require.NoError(t, err)
	return tl
}

// trace lists what was started, in order, as "unit Event weight".
func trace(tl *Timeline) []string {
	var out []string
	for _, r := range tl.Records {
		if r.Kind == lifecycle.Started {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s", r.Step.Unit, Move{r.Step.Event, r.Step.Weight})))
		}
	}
	return out
}

// Facts §4.4: 200 hosts of which 160 stay, zones of 100 of which 50 stay: 40, 40, 20.
func TestZonal_WorkedExample(t *testing.T) {
	s := InPlace{Minimum: Minimum{Count: 160}, Zonal: &Zonal{Minimum: Minimum{Count: 50}, Monitor: time.Hour, FirstMonitor: 2 * time.Hour}}
	p := plan(t, s, zoned(100, "a", 100, "b"))
	require.Len(t, p.Stages, 2)
	require.Equal(t, 40, p.Stages[0].Pace.Limit)
	tl := simulate(t, p, Model{})
	require.Equal(t, DeploymentSucceeded, tl.Verdict)
	require.Equal(t, 160, tl.Least)
	require.Equal(t, 40, tl.Most)
	// Every host takes 8 steps of a second: 40, 40 and 20 at a time, twice, and the
	// longer wait after the first zone; none after the last.
	require.Equal(t, 2*3*8*time.Second+2*time.Hour, tl.Took)
	require.Equal(t, Hold{}, p.Stages[1].Hold)
}

func TestZonal_Rules(t *testing.T) {
	us := zoned(4, "a", 2, "b", 1, "c")
	s := InPlace{Minimum: Minimum{Count: 3}, Zonal: &Zonal{Monitor: time.Minute, Order: []string{"c", "a"}}}
	p := plan(t, s, us)
	require.Equal(t, []string{"c", "a", "b"}, []string{p.Stages[0].Zone, p.Stages[1].Zone, p.Stages[2].Zone})
	require.Equal(t, time.Minute, p.Stages[0].Hold.For, "the first wait falls back to the others'")

	// Below the zone's own minimum the whole deployment fails, all zones.
	s = InPlace{Minimum: Minimum{Count: 2}, Zonal: &Zonal{Minimum: Minimum{Percent: 50}}}
	p = plan(t, s, zoned(4, "a", 4, "b"))
	tl := simulate(t, p, Model{Fails: failAt("a0", "a1")})
	require.Equal(t, DeploymentFailed, tl.Verdict)
	require.Equal(t, []string{"a0", "a1"}, tl.Touched)

	_, err := InPlace{Zonal: &Zonal{Minimum: Minimum{Count: 1}}}.Plan(input(zoned(4, "a", 1, "b")))
	require.ErrorContains(t, err, `zone "b": at least 1 of 1 stay healthy`)

	in := input(us)
	in.RollbackOf, in.Touched = "d-0", []string{"a0", "b1"}
	p, err = s.Plan(in)
	require.NoError(t, err)
	require.Len(t, p.Stages, 1, "a rollback of a zonal deployment is not zonal")
}

func TestWaves(t *testing.T) {
	s := InPlace{Waves: [][]string{{"h4"}, {"h2", "h1"}}, WaveHold: Wait{StopOnExpiry: true}}
	p := plan(t, s, units(5, true))
	require.Len(t, p.Stages, 3)
	tl := simulate(t, p, Model{})
	require.Empty(t, tl.Verdict, "nobody says continue")
	require.Equal(t, []string{"h4"}, tl.Touched)
	tl = simulate(t, p, Model{Continue: func(Hold) time.Duration { return time.Minute }})
	require.Equal(t, DeploymentSucceeded, tl.Verdict)
	var order []string
	for _, s := range trace(tl) {
		if id, ok := strings.CutSuffix(s, " Start"); ok {
			order = append(order, id)
		}
	}
	require.Equal(t, []string{"h4", "h2", "h1", "h3", "h5"}, order)
	_, err := InPlace{Waves: [][]string{{"h9"}}}.Plan(input(units(2, true)))
	require.ErrorContains(t, err, `wave 1 names unit "h9"`)
}

func failAt(ids ...string) func(lifecycle.Step) *lifecycle.Failure {
	return func(s lifecycle.Step) *lifecycle.Failure {
		if s.Event == lifecycle.ValidateService && slices.Contains(ids, s.Unit) {
			return &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "exit status 1"}
		}
		return nil
	}
}

// Facts §1.2 and §4.2: wall-clock order of a blue/green deployment.
func TestBlueGreen(t *testing.T) {
	in := input(roles(2, 2))
	in.Balanced = true
	s := BlueGreen{Minimum: Minimum{Percent: 50}, Ready: Wait{For: time.Hour, StopOnExpiry: true}, Termination: Wait{For: 5 * time.Minute}}
	p, err := s.Plan(in)
	require.NoError(t, err)
	soon := func(h Hold) time.Duration {
		if h.Name == ReadyWait {
			return time.Minute
		}
		return -1
	}
	tl := simulate(t, p, Model{Continue: soon})
	require.Equal(t, DeploymentSucceeded, tl.Verdict)
	steps := trace(tl)
	last := func(s string) int {
		n := -1
		for i, x := range steps {
			if strings.HasSuffix(x, s) {
				n = i
			}
		}
		require.GreaterOrEqual(t, n, 0, s)
		return n
	}
	require.Less(t, last(" ValidateService"), slices.Index(steps, "green1 BeforeAllowTraffic"))
	require.Less(t, last(" AfterAllowTraffic"), slices.Index(steps, "blue1 BeforeBlockTraffic"))
	require.Less(t, last(" AfterBlockTraffic"), slices.Index(steps, "blue1 Retire"))
	require.NotContains(t, steps, "blue1 Install")
	require.NotContains(t, steps, "green1 BlockTraffic")

	tl = simulate(t, p, Model{})
	require.Equal(t, DeploymentStopped, tl.Verdict, "the ready wait expires")
	require.NotContains(t, trace(tl), "green1 AllowTraffic 100 %")
	require.Contains(t, tl.Failure.Message, "nobody said continue within 1h0m0s")

	s.KeepAlive = true
	p, err = s.Plan(in)
	require.NoError(t, err)
	require.NotContains(t, trace(simulate(t, p, Model{Continue: soon})), "blue1 Retire")
}

// One failed deregistration makes the deployment fail; half of the replacements
// may fail under HalfAtATime, and those get no traffic.
func TestBlueGreen_Failures(t *testing.T) {
	in := input(roles(2, 4))
	in.Balanced = true
	p, err := BlueGreen{Minimum: Minimum{Percent: 50}}.Plan(in)
	require.NoError(t, err)
	tl := simulate(t, p, Model{Fails: failAt("green1", "green3")})
	require.Equal(t, DeploymentSucceeded, tl.Verdict)
	require.NotContains(t, trace(tl), "green1 AllowTraffic 100 %", "a failed replacement gets no traffic")
	require.Contains(t, trace(tl), "green2 AllowTraffic 100 %")
	tl = simulate(t, p, Model{Fails: failAt("green1", "green3", "green4")})
	require.Equal(t, DeploymentFailed, tl.Verdict)
	require.NotContains(t, trace(tl), "blue1 BlockTraffic", "originals serve on")
	tl = simulate(t, p, Model{Fails: func(s lifecycle.Step) *lifecycle.Failure {
		if s.Unit == "blue2" && s.Event == lifecycle.BlockTraffic {
			return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "throttled"}
		}
		return nil
	}})
	require.Equal(t, DeploymentFailed, tl.Verdict)
	require.NotContains(t, trace(tl), "blue1 Retire")
}

// G16: what cannot be cleaned up is listed, and fails nothing that works.
func TestG16_FailedRetireIsListed(t *testing.T) {
	fails := func(s lifecycle.Step) *lifecycle.Failure {
		if s.Event == lifecycle.Retire {
			return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "in use"}
		}
		return nil
	}
	in := input(roles(2, 2))
	in.Balanced = true
	for name, tc := range map[string]struct {
		s  Strategy
		in Input
	}{"EC2": {BlueGreen{}, in}, "ECS": {ECS{}, input(roles(1, 1))}} {
		t.Run(name, func(t *testing.T) {
			p, err := tc.s.Plan(tc.in)
			require.NoError(t, err)
			tl := simulate(t, p, Model{Fails: fails})
			require.Equal(t, DeploymentSucceeded, tl.Verdict)
			st := &State{}
			for _, r := range tl.Records {
				require.NoError(t, st.Apply(r))
			}
			require.Equal(t, Failed, st.Units()[0].Status)
			require.Equal(t, "in use", st.Units()[0].Failure.Message)
		})
	}
}

// Invariant 7, H4: a rollback takes traffic from the replacements only when the
// originals have it.
func TestBlueGreen_Rollback(t *testing.T) {
	in := input(roles(2, 2))
	in.Balanced, in.RollbackOf, in.Touched = true, "d-0", []string{"blue1", "green1", "green2"}
	p, err := BlueGreen{}.Plan(in)
	require.NoError(t, err)
	require.Equal(t, []string{"blue1 BeforeAllowTraffic", "blue1 AllowTraffic 100 %", "blue1 AfterAllowTraffic",
		"green1 BeforeBlockTraffic", "green2 BeforeBlockTraffic", "green1 BlockTraffic", "green2 BlockTraffic",
		"green1 AfterBlockTraffic", "green2 AfterBlockTraffic"}, trace(simulate(t, p, Model{})))
	tl := simulate(t, p, Model{Fails: func(s lifecycle.Step) *lifecycle.Failure {
		if s.Event == lifecycle.AllowTraffic {
			return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "not healthy"}
		}
		return nil
	}})
	require.Equal(t, DeploymentFailed, tl.Verdict)
	require.NotContains(t, trace(tl), "green1 BlockTraffic", "traffic stays where healthy units are")
}

// Found by the simulation: once originals are retired there is no way back, and
// taking traffic from the replacements would leave nobody.
func TestBlueGreen_NoWayBackOnceOriginalsAreGone(t *testing.T) {
	in := input(roles(2, 2))
	in.Units[0].Lost = "terminated"
	in.Balanced, in.RollbackOf, in.Touched = true, "d-0", []string{"blue1", "blue2", "green1", "green2"}
	_, err := BlueGreen{}.Plan(in)
	require.ErrorContains(t, err, "originals are gone (blue1)")
}

func TestBlueGreen_Refusals(t *testing.T) {
	in := input(roles(2, 2))
	_, err := BlueGreen{}.Plan(in)
	require.ErrorContains(t, err, "needs a load balancer")
	in = input(roles(2, 0))
	in.Balanced = true
	_, err = BlueGreen{}.Plan(in)
	require.ErrorContains(t, err, "needs originals and replacements")
}

// Facts §1.5, §4.5.
func TestECS_Canary(t *testing.T) {
	in := input(roles(1, 1))
	in.TestRoute = true
	p, err := ECS{Shift: Canary(10, 5*time.Minute), Termination: Wait{For: time.Hour}}.Plan(in)
	require.NoError(t, err)
	tl := simulate(t, p, Model{})
	require.Equal(t, []string{
		"green1 BeforeInstall", "green1 Install", "green1 AfterInstall", "green1 AllowTestTraffic 100 %", "green1 AfterAllowTestTraffic",
		"green1 BeforeAllowTraffic", "green1 AllowTraffic 10 %", "green1 AllowTraffic 100 %", "green1 AfterAllowTraffic", "blue1 Retire",
	}, trace(tl))
	require.Equal(t, 10*time.Second+5*time.Minute+time.Hour, tl.Took)

	in.TestRoute = false
	p, err = ECS{}.Plan(in)
	require.NoError(t, err)
	require.NotContains(t, trace(simulate(t, p, Model{})), "green1 AllowTestTraffic 100 %")
}

func TestECS_Rollback(t *testing.T) {
	in := input(roles(1, 1))
	in.RollbackOf, in.Touched = "d-0", []string{"green1"}
	p, err := ECS{Shift: Canary(10, time.Minute)}.Plan(in)
	require.NoError(t, err)
	require.Equal(t, []string{"blue1 AllowTraffic 100 %", "green1 Retire"}, trace(simulate(t, p, Model{})))
}

func TestLambda_Linear(t *testing.T) {
	p, err := Lambda{Shift: Linear(40, time.Minute)}.Plan(input(roles(1, 1)))
	require.NoError(t, err)
	tl := simulate(t, p, Model{})
	require.Equal(t, []string{"green1 BeforeAllowTraffic", "green1 AllowTraffic 40 %", "green1 AllowTraffic 80 %",
		"green1 AllowTraffic 100 %", "green1 AfterAllowTraffic"}, trace(tl))
	require.Equal(t, 5*time.Second+2*time.Minute, tl.Took)
	in := input(roles(1, 1))
	in.RollbackOf, in.Touched = "d-0", []string{"green1"}
	p, err = Lambda{}.Plan(in)
	require.NoError(t, err)
	require.Equal(t, []string{"blue1 AllowTraffic 100 %"}, trace(simulate(t, p, Model{})))
}

// V3 to V5.
func TestShift_Refusals(t *testing.T) {
	for name, tc := range map[string]struct {
		s    Shift
		says string
	}{
		"V3: no percentage":      {Canary(0, time.Minute), "want 1 to 99"},
		"V3: all of it":          {Canary(100, time.Minute), "want 1 to 99"},
		"V3: less than nothing":  {Linear(-5, time.Minute), "want 1 to 99"},
		"V3: no wait":            {Canary(10, 0), "want more than 0"},
		"V4: never reaches 100":  {Linear(0, time.Minute), "rises and ends at 100"},
		"V5: longer than 2 days": {Linear(1, 30*time.Minute), "99 waits of 30m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []Strategy{ECS{Shift: tc.s}, Lambda{Shift: tc.s}} {
				_, err := s.Plan(input(roles(1, 1)))
				require.ErrorContains(t, err, tc.says)
			}
		})
	}
	_, err := Lambda{}.Plan(input(roles(2, 1)))
	require.ErrorContains(t, err, "the target has 2 and 1")
}

// G21: shares rise strictly and end at exactly 100.
func TestG21_WeightsRiseTo100(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Shift{Percent: rapid.IntRange(1, 99).Draw(t, "percent"), Every: time.Minute, Linear: rapid.Bool().Draw(t, "linear")}
		ws := s.Weights()
		require.True(t, slices.IsSorted(ws))
		require.Len(t, slices.Compact(slices.Clone(ws)), len(ws))
		require.Equal(t, lifecycle.Weight(100), ws[len(ws)-1])
		require.Equal(t, lifecycle.Weight(s.Percent), ws[0])
	})
}

// Facts §4.1: all 17 predefined configurations, by their exact names.
func TestPredefined(t *testing.T) {
	want := map[string]string{
		"ECSCanary10Percent5Minutes": "10 5m0s", "ECSCanary10Percent15Minutes": "10 15m0s",
		"ECSLinear10PercentEvery1Minutes": "10 1m0s", "ECSLinear10PercentEvery3Minutes": "10 3m0s",
		"LambdaCanary10Percent5Minutes": "10 5m0s", "LambdaCanary10Percent10Minutes": "10 10m0s",
		"LambdaCanary10Percent15Minutes": "10 15m0s", "LambdaCanary10Percent30Minutes": "10 30m0s",
		"LambdaLinear10PercentEvery1Minute": "10 1m0s", "LambdaLinear10PercentEvery2Minutes": "10 2m0s",
		"LambdaLinear10PercentEvery3Minutes": "10 3m0s", "LambdaLinear10PercentEvery10Minutes": "10 10m0s",
		"ECSAllAtOnce": "0 0s", "LambdaAllAtOnce": "0 0s", "AllAtOnce": "", "HalfAtATime": "", "OneAtATime": "",
	}
	require.Len(t, want, 17)
	n := 0
	for _, name := range Names() {
		short, ok := strings.CutPrefix(name, "CodeDeployDefault.")
		if !ok {
			continue
		}
		n++
		s, err := Parse(name)
		require.NoError(t, err)
		us := units(4, true)
		var shift *Shift
		switch s := s.(type) {
		case ECS:
			shift, us = &s.Shift, roles(1, 1)
		case Lambda:
			shift, us = &s.Shift, roles(1, 1)
		}
		if shift != nil {
			require.Equal(t, want[short], fmt.Sprintf("%d %s", shift.Percent, shift.Every), name)
			require.Equal(t, strings.Contains(name, "Linear"), shift.Linear, name)
		}
		p := plan(t, s, us)
		require.Equal(t, name, p.Strategy)
		require.Equal(t, DeploymentSucceeded, simulate(t, p, Model{}).Verdict)
		require.Contains(t, want, short)
	}
	require.Equal(t, 17, n)
}

func TestTimeout(t *testing.T) {
	in := input(units(4, true))
	in.Timeout = time.Minute
	p, err := OneAtATime().Plan(in)
	require.NoError(t, err)
	tl := simulate(t, p, Model{Took: func(lifecycle.Step) time.Duration { return 5 * time.Second }})
	require.Equal(t, DeploymentFailed, tl.Verdict)
	require.Equal(t, lifecycle.TimedOut, tl.Failure.Code)
	require.Equal(t, time.Minute, tl.Took)
	require.Equal(t, []string{"h1", "h2"}, tl.Touched)
	require.Contains(t, p.String(), "it may take 1m0s in all")
}

// What if 3 % of the hosts fail? The same answer every time, and the same as that
// of the real engine's Next.
func TestSimulate_WhatIf(t *testing.T) {
	p := plan(t, Percent(75), units(200, true))
	bad := map[string]bool{}
	for i := range 6 {
		bad[fmt.Sprintf("h%d", 1+i*33)] = true
	}
	m := Model{
		Took: func(s lifecycle.Step) time.Duration { return time.Duration(len(s.Event)+len(s.Unit)) * time.Second },
		Fails: func(s lifecycle.Step) *lifecycle.Failure {
			if bad[s.Unit] && s.Event == lifecycle.ApplicationStart {
				return &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "exit status 1"}
			}
			return nil
		},
	}
	tl := simulate(t, p, m)
	require.Equal(t, DeploymentSucceeded, tl.Verdict)
	require.GreaterOrEqual(t, tl.Least, 150)
	require.LessOrEqual(t, tl.Most, 50)
	require.Len(t, tl.Touched, 200)
	require.Equal(t, tl, simulate(t, p, m))
}

func ExampleSimulate() {
	in := input(units(10, true))
	p, err := HalfAtATime().Plan(in)
	if err != nil {
		fmt.Println(err)
		return
	}
	tl, err := Simulate(p, Model{Took: func(lifecycle.Step) time.Duration { return 10 * time.Second }})
	fmt.Println(tl.Verdict, tl.Took, "never fewer than", tl.Least, "healthy", err)
	// Output:
	// Succeeded 2m40s never fewer than 5 healthy <nil>
}

// Facts §6.2: on EC2 a failed hook shows as HEALTH_CONSTRAINTS, also in a group of one; of
// a service or a function, where one unit takes the traffic, it is the unit's own code.
func TestFailures_CodeOfTheOneUnit(t *testing.T) {
	fails := func(s lifecycle.Step) *lifecycle.Failure {
		if s.Event == lifecycle.BeforeAllowTraffic {
			return &lifecycle.Failure{Code: lifecycle.HookFailed, Message: "two of nine checks failed"}
		}
		return nil
	}
	in := input(roles(1, 1))
	in.Balanced = true
	for name, tc := range map[string]struct {
		s    Strategy
		code lifecycle.Code
		text string
	}{
		"ECS":            {ECS{}, lifecycle.HookFailed, "BeforeAllowTraffic on green1: two of nine checks failed"},
		"Lambda":         {Lambda{Shift: Canary(10, time.Minute)}, lifecycle.HookFailed, "BeforeAllowTraffic on green1: two of nine checks failed"},
		"EC2 blue/green": {BlueGreen{}, lifecycle.HealthConstraints, "no unit succeeded, 1 failed; first failure: BeforeAllowTraffic on green1: two of nine checks failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := tc.s.Plan(in)
			require.NoError(t, err)
			tl := simulate(t, p, Model{Fails: fails})
			require.Equal(t, DeploymentFailed, tl.Verdict)
			require.Equal(t, tc.code, tl.Failure.Code)
			require.Equal(t, tc.text, tl.Failure.Message)
		})
	}
}
