package rollback

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

func TestDecide(t *testing.T) {
	good, bad := revision.Revision{Digest: "sha256:good"}, revision.Revision{Digest: "sha256:bad"}
	failed := Ending{Revision: bad, LastGood: &good, Touched: 2}
	with := func(change func(*Ending)) Ending { e := failed; change(&e); return e }

	for name, tc := range map[string]struct {
		policy Policy
		ending Ending
		back   bool
		code   lifecycle.Code
		says   string
	}{
		"not asked for: no rollback, no word":  {Policy{}, failed, false, "", ""},
		"a failure goes back to the last good": {Policy{OnFailure: true}, failed, true, "", ""},
		"a stop is not a failure":              {Policy{OnFailure: true}, with(func(e *Ending) { e.Stopped = true }), false, "", ""},
		"a stop goes back where asked":         {Policy{OnStop: true}, with(func(e *Ending) { e.Stopped = true }), true, "", ""},
		"an alarm is neither":                  {Policy{OnFailure: true, OnStop: true}, with(func(e *Ending) { e.Stopped, e.Alarm = true, true }), false, "", ""},
		"an alarm goes back where asked":       {Policy{OnAlarm: true}, with(func(e *Ending) { e.Stopped, e.Alarm = true, true }), true, "", ""},
		"H3: never a rollback of a rollback":   {Policy{OnFailure: true}, with(func(e *Ending) { e.IsRollback = true }), false, lifecycle.RollbackFailed, "never rolled back"},
		"H1: a first deployment has no past":   {Policy{OnFailure: true}, with(func(e *Ending) { e.LastGood = nil }), false, lifecycle.NoPreviousRevision, "no revision to roll back to"},
		"nothing touched, nothing to undo":     {Policy{OnFailure: true}, with(func(e *Ending) { e.Touched = 0 }), false, "", "no unit was touched"},
		"back to the same would fail the same": {Policy{OnFailure: true}, with(func(e *Ending) { e.Revision = good }), false, lifecycle.NoPreviousRevision, "the same again"},
	} {
		t.Run(name, func(t *testing.T) {
			to, note := tc.policy.Decide(tc.ending)
			if tc.back {
				require.Equal(t, &good, to)
				require.Nil(t, note)
				return
			}
			require.Nil(t, to)
			if tc.says == "" {
				require.Nil(t, note)
				return
			}
			require.Equal(t, tc.code, note.Code)
			require.Contains(t, note.Text, tc.says)
		})
	}
}

// Where the way back is traffic, no revision is deployed again.
func TestDecide_ByTraffic(t *testing.T) {
	p, e := Policy{OnFailure: true}, Ending{Touched: 1, ByTraffic: true}
	to, note := p.Decide(e)
	require.Nil(t, note)
	require.Equal(t, &revision.Revision{}, to, "whatever runs there")
	e.Revision.Digest = "sha256:one"
	e.LastGood = &revision.Revision{Digest: "sha256:one"}
	to, note = p.Decide(e)
	require.Nil(t, note)
	require.Equal(t, e.LastGood, to)
	e.IsRollback = true
	to, note = p.Decide(e)
	require.Nil(t, to)
	require.Equal(t, lifecycle.RollbackFailed, note.Code)
}
