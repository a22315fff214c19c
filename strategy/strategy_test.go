package strategy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rig drives Next the way an engine does, without a clock, a journal or a target:
// steps that were started wait in order until a test ends them.
type rig struct {
	t       require.TestingT
	st      *State
	records []lifecycle.Record
	open    []lifecycle.Step
	end     *End
	now     time.Time
}

func newRig(t require.TestingT, p Plan) *rig {
	data, err := json.Marshal(p)
	require.NoError(t, err)
	r := &rig{t: t, st: &State{}, now: start}
	r.apply(lifecycle.Record{Kind: lifecycle.Planned, Step: lifecycle.Step{Deployment: p.Deployment}, Data: data})
	begun, first, err := Begin(p, start)
	require.NoError(t, err)
	require.Equal(t, r.records[0], first)
	require.Equal(t, r.st, begun, "a plan means the same whether it was written down or not")
	r.decide()
	return r
}

func (r *rig) apply(rec lifecycle.Record) {
	rec.Seq, rec.Time = r.st.Seq()+1, r.now
	require.NoError(r.t, r.st.Apply(rec))
	r.records = append(r.records, rec)
}

// decide asks Next until it has nothing more to say.
func (r *rig) decide() Decision {
	for {
		d := Next(r.st, r.now)
		for _, n := range d.Note {
			r.apply(n)
		}
		for _, s := range d.Start {
			r.apply(lifecycle.Record{Kind: lifecycle.Started, Step: s})
			r.open = append(r.open, s)
		}
		if d.End != nil {
			r.end = d.End
			data, _ := json.Marshal(Outcome{Verdict: d.End.Verdict})
			r.apply(lifecycle.Record{Kind: lifecycle.Finished, Failure: d.End.Failure, Data: data})
			return d
		}
		if len(d.Note)+len(d.Start) == 0 {
			return d
		}
	}
}

// finish ends the first open step and lets Next decide.
func (r *rig) finish(f *lifecycle.Failure) {
	require.NotEmpty(r.t, r.open, "no step is open")
	s := r.open[0]
	r.open = r.open[1:]
	r.apply(lifecycle.Record{Kind: lifecycle.Ended, Step: s, Failure: f})
	r.decide()
}

