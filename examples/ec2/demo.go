package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	cutoverec2 "github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// act is one deployment of the demonstration.
type act struct {
	id, says  string
	blueGreen bool
	broken    bool
	ends      strategy.Verdict
}

var acts = []act{
	{"demo-1", "Revision 1 goes to the four instances in place, half at a time.", false, false, strategy.DeploymentSucceeded},
	{"demo-2", "Revision 2 comes blue/green: the group is copied, traffic moves, the original goes.", true, false, strategy.DeploymentSucceeded},
	{"demo-3", "Revision 3 is broken: its hosts never get traffic, and the copy goes again.", true, true, strategy.DeploymentFailed},
}

// stage is a region in memory, with hosts that exist in memory too.
type stage struct {
	world *ec2world.World
	hosts *fake.Fleet
	arn   string
	at    place

	mu    sync.Mutex
	units []lifecycle.Unit
}

func newStage(ctx context.Context) (s *stage, err error) {
	s = &stage{world: ec2world.New(), hosts: fake.FleetOf()}
	s.world.Machines.Boot, s.world.Machines.Shutdown = 2*time.Second, time.Second
	s.world.Groups.OnLaunch = func(_, id string) { s.launched(id) }
	ec2.Serve(s.world.API, s.world.Machines)
	s.at = placeOf(s.world.API.Config())
	s.at.reach = cutoverec2.HostFunc(func(i cutoverec2.Instance) target.Host { return host{s, i} })
	if s.arn, err = s.world.TargetGroup(ctx, "web", 2*time.Second); err != nil {
		return s, err
	}
	return s, s.world.Group(ctx, "web", 4, s.arn)
}

// launched gives a machine a host.
func (s *stage) launched(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units = append(s.units, lifecycle.Unit{ID: id})
	s.hosts.SetUnits(s.units...)
}

// host is an instance whose steps are done in memory.
type host struct {
	s *stage
	i cutoverec2.Instance
}

func (h host) Unit() lifecycle.Unit { return lifecycle.Unit{ID: h.i.ID, Zone: h.i.Zone} }

func (h host) Perform(ctx context.Context, t target.Task) error { return h.s.hosts.Perform(ctx, t) }

// demonstrate plays the acts.
func demonstrate(ctx context.Context, opt options, log *console.Log) (bool, error) {
	st, err := newStage(ctx)
	if err != nil {
		return false, err
	}
	living, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { st.world.Run(living, nil) })
	log.Say("An Auto Scaling group of four is launched behind a target group.")
	for len(st.world.Serving(st.arn)) < 4 {
		if !wait(ctx, time.Second) {
			return false, context.Cause(ctx)
		}
	}
	opt.choose.Groups, opt.targetGroups = []string{"web"}, console.List{"web"}
	for _, a := range acts {
		if err := a.play(ctx, opt, st, log); err != nil {
			return false, err
		}
		if opt.plan {
			return true, nil
		}
	}
	log.Say("%s", cloud.Calls(st.at.limits))
	if got := st.world.Groups.Names(); !slices.Equal(got, []string{"web-demo-2"}) || len(st.world.Serving(st.arn)) != 4 {
		return false, fmt.Errorf("the demonstration did not go as told: the groups are %v, and %d instances serve", got, len(st.world.Serving(st.arn)))
	}
	log.Say("All went as told: the four instances of web-demo-2 serve, with revision 2.")
	return true, nil
}

// wait reports whether ctx let it wait that long.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a act) play(ctx context.Context, opt options, st *stage, log *console.Log) error {
	log.Say("\n%s", a.says)
	opt.revision = filepath.Join(opt.root, "revisions", a.id)
	if err := os.MkdirAll(opt.revision, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"appspec.yml": "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\n", "page.txt": a.id} {
		if err := os.WriteFile(filepath.Join(opt.revision, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	opt.blueGreen = a.blueGreen
	opt.strategy = strategy.HalfAtATime()
	if a.blueGreen {
		opt.strategy = strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 50}}
	}
	if a.broken {
		st.hosts.On(fake.Match{Event: lifecycle.ValidateService}, fake.Fail(lifecycle.ScriptFailed))
	}
	d, fleet := deployment(opt, st.at, log)
	fleet.Balancers.Poll = 500 * time.Millisecond
	d.ID = a.id
	if opt.plan {
		return plan(ctx, opt, d, fleet, st.at, log)
	}
	res, err := d.Run(ctx)
	return a.judge(res, err)
}

func (a act) judge(res *cutover.Result, err error) error {
	switch {
	case err != nil:
		return err
	case res.Status != a.ends:
		return fmt.Errorf("the demonstration did not go as told: %s has ended as %s: %w", a.id, res.Status, res.Err())
	case res.Status != strategy.DeploymentSucceeded && res.Rollback == nil:
		return fmt.Errorf("the demonstration did not go as told: there was no way back: %w", res.Err())
	}
	return nil
}
