package strategy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// What cannot be meant is refused before anything is touched, in words that say what to
// change.
func TestPlan_RefusesWhatCannotBeMeant(t *testing.T) {
	fleet, sides := input(zoned(2, "a", 2, "b")), input(roles(1, 1))
	back := Wait{For: -time.Minute}
	for name, tc := range map[string]struct {
		s    Strategy
		in   Input
		want string
	}{
		"a unit in two waves":      {InPlace{Waves: [][]string{{"a0"}, {"b0", "a0"}}}, fleet, `wave 2 names unit "a0" again: a unit goes in one wave`},
		"a zone twice":             {InPlace{Zonal: &Zonal{Order: []string{"b", "a", "b"}}}, fleet, `the order of zones names "b" twice`},
		"a wave that waits back":   {InPlace{Waves: [][]string{{"a0"}}, WaveHold: back}, fleet, "the hold wave lasts -1m0s: want 0 or more"},
		"a zone that waits back":   {InPlace{Zonal: &Zonal{Monitor: back.For}}, fleet, "the hold monitor lasts -1m0s"},
		"a first that waits back":  {InPlace{Zonal: &Zonal{FirstMonitor: back.For}}, fleet, "the hold monitor lasts -1m0s"},
		"ready before it began":    {ECS{Ready: back}, sides, "the hold READY_WAIT lasts -1m0s"},
		"terminated before it was": {BlueGreen{Termination: back}, sides, "the hold TERMINATION_WAIT lasts -1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.in.Balanced = true
			_, err := tc.s.Plan(tc.in)
			var e *lifecycle.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, lifecycle.StrategyInvalid, e.Code)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// Every hold and every stage that is not like the others has a rule, which says where it
// comes from.
func TestPlan_RulesSayWhereTheyComeFrom(t *testing.T) {
	wait := Wait{For: time.Hour}
	fleet, sides := input(zoned(2, "a", 2, "b", 1, "")), input(roles(1, 1))
	back := input(roles(1, 1))
	back.RollbackOf = "d-0"
	for name, tc := range map[string]struct {
		s    Strategy
		in   Input
		want []Rule
	}{
		"EC2": {BlueGreen{Ready: Wait{For: time.Hour, StopOnExpiry: true}, Termination: wait}, sides, []Rule{
			{"hold READY_WAIT: stops after 1h0m0s unless somebody says continue", "CodeDeploy: deploymentReadyOption"},
			{"hold TERMINATION_WAIT: goes on after 1h0m0s", "CodeDeploy: terminateBlueInstancesOnDeploymentSuccess"},
			{"originals are retired in the end, and a failure of that fails nothing", "CodeDeploy: terminateBlueInstancesOnDeploymentSuccess"}}},
		"EC2, kept": {BlueGreen{KeepAlive: true}, sides, []Rule{{"originals are kept, out of traffic", "CodeDeploy: KEEP_ALIVE"}}},
		"ECS": {ECS{Shift: Canary(10, time.Minute)}, sides, []Rule{
			{"traffic to the replacement: 10, 100 %, 1m0s apart", "CodeDeploy: trafficRoutingConfig"},
			{"originals are retired in the end, and a failure of that fails nothing", "CodeDeploy: terminateBlueInstancesOnDeploymentSuccess"}}},
		"ECS, back": {ECS{}, back, []Rule{
			{"replacements are retired in the end, and a failure of that fails nothing", "cutover: a rollback removes what was made for the deployment"}}},
		"zones": {InPlace{Zonal: &Zonal{Monitor: time.Hour}}, fleet, []Rule{
			{"hold monitor: goes on after 1h0m0s", "CodeDeploy: zonalConfig"},
			{"units without a zone: up to min(5, 1-0) = 1 of 1 at once", "CodeDeploy: zonal configuration"}}},
		"waves": {InPlace{Waves: [][]string{{"a0"}}, WaveHold: wait}, fleet, []Rule{{"hold wave: goes on after 1h0m0s", "cutover: InPlace.WaveHold"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.in.Balanced = true
			p, err := tc.s.Plan(tc.in)
			require.NoError(t, err)
			require.Subset(t, p.Rules, tc.want)
		})
	}
}

// Found by trying: who asks only for what is outdated is told of the units that are, not
// of others.
func TestNobody_SpeaksOfTheUnitsThatWereAskedFor(t *testing.T) {
	in := input(units(3, true))
	in.Units[1].Lost = "the host vanished"
	in.Touched = []string{"h2"}
	_, err := OneAtATime().Plan(in)
	require.EqualError(t, err, "there is nothing to deploy to: none of the 1 unit(s) to deploy to can be reached (h2: the host vanished)")
	in.RollbackOf, in.Touched = "d-0", []string{"h9"}
	_, err = OneAtATime().Plan(in)
	require.EqualError(t, err, "there is nothing to deploy to: none of the 1 unit(s) to deploy to can be reached (h9: the target does not list it)")
}