// inProgress lists the units that are out of service, in order.
func (r *rig) inProgress() []string {
	var ids []string
	for _, u := range r.st.Units() {
		if u.Status == InProgress {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// run ends every step; those of units in bad fail at ValidateService. It returns
// how many units were in progress at the most.
func (r *rig) run(bad ...string) (most int) {
	for r.end == nil {
		most = max(most, len(r.inProgress()))
		s := r.open[0]
		var f *lifecycle.Failure
		if s.Event == lifecycle.ValidateService && strings.Contains(" "+strings.Join(bad, " ")+" ", " "+s.Unit+" ") {
			f = &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "exit status 3", Script: "validate.sh"}
		}
		r.finish(f)
	}
	return most
}

func units(n int, healthy bool) []lifecycle.Unit {
	us := make([]lifecycle.Unit, n)
	for i := range us {
		us[i] = lifecycle.Unit{ID: fmt.Sprintf("h%d", i+1), Healthy: healthy}
		if healthy {
			us[i].Revision = "sha256:old"
		}
	}
	return us
}

func input(us []lifecycle.Unit) Input {
	return Input{Deployment: "d-1", Group: "web", Units: us,
		Revision: revision.Revision{Digest: "sha256:new"}, LastGood: &revision.Revision{Digest: "sha256:old"}}
}

func plan(t require.TestingT, s Strategy, us []lifecycle.Unit) Plan {
	p, err := s.Plan(input(us))
	require.NoError(t, err)
	return p
}

// Facts §4.2 and §4.3: the worked examples.
func TestMinimumHealthy_WorkedExamples(t *testing.T) {
	for _, tc := range []struct {
		n    int
		s    Strategy
		min  int
		most int
	}{
		{10, Count(9), 9, 1},
		{10, Count(8), 8, 2},
		{10, Count(3), 3, 7},
		{10, Count(0), 0, 10},
		{10, AllAtOnce(), 0, 10},
		{9, Percent(40), 4, 5},
		{9, Count(6), 6, 3},
		{9, HalfAtATime(), 5, 4},
		{10, HalfAtATime(), 5, 5},
		{10, OneAtATime(), 9, 1},
		{1, OneAtATime(), 0, 1},
		{1, AllAtOnce(), 0, 1},
	} {
		t.Run(fmt.Sprintf("%d hosts keep %d", tc.n, tc.min), func(t *testing.T) {
			p := plan(t, tc.s, units(tc.n, true))
			require.Equal(t, tc.min, p.Stages[0].Pace.MinHealthy)
			r := newRig(t, p)
			require.Len(t, r.inProgress(), tc.most, "started at once")
			require.Equal(t, tc.most, r.run())
			require.Equal(t, DeploymentSucceeded, r.end.Verdict)
		})
	}
}

func TestMinimumHealthy_SevenThenThree(t *testing.T) {
	r := newRig(t, plan(t, Count(3), units(10, true)))
	require.Len(t, r.inProgress(), 7)
	for len(r.st.Units()) > 0 && r.st.Counts().Succeeded == 0 {
		r.finish(nil)
	}
	require.Equal(t, 7, len(r.inProgress()), "a free place is filled at once")
	r.run()
	require.Equal(t, DeploymentSucceeded, r.end.Verdict)
}

// Facts §4.3 and reliability V1, V2: a minimum that cannot be met is refused with
// the arithmetic, before anything is touched.
func TestMinimumHealthy_Impossible(t *testing.T) {
	for name, tc := range map[string]struct {
		s    Strategy
		n    int
		says string
	}{
		"95 % of 10 rounds up to all":    {Percent(95), 10, "95 % of 10, rounded up: at least 10"},
		"count equals the group":         {Count(10), 10, "at least 10 of 10"},
		"count exceeds the group":        {Count(11), 10, "at least 11 of 10"},
		"half of one is one":             {HalfAtATime(), 1, "50 % of 1, rounded up: at least 1"},
		"a percentage below zero":        {Percent(-1), 10, "-1 %"},
		"a percentage above ninety-nine": {Percent(101), 10, "101 %"},
		"a negative count":               {Count(-1), 10, "-1 hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.s.Plan(input(units(tc.n, true)))
			var e *lifecycle.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, lifecycle.HealthConstraintsInvalid, e.Code)
			require.Contains(t, e.Message, tc.says)
		})
	}
}

func TestNoUnits(t *testing.T) {
	for name, us := range map[string][]lifecycle.Unit{
		"C18: an empty group":     {},
		"C18: all hosts are lost": {{ID: "h1", Lost: "stopped"}, {ID: "h2", Lost: "stopped"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := AllAtOnce().Plan(input(us))
			var e *lifecycle.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, lifecycle.NoUnits, e.Code)
		})
	}
}

