package cutover

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// options reads words such as name=value; a word without a value has the value "".
func options(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		m[name] = value
	}
	return m
}

// deployment reads what follows deploy, on top of what is set for all: id, revision, options.
func (s *scene) deployment(words []string) *Deployment {
	src := &s.d
	d := &Deployment{Group: src.Group, Target: src.Target, Strategy: src.Strategy, Journal: src.Journal, WorkDir: src.WorkDir,
		Watch: src.Watch, Gates: src.Gates, Before: src.Before, After: src.After, OnRollback: src.OnRollback,
		ID: words[0], Revision: s.source(words[1]), Observe: s.observe}
	s.world.next(d.ID)
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "rollback":
			for when := range strings.SplitSeq(value, ",") {
				d.Rollback.OnFailure = d.Rollback.OnFailure || when == "failure"
				d.Rollback.OnStop = d.Rollback.OnStop || when == "stop"
				d.Rollback.OnAlarm = d.Rollback.OnAlarm || when == "alarm"
			}
			require.NotEqual(s.t, rollback.Policy{}, d.Rollback)
		case "timeout":
			d.Timeout = s.duration(value)
		case "limit": // of one event
			event, limit, _ := strings.Cut(value, ":")
			d.EventTimeouts = map[lifecycle.Event]time.Duration{lifecycle.Event(event): s.duration(limit)}
		case "lost":
			d.LostBudget = s.number(value)
		case "foreign":
			d.OnForeignChange = target.Foreign(value)
		case "supersede":
			d.Supersede = true
		case "outdated-only":
			d.OutdatedOnly = true
		case "allow-quarantined":
			d.AllowQuarantined = true
		case "rerun-interrupted":
			d.RerunInterrupted = true
		default:
			require.Fail(s.t, "unknown option", w)
		}
	}
	return d
}

func (s *scene) number(text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(s.t, err)
	return n
}

// strategy reads a name that Parse knows, or a kind with options.
func (s *scene) strategy(words []string) strategy.Strategy {
	o := options(words[1:])
	switch words[0] {
	case "in-place": // minimum= all
		_, all := o["all"]
		return strategy.InPlace{Minimum: s.minimum(o["minimum"]), All: all}
	case "zonal": // minimum= zone= monitor= first= order=
		z := &strategy.Zonal{Minimum: s.minimum(o["zone"]), Monitor: s.wait(o["monitor"]).For, FirstMonitor: s.wait(o["first"]).For}
		if o["order"] != "" {
			z.Order = strings.Split(o["order"], ",")
		}
		return strategy.InPlace{Minimum: s.minimum(o["minimum"]), Zonal: z}
	case "waves": // minimum= hold= then a wave per word: a,b c,d
		st := strategy.InPlace{Minimum: s.minimum(o["minimum"]), WaveHold: s.wait(o["hold"])}
		for _, w := range words[1:] {
			if !strings.Contains(w, "=") {
				st.Waves = append(st.Waves, strings.Split(w, ","))
			}
		}
		return st
	case "blue/green": // minimum= ready= termination= keep-alive
		_, keep := o["keep-alive"]
		return strategy.BlueGreen{Minimum: s.minimum(o["minimum"]), Ready: s.wait(o["ready"]), Termination: s.wait(o["termination"]), KeepAlive: keep}
	case "ecs": // shift= ready= termination=
		return strategy.ECS{Shift: s.shift(o["shift"]), Ready: s.wait(o["ready"]), Termination: s.wait(o["termination"])}
	case "lambda": // shift=
		return strategy.Lambda{Shift: s.shift(o["shift"])}
	}
	st, err := strategy.Parse(words[0])
	require.NoError(s.t, err)
	return st
}

func (s *scene) minimum(text string) strategy.Minimum {
	st, err := strategy.Parse(cmp.Or(text, "all"))
	require.NoError(s.t, err)
	return st.(strategy.InPlace).Minimum
}

// wait reads 5m (it goes on then), 5m:stop (it stops then), approval (for ever).
func (s *scene) wait(text string) strategy.Wait {
	d, stop := strings.CutSuffix(text, ":stop")
	switch {
	case text == "":
		return strategy.Wait{}
	case text == "approval":
		return strategy.Wait{StopOnExpiry: true}
	default:
		return strategy.Wait{For: s.duration(d), StopOnExpiry: stop}
	}
}

// shift reads canary:10%/5m or linear:10%/1m.
func (s *scene) shift(text string) strategy.Shift {
	if text == "" {
		return strategy.Shift{}
	}
	kind, rest, _ := strings.Cut(text, ":")
	percent, every, _ := strings.Cut(rest, "%/")
	if kind == "canary" {
		return strategy.Canary(s.number(percent), s.duration(every))
	}
	require.Equal(s.t, "linear", kind)
	return strategy.Linear(s.number(percent), s.duration(every))
}
