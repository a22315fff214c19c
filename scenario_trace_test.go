package cutover

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
)

// line is one line of a trace.
type line struct {
	at    time.Duration
	kind  string
	units []string // more than one in brief traces
	text  string
}

// say adds a line that is no record.
func (s *scene) say(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line{at: s.elapsed(), kind: kind, text: text})
}

// elapsed is the time since the deployment began, without what sets units apart.
func (s *scene) elapsed() time.Duration { return time.Since(s.begun).Round(time.Second) }

// observe adds a record to the trace.
func (s *scene) observe(r lifecycle.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := line{at: s.elapsed(), kind: string(r.Kind), text: s.text(r)}
	if r.Step.Unit != "" {
		l.units = []string{r.Step.Unit}
	}
	if r.Kind == lifecycle.Ended && !gaveUp(r) {
		s.happens(r.Step.String())
	}
	if s.brief && s.passing(r) {
		return
	}
	s.lines = append(s.lines, l)
}

// gaveUp reports whether a step may have waited for the world outside: it ends because
// a command says so, and at that instant.
func gaveUp(r lifecycle.Record) bool {
	return r.Failure != nil && (r.Failure.Code == lifecycle.TrafficUnhealthy || r.Failure.Code == lifecycle.ExternalChange)
}

// happens takes down that something happens by itself now: a step ends, or somebody
// outside does something. If something else does at the same instant, chance decides
// which is seen first, and the trace is worth nothing. The lock is held.
func (s *scene) happens(what string) {
	if now := time.Now(); s.instants[now] == "" {
		s.instants[now] = what
	} else {
		s.ties = append(s.ties, fmt.Sprintf("%s: %s and %s", now.Sub(s.begun), s.instants[now], what))
	}
}

// passing reports whether a unit is in the middle of its events, which brief traces
// leave out.
func (s *scene) passing(r lifecycle.Record) bool {
	if r.Step.Unit == "" {
		return false
	}
	moves := s.plans[r.Step.Deployment].Stages[r.Step.Stage].Moves
	switch r.Kind {
	case lifecycle.Started:
		return r.Step.Event != moves[0].Event
	case lifecycle.Ended:
		return r.Failure == nil && r.Step.Event != moves[len(moves)-1].Event
	default:
		return false
	}
}

// text is what a record says beside time, kind and unit.
func (s *scene) text(r lifecycle.Record) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Step.Event != "" {
		add("%s", r.Step.Event)
	}
	if r.Step.Weight > 0 {
		add("%d %%", r.Step.Weight)
	}
	plan := s.plans[r.Step.Deployment]
	switch r.Kind {
	case lifecycle.Planned:
		s.decode(r.Data, &plan)
		s.plans[plan.Deployment] = plan
		if plan.RollbackOf != "" {
			s.call(plan.Deployment, plan.RollbackOf+"-back")
		}
		what := plan.Revision.String()
		if plan.Revision.Digest == "" {
			what = "what served before"
		}
		add("%s of %s, %s", plan.Deployment, what, plan.Strategy)
	case lifecycle.StageOpen:
		stage := plan.Stages[r.Step.Stage]
		add("%d %s: %d units, %s", r.Step.Stage, stage.Name, len(stage.Units), stage.Pace)
	case lifecycle.Held:
		add("%s", plan.Stages[r.Step.Stage].Hold)
	case lifecycle.Noted, lifecycle.Released:
		var n lifecycle.Note
		if r.Data != nil {
			s.decode(r.Data, &n)
			add("%s %s", n.Code, n.Text)
		}
	case lifecycle.Ended:
		if r.Step.Event == lifecycle.Provision && r.Data != nil {
			var units []lifecycle.Unit
			s.decode(r.Data, &units)
			add("%s", s.provisioned(plan, units, r.Failure != nil))
		}
	case lifecycle.Stopped:
		var stop strategy.Stop
		s.decode(r.Data, &stop)
		add("%s %s", stop.Code, stop.Reason)
	case lifecycle.Finished:
		var o strategy.Outcome
		s.decode(r.Data, &o)
		add("%s", o.Verdict)
	}
	if r.Failure != nil {
		add("%s", r.Failure.Code)
	}
	return strings.TrimSpace(s.names.Replace(strings.Join(parts, " ")))
}

// provisioned takes the units in that were made, and lists them.
func (s *scene) provisioned(plan strategy.Plan, units []lifecycle.Unit, failed bool) string {
	var ids []string
	for _, u := range units {
		ids = append(ids, u.ID)
	}
	plan.Stages = slices.Clone(plan.Stages)
	if failed {
		plan.Stages = []strategy.Stage{{Name: "replacements: retire", Units: ids, Moves: []strategy.Move{{Event: lifecycle.Retire}}, Pace: strategy.Pace{Limit: len(ids), Cleanup: true}}}
	}
	for i := range plan.Stages {
		if plan.Stages[i].Role == lifecycle.ReplacementRole {
			plan.Stages[i].Units = ids
		}
	}
	s.plans[plan.Deployment] = plan
	return span(ids)
}

