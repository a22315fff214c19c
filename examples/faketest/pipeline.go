// Package faketest shows how to test a deployment pipeline of your own: with fake
// targets, faults and virtual time, in milliseconds.
//
//	go test -v ./examples/faketest
//
// [Pipeline] is what a user of cutover might write. A release goes to the hosts of
// staging, all at once. If that succeeds, it goes to an ECS service, where it gets 10 %
// of the traffic for 15 minutes and then all of it, while an alarm is watched. The old
// version is kept for another hour.
//
// The tests beside it are what this package is about. In production the two targets
// are real; in the tests they come from package fake, and everything else is the same
// code. A test runs in a testing/synctest bubble, so that the hour and a quarter of a
// release passes at once, and can be checked to the second. Read them in this order:
//
//   - TestRelease: what happens when all is well, as a timeline.
//   - TestBadOnStaging: a fault is scripted; production is not touched.
//   - TestAlarm: an alarm fires in the middle of the canary, and traffic goes back.
//   - TestControllerDies: the program is killed, started again, and goes on.
//   - TestFaultsOfAllKinds: seeded faults, and what must hold whatever happens.
package faketest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// Pipeline brings releases to staging and then to production.
type Pipeline struct {
	Staging    target.Target   // hosts
	Production target.Target   // an ECS service
	Alarm      rollback.Alarm  // watched while production is deployed to
	Journal    journal.Journal // of both
	Observe    func(lifecycle.Record)
}

// Release deploys a version everywhere, or goes on with that where it was cut off.
// It may be called again for the same version at any time.
func (p *Pipeline) Release(ctx context.Context, version string, src revision.Source) error {
	staging := &cutover.Deployment{
		Group: "staging", ID: "staging-" + version, Revision: src, Target: p.Staging,
		Strategy: strategy.AllAtOnce(),
	}
	production := &cutover.Deployment{
		Group: "production", ID: "production-" + version, Revision: src, Target: p.Production,
		Strategy: strategy.ECS{
			Shift:       strategy.Canary(10, 15*time.Minute),
			Termination: strategy.Wait{For: time.Hour},
		},
		Watch:    rollback.Watch{Alarms: []rollback.Alarm{p.Alarm}},
		Rollback: rollback.Policy{OnFailure: true, OnAlarm: true},
	}
	for _, d := range []*cutover.Deployment{staging, production} {
		d.Journal, d.Observe = p.Journal, p.Observe
		if err := ensure(ctx, d); err != nil {
			return fmt.Errorf("release %s: %w", version, err)
		}
	}
	return nil
}

// ensure carries a deployment to its end, whether it has begun or not.
func ensure(ctx context.Context, d *cutover.Deployment) error {
	result, err := d.Resume(ctx, d.ID)
	if errors.Is(err, journal.ErrNotFound) {
		result, err = d.Run(ctx)
	}
	if err != nil {
		return err
	}
	return result.Err()
}