// Facts §4.3: when a failure is fatal, and the exception for the last host.
func TestFailures_WorkedExamples(t *testing.T) {
	for name, tc := range map[string]struct {
		s       Strategy
		us      []lifecycle.Unit
		bad     []string
		verdict Verdict
		skipped int
	}{
		"10 keep 9: the first failure is fatal":              {Count(9), units(10, true), []string{"h1"}, DeploymentFailed, 9},
		"10 keep 9: the last host may fail":                  {Count(9), units(10, true), []string{"h10"}, DeploymentSucceeded, 0},
		"10 keep 8: one failure passes":                      {Count(8), units(10, true), []string{"h4"}, DeploymentSucceeded, 0},
		"10 keep 8: the second failure, the last host's":     {Count(8), units(10, true), []string{"h1", "h10"}, DeploymentSucceeded, 0},
		"one at a time: the first failure fails all":         {OneAtATime(), units(3, true), []string{"h1"}, DeploymentFailed, 2},
		"one at a time: except on the last host":             {OneAtATime(), units(3, true), []string{"h3"}, DeploymentSucceeded, 0},
		"one at a time, never deployed: the first fails":     {OneAtATime(), units(3, false), []string{"h1"}, DeploymentFailed, 2},
		"one at a time, never deployed: except the last":     {OneAtATime(), units(3, false), []string{"h3"}, DeploymentSucceeded, 0},
		"a group of one must succeed":                        {OneAtATime(), units(1, false), []string{"h1"}, DeploymentFailed, 0},
		"all at once: one success is enough":                 {AllAtOnce(), units(3, true), []string{"h1", "h2"}, DeploymentSucceeded, 0},
		"all at once: one success is needed":                 {AllAtOnce(), units(3, true), []string{"h1", "h2", "h3"}, DeploymentFailed, 0},
		"half of 9, never deployed: 5 are needed, 4 fail":    {HalfAtATime(), units(9, false), []string{"h1", "h2", "h3", "h4"}, DeploymentSucceeded, 0},
		"half of 9, never deployed: with 5 failures it ends": {HalfAtATime(), units(9, false), []string{"h1", "h2", "h3", "h4", "h5"}, DeploymentFailed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, plan(t, tc.s, tc.us))
			r.run(tc.bad...)
			require.Equal(t, tc.verdict, r.end.Verdict)
			if tc.verdict == DeploymentFailed {
				require.Equal(t, lifecycle.HealthConstraints, r.end.Failure.Code)
				require.Contains(t, r.end.Failure.Message, "ValidateService on "+tc.bad[0]+": exit status 3", "the first cause is named")
			}
			pending := 0
			for _, u := range r.st.Units() {
				if u.Status == Pending {
					pending++
				}
				require.NotEqual(t, InProgress, u.Status, "nobody is left in the middle")
			}
			if tc.skipped > 0 {
				require.Equal(t, tc.skipped, pending)
			}
		})
	}
}

// Facts §4.3: unhealthy hosts first, then unknown, old and current revision.
func TestOrder(t *testing.T) {
	us := []lifecycle.Unit{
		{ID: "current", Healthy: true, Revision: "sha256:old"},
		{ID: "older", Healthy: true, Revision: "sha256:older"},
		{ID: "unknown", Healthy: true},
		{ID: "sick"}, {ID: "gone", Lost: "stopped"}, {ID: "sick2"},
	}
	require.Equal(t, []string{"sick", "sick2", "unknown", "older", "current"}, plan(t, AllAtOnce(), us).Stages[0].Units)
}

// Facts §4.3, gate: with the minimum just met by healthy hosts after the unhealthy
// ones were tried, no healthy host may be taken out.
func TestGateAfterUnhealthy(t *testing.T) {
	us := units(4, true)
	us[0].Healthy, us[1].Healthy = false, false
	r := newRig(t, plan(t, Count(2), us))
	require.Equal(t, []string{"h1", "h2"}, r.inProgress(), "the unhealthy ones go first, and alone")
	r.run("h1", "h2")
	require.Equal(t, DeploymentFailed, r.end.Verdict)
	require.Equal(t, Pending, r.st.Units()[2].Status)
	require.Equal(t, []string{"h1", "h2"}, r.st.Touched())
}

// C1, C18: a host that cannot be reached counts like one that failed.
func TestLostCountsAsFailed(t *testing.T) {
	us := units(4, true)
	us[3].Lost, us[3].Healthy = "terminated", false
	r := newRig(t, plan(t, Count(2), us))
	require.Len(t, r.inProgress(), 1, "3 healthy, 2 must stay")
	r.run()
	require.Equal(t, DeploymentSucceeded, r.end.Verdict)
	require.Equal(t, lifecycle.UnitLost, r.st.Units()[3].Failure.Code)
}