func (s *scene) decode(data json.RawMessage, into any) {
	require.NoError(s.t, json.Unmarshal(data, into))
}

// report is the trace of a deployment and how it ended.
func (s *scene) report(d *Deployment, res *Result, err error) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", d.ID)
	for _, l := range s.merged() {
		text := fmt.Sprintf("%8s  %-8s  %-9s %s", l.at, l.kind, span(l.units), l.text)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	if err != nil && !errors.Is(err, errKilled) {
		fmt.Fprintf(&b, "refused: %s\n", s.names.Replace(err.Error()))
	}
	for ; res != nil; res = res.Rollback {
		if err := res.Err(); err != nil && res.Rollback != nil {
			fmt.Fprintf(&b, "error: %s\n", s.names.Replace(err.Error()))
		}
		fmt.Fprintf(&b, "%s: %s", s.names.Replace(res.Deployment), res.Status)
		if res.Failure != nil {
			fmt.Fprintf(&b, ", %s: %s", res.Failure.Code, s.names.Replace(res.Failure.Message))
		}
		b.WriteString("\n")
		s.table(&b, res)
	}
	b.WriteString(s.standing())
	return b.String()
}

// merged is the trace; in a brief one, what many units do at one time is one line.
func (s *scene) merged() []line {
	if !s.brief {
		return s.lines
	}
	var out []line
	for _, l := range s.lines {
		same := func(o line) bool { return o.at == l.at && o.kind == l.kind && o.text == l.text && len(o.units) > 0 }
		if i := slices.IndexFunc(out, same); i >= 0 && len(l.units) > 0 {
			out[i].units = append(out[i].units, l.units...)
			continue
		}
		out = append(out, l)
	}
	return out
}

// span names units in short: host-1..3,7 (4).
func span(units []string) string {
	if len(units) < 2 {
		return strings.Join(units, "")
	}
	prefix := strings.TrimRight(units[0], "0123456789")
	var numbers []int
	for _, u := range units {
		n, _ := strconv.Atoi(strings.TrimPrefix(u, prefix)) // all names are alike
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.Itoa(numbers[i])
		if j > i {
			part += ".." + strconv.Itoa(numbers[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return fmt.Sprintf("%s%s (%d)", prefix, strings.Join(parts, ","), len(units))
}

// table lists the units: status, last event, code, what is installed, traffic.
func (s *scene) table(b *strings.Builder, res *Result) {
	rows, who := []string{}, map[string][]string{}
	weights := s.world.weights()
	for _, u := range res.Units {
		code := "-"
		if u.Failure != nil {
			code = string(u.Failure.Code)
		}
		installed := s.names.Replace(s.world.revision(u.Unit))
		if installed == "" {
			installed = "-"
		}
		traffic := "-"
		if weights != nil {
			traffic = "gone"
			if w, ok := weights[u.Unit]; ok {
				traffic = fmt.Sprintf("%d %%", w)
			}
		}
		event := string(u.Event)
		if event == "" {
			event = "-"
		}
		row := strings.TrimRight(fmt.Sprintf("%-10s %-18s %-14s %-5s %s", u.Status, event, code, installed, traffic), " ")
		if !s.brief {
			row = fmt.Sprintf("%-9s %s", u.Unit, row)
		}
		if who[row] == nil {
			rows = append(rows, row)
		}
		who[row] = append(who[row], u.Unit)
	}
	for _, row := range rows {
		if s.brief {
			fmt.Fprintf(b, "  %s: %s\n", span(who[row]), row)
			continue
		}
		fmt.Fprintf(b, "  %s\n", row)
	}
}

// standing is what the group is known to be after all.
func (s *scene) standing() string {
	p := &runner{d: &s.d, read: s.reader()}
	ids, err := p.read.Deployments(s.t.Context())
	require.NoError(s.t, err)
	if len(ids) == 0 {
		return "group: never deployed to\n"
	}
	st, err := p.load(s.t.Context(), ids[len(ids)-1])
	require.NoError(s.t, err)
	standing := st.Standing()
	text := "group: last good none"
	if standing.LastGood != nil {
		text = "group: last good " + s.names.Replace(standing.LastGood.Digest)
	}
	var healthy, not []string
	for _, u := range st.Units() {
		if standing.Units[u.ID].Healthy {
			healthy = append(healthy, u.ID)
		} else {
			not = append(not, u.ID)
		}
	}
	for _, d := range standing.Quarantine {
		text += ", quarantined " + s.names.Replace(d)
	}
	if len(healthy) > 0 {
		text += ", healthy " + span(healthy)
	}
	if len(not) > 0 {
		text += ", not healthy " + span(not)
	}
	return text + "\n"
}
