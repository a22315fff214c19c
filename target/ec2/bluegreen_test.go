package ec2_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

func (w *world) blueGreen() *ec2.Fleet {
	f := w.fleet(ec2.Selection{Groups: []string{"web"}})
	f.Green = &ec2.Green{}
	return f
}

func TestBlueGreen(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.scaled(t, "web", 6)
			var first, second []string
			fewest := w.run(t, func() {
				d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}, KeepAlive: keep})
				d.ID = "d-1"
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				time.Sleep(2 * time.Minute)
				first = w.Groups.Names()
				d.ID = "d-2"
				res, err = d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
				time.Sleep(2 * time.Minute)
				second = w.Groups.Names()
			})
			require.GreaterOrEqual(t, fewest, 6)
			if keep {
				require.Equal(t, []string{"web", "web-d-1"}, first)
				require.Equal(t, []string{"web", "web-d-1", "web-d-2"}, second)
			} else {
				require.Equal(t, []string{"web-d-1"}, first)
				require.Equal(t, []string{"web-d-2"}, second)
			}
			require.ElementsMatch(t, w.Groups.Members("web-d-2"), w.Serving(w.arn))
			for _, name := range second {
				require.Empty(t, w.Groups.Suspended(name), name)
			}
		})
	}
}

// A failure in the replacements: the originals keep the traffic, the copy goes.
func TestBlueGreenFailureLeavesTheOriginal(t *testing.T) {
	for _, event := range []lifecycle.Event{lifecycle.Install, lifecycle.BeforeAllowTraffic, lifecycle.AfterAllowTraffic} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			before := w.scaled(t, "web", 4)
			w.hosts.On(fake.Match{Event: event}, fake.Fail(lifecycle.ScriptFailed))
			fewest := w.run(t, func() {
				d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Failed", string(res.Status))
				require.NotNil(t, res.Rollback, "%+v", res)
				require.Equal(t, "Succeeded", string(res.Rollback.Status), "%+v", res.Rollback)
				time.Sleep(2 * time.Minute)
			})
			require.GreaterOrEqual(t, fewest, 4)
			require.Equal(t, []string{"web"}, w.Groups.Names())
			require.Equal(t, before, w.Serving(w.arn))
			require.Empty(t, w.Groups.Suspended("web"))
		})
	}
}

// G26: nothing can be launched. The original is as it was, what was begun is removed,
// and the error has EC2's own reason.
func TestG26_NoCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		before := w.scaled(t, "web", 3)
		w.Groups.NoCapacity = "We currently do not have sufficient m5.large capacity in the Availability Zone you requested"
		w.run(t, func() {
			res, err := w.deployment(t, w.blueGreen(), strategy.BlueGreen{}).Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Failed", string(res.Status))
			require.Contains(t, res.Failure.Message, "sufficient m5.large capacity", "%+v", res)
		})
		require.Equal(t, []string{"web"}, w.Groups.Names())
		require.Equal(t, before, w.Serving(w.arn))
		require.Empty(t, w.Groups.Suspended("web"))
	})
}

// What happens while a group is copied is in the journal: launches that fail, once for
// each reason.
func TestCopyingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 3)
		w.Groups.NoCapacity = "there is not sufficient m5.large capacity"
		time.AfterFunc(10*time.Minute, func() { w.Groups.SetNoCapacity("") })
		var notes []string
		d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{})
		d.Observe = func(r lifecycle.Record) {
			var n lifecycle.Note
			if r.Kind == lifecycle.Noted && r.Step.Event == lifecycle.Provision && json.Unmarshal(r.Data, &n) == nil {
				notes = append(notes, n.Text)
			}
		}
		w.run(t, func() {
			res, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res)
		})
		require.Len(t, notes, 1, "%q", notes)
		require.Contains(t, notes[0], "sufficient m5.large capacity")
		require.Contains(t, notes[0], "tries again")
	})
}