func TestStop(t *testing.T) {
	r := newRig(t, plan(t, Count(2), units(4, true)))
	r.finish(nil) // h1: Start; now both are in the middle
	data, _ := json.Marshal(Stop{Reason: "wrong day"})
	r.apply(lifecycle.Record{Kind: lifecycle.Stopped, Data: data})
	r.decide()
	require.Nil(t, r.end, "steps in progress come to their end")
	for len(r.open) > 0 {
		r.finish(nil)
	}
	require.Equal(t, DeploymentStopped, r.end.Verdict)
	require.Equal(t, lifecycle.ManualStop, r.end.Failure.Code)
	us := r.st.Units()
	require.Equal(t, Skipped, us[0].Status)
	require.Contains(t, us[0].Failure.Message, "stopped after ApplicationStop: wrong day")
	require.Equal(t, Pending, us[2].Status)
}

func TestHold(t *testing.T) {
	p := plan(t, AllAtOnce(), units(1, true))
	p.Stages[0].Hold = Wait{For: time.Hour}.hold("monitor")
	r := newRig(t, p)
	for len(r.open) > 0 {
		r.finish(nil)
	}
	require.Nil(t, r.end)
	require.Equal(t, start.Add(time.Hour), Next(r.st, start).Wake, "a wait counts from its record")
	require.Equal(t, start.Add(time.Hour), Next(r.st, start.Add(59*time.Minute)).Wake, "and is not begun anew")
	r.now = start.Add(time.Hour)
	r.decide()
	require.Equal(t, DeploymentSucceeded, r.end.Verdict)
}

func TestStanding(t *testing.T) {
	t.Run("after a failure only touched units change", func(t *testing.T) {
		r := newRig(t, plan(t, OneAtATime(), units(3, true)))
		r.run("h1")
		st := r.st.Standing()
		require.Equal(t, "sha256:old", st.LastGood.Digest)
		require.False(t, st.Units["h1"].Healthy)
		require.Empty(t, st.Units["h1"].Revision)
		require.True(t, st.Units["h2"].Healthy)
		require.Equal(t, "sha256:old", st.Units["h2"].Revision)
	})
	t.Run("after a success those not updated are unhealthy", func(t *testing.T) {
		r := newRig(t, plan(t, AllAtOnce(), units(3, true)))
		r.run("h2")
		st := r.st.Standing()
		require.Equal(t, "sha256:new", st.LastGood.Digest)
		require.True(t, st.Units["h1"].Healthy)
		require.Equal(t, "sha256:new", st.Units["h1"].Revision)
		require.False(t, st.Units["h2"].Healthy)
	})
}

// A rollback counts the hosts that it leaves alone, and touches only the others.
func TestRollbackPlan(t *testing.T) {
	us := units(4, true)
	us[0].Healthy, us[1].Healthy = false, false
	in := input(us)
	in.RollbackOf, in.Touched = "d-0", []string{"h1", "h2"}
	p, err := HalfAtATime().Plan(in)
	require.NoError(t, err)
	require.Equal(t, []string{"h1", "h2"}, p.Stages[0].Units)
	r := newRig(t, p)
	r.run()
	require.Equal(t, DeploymentSucceeded, r.end.Verdict)
	require.True(t, r.st.Standing().Units["h4"].Healthy, "untouched units stay what they were")
}

