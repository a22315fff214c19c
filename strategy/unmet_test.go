package strategy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// A stage that failed says which of its rules it broke.
func TestPace_SaysWhichRuleWasBroken(t *testing.T) {
	for name, c := range map[string]struct {
		pace   Pace
		counts Counts
		want   string
	}{
		"the group's minimum": {Pace{MinHealthy: 3}, Counts{Healthy: 3, StageHealthy: 3, PendingHealthy: 2, Failed: 1, StageFailed: 1},
			"3 of 4 units are healthy and 3 must be, so no other may be taken out of service; 1 failed, 2 were not started"},
		"below the minimum": {Pace{MinHealthy: 3}, Counts{Healthy: 2, StageHealthy: 2, Failed: 2, StageFailed: 2},
			"2 of 4 units are healthy and 3 must be; 2 failed, 0 were not started"},
		"the zone's minimum": {Pace{MinHealthy: 2, StageMin: 1}, Counts{Healthy: 5, StageHealthy: 1, PendingHealthy: 1, Failed: 1, StageFailed: 1},
			"1 of 2 units of the stage are healthy and 1 must be, so no other may be taken out of service; 1 failed, 1 were not started"},
		"the first failure": {Pace{MinHealthy: 2, FailFirst: true}, Counts{Healthy: 4, StageHealthy: 4, PendingHealthy: 2, Failed: 1, StageFailed: 1},
			"1 failed, 2 were not started, and the first failure ends it"},
		"all": {Pace{All: true}, Counts{Healthy: 4, StageHealthy: 4, Failed: 1, StageFailed: 1},
			"1 failed, 0 were not started, and all must succeed"},
		"nobody": {Pace{}, Counts{Failed: 2, StageFailed: 2}, "no unit succeeded, 2 failed"},
		"out of reach": {Pace{MinHealthy: 2}, Counts{Healthy: 2, StageHealthy: 2, PendingHealthy: 2, Failed: 1, Lost: 1},
			"2 of 3 units are healthy and 2 must be, so no other may be taken out of service; 0 failed, 2 were not started, 1 cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.pace.unmet(c.counts)) })
	}
}

// All is stricter than any minimum, and says so in the plan.
func TestInPlace_All(t *testing.T) {
	in := Input{Deployment: "d-1", Group: "web", Units: []lifecycle.Unit{{ID: "a"}, {ID: "b"}}}
	p, err := InPlace{Minimum: OneAtATime().Minimum, All: true}.Plan(in)
	require.NoError(t, err)
	require.True(t, p.Stages[0].Pace.All)
	require.Contains(t, p.String(), "and all must succeed")
}
