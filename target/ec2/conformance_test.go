package ec2_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// The contract of targets, kept by a blue/green fleet in an Auto Scaling group behind a
// target group.
func TestBlueGreenKeepsTheContractOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := targettest.Check(t.Context(), func() (*targettest.Harness, error) {
			w := newWorld(t)
			w.scaled(t, "web", 3)
			h := harness(t, w, func() *ec2.Fleet {
				f := w.fleet(ec2.Selection{Groups: []string{"web"}})
				f.Green = &ec2.Green{}
				return f
			})
			h.Pool = h.Target.(target.Pool)
			return h, nil
		})
		require.NoError(t, err)
	})
}

// The same, by tagged instances behind a target group and two classic load balancers.
func TestTaggedFleetKeepsTheContractOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := targettest.Check(t.Context(), func() (*targettest.Harness, error) {
			w := newWorld(t)
			w.Classic.Add("old", 20*time.Second)
			w.Classic.Add("older", 0)
			w.tagged(3)
			h := harness(t, w, func() *ec2.Fleet {
				f := w.fleet(webTag)
				f.Balancers.Classic = []string{"old", "older"}
				return f
			})
			h.Traffic, h.Compares = h.Target.(*ec2.Fleet).Balancers, true
			return h, nil
		})
		require.NoError(t, err)
	})
}

func harness(t *testing.T, w *world, open func() *ec2.Fleet) *targettest.Harness {
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { w.World.Run(ctx, nil) })
	first := open()
	return &targettest.Harness{
		Target:   first,
		Events:   []lifecycle.Event{lifecycle.Install, lifecycle.BlockTraffic, lifecycle.AllowTraffic},
		Job:      &target.Job{Group: "web"},
		Reopen:   func() (target.Target, error) { return open(), nil },
		Patience: 2 * time.Hour,
		Slow:     func(s lifecycle.Step) { w.hosts.On(fake.Match{Unit: s.Unit, Event: s.Event}, fake.Hang()) },
		Fail: func(s lifecycle.Step) {
			w.hosts.On(fake.Match{Unit: s.Unit, Event: s.Event}, fake.Fail(lifecycle.InstallFailed))
		},
		Sick: func(unit string) { w.ELB.SetHealth(w.arn, unit, elb.Failing) },
		Effects: func(s lifecycle.Step) (n int) {
			switch s.Event {
			case lifecycle.BlockTraffic, lifecycle.AllowTraffic: // absolute: it has been had, or not
				weight, err := first.Balancers.Weight(ctx, s.Unit)
				if err == nil && (weight > 0) == (s.Event == lifecycle.AllowTraffic) {
					n = 1
				}
				return n
			}
			for _, done := range w.hosts.Done() {
				if done == s {
					n++
				}
			}
			return n
		},
		Close: func() { stop(); all.Wait() },
	}
}