func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	r := newRig(t, plan(t, AllAtOnce(), units(2, true)))
	step := lifecycle.Step{Deployment: "d-1", Unit: "h1", Event: lifecycle.Install}
	next := r.st.Seq() + 1
	for name, rec := range map[string]lifecycle.Record{
		"a gap":                      {Seq: next + 1, Kind: lifecycle.Noted},
		"a second plan":              {Seq: next, Kind: lifecycle.Planned},
		"an unknown kind":            {Seq: next, Kind: "dreamt"},
		"an event out of order":      {Seq: next, Kind: lifecycle.Started, Step: step},
		"an unknown unit":            {Seq: next, Kind: lifecycle.Started, Step: lifecycle.Step{Deployment: "d-1", Unit: "h9", Event: lifecycle.Start}},
		"a stage twice":              {Seq: next, Kind: lifecycle.StageOpen},
		"an outcome without verdict": {Seq: next, Kind: lifecycle.Finished, Data: json.RawMessage(`{}`)},
	} {
		require.Error(t, r.st.Apply(rec), name)
	}
	require.Equal(t, next-1, r.st.Seq(), "nothing was taken in")
	r.run()
	require.Equal(t, DeploymentSucceeded, r.end.Verdict)
}

func TestParse(t *testing.T) {
	for name, want := range map[string]Strategy{
		"half": HalfAtATime(), "all": AllAtOnce(), "one": OneAtATime(), "25%": Percent(25), "0%": Percent(0), "count:3": Count(3),
		"CodeDeployDefault.OneAtATime": OneAtATime(), "CodeDeployDefault.HalfAtATime": HalfAtATime(), "CodeDeployDefault.AllAtOnce": AllAtOnce(),
	} {
		got, err := Parse(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	for _, bad := range []string{"", "most", "100%", "-1%", "x%", "count:", "count:-1", "codedeploydefault.oneatatime"} {
		_, err := Parse(bad)
		require.Error(t, err, bad)
	}
}

// Invariants 1, 4, 9 and 16 over random groups, strategies and failures: never
// below the minimum by our own doing, events in order, one end, and a state folded
// from a prefix of the records decides as the one that lived through it.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := units(rapid.IntRange(1, 12).Draw(t, "n"), true)
		for i := range us {
			us[i].Healthy = rapid.Bool().Draw(t, "healthy")
		}
		s := rapid.SampledFrom([]Strategy{AllAtOnce(), HalfAtATime(), OneAtATime(), Percent(30), Percent(75), Count(2), Count(5)}).Draw(t, "strategy")
		p, err := s.Plan(input(us))
		if err != nil {
			t.Skip("impossible plan")
		}
		serving := 0
		for _, u := range us {
			if u.Healthy {
				serving++
			}
		}
		pace := p.Stages[0].Pace
		r := newRig(t, p)
		failed := 0
		for r.end == nil {
			c := r.st.Counts()
			require.LessOrEqual(t, c.InProgress, pace.Limit)
			require.GreaterOrEqual(t, c.Healthy, min(pace.MinHealthy, serving)-failed, "taken out of service below the minimum")
			k := rapid.IntRange(0, len(r.open)-1).Draw(t, "which")
			r.open[0], r.open[k] = r.open[k], r.open[0]
			var f *lifecycle.Failure
			if rapid.IntRange(0, 19).Draw(t, "fails") == 0 {
				f = &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "no"}
				failed++
			}
			if rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				again := &State{}
				for _, rec := range r.records {
					require.NoError(t, again.Apply(rec))
				}
				require.Equal(t, Next(r.st, r.now), Next(again, r.now))
				require.ElementsMatch(t, r.open, again.Running())
				r.st = again
			}
			r.finish(f)
		}
		require.Empty(t, r.open)
		order := map[string]int{}
		for _, rec := range r.records {
			if rec.Kind == lifecycle.Started {
				require.Equal(t, p.Stages[0].Moves[order[rec.Step.Unit]].Event, rec.Step.Event)
				order[rec.Step.Unit]++
			}
		}
		if r.end.Verdict == DeploymentSucceeded {
			require.GreaterOrEqual(t, r.st.Counts().Healthy, pace.MinHealthy)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("units=%d", n), func(b *testing.B) {
			for b.Loop() {
				r := newRig(b, plan(b, HalfAtATime(), units(n, true)))
				r.records = nil
				for r.end == nil {
					r.finish(nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*len(lifecycle.InPlace.Events())), "ns/event")
		})
	}
}
