package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakecloudwatch "github.com/cutover-deploy/cutover/internal/awsfake/cloudwatch"
	fakelambda "github.com/cutover-deploy/cutover/internal/awsfake/lambda"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
)

// act is one deployment of the demonstration.
type act struct {
	id, says        string
	current, target string
	ends            strategy.Verdict
}

var acts = []act{
	{"demo-2", "Version 2 gets 20 % of the calls, and all of them a moment later.", "1", "2", strategy.DeploymentSucceeded},
	{"demo-3", "Version 3 is broken. An alarm will fire while it has 20 %, and all calls go back to version 2.", "2", "3", strategy.DeploymentStopped},
}

const demoAppSpec = `version: 0.0
Resources:
  - checkout:
      Type: AWS::Lambda::Function
      Properties: {Name: checkout, Alias: live, CurrentVersion: %q, TargetVersion: %q}
Hooks:
  - BeforeAllowTraffic: LooksBefore
  - AfterAllowTraffic: LooksAfter
`

// stage is a Lambda in this process, whose alias is kept in a file, so that another
// process can go on.
type stage struct {
	lambda *fakelambda.World
	alarms *fakecloudwatch.World
	file   string
	at     place
}

func newStage(root string) (*stage, error) {
	api := &awsfake.API{}
	s := &stage{lambda: fakelambda.New(api), alarms: fakecloudwatch.New(api), file: filepath.Join(root, "alias.json"), at: placeOf(api.Config())}
	s.lambda.Create("checkout", "code 1")
	s.lambda.Publish("checkout", "code 2")
	s.lambda.Publish("checkout", "code 3")
	for _, hook := range []string{"LooksBefore", "LooksAfter"} {
		s.lambda.On(hook, func(context.Context, []byte) ([]byte, error) { return []byte(`{"hookStatus":"SUCCEEDED"}`), nil })
	}
	s.alarms.Set("checkout-errors", cwtypes.StateValueOk)
	s.lambda.Point("checkout", "live", "1", nil)
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var left fakelambda.Routing
	if err == nil {
		err = json.Unmarshal(data, &left)
	}
	s.point(left)
	return s, err
}

// point makes the alias lead where it led: to the older of two versions, with a weight
// for the other.
func (s *stage) point(r fakelambda.Routing) {
	for _, v := range []string{"1", "2", "3"} {
		if r[v] == 0 {
			continue
		}
		others := map[string]float64{}
		for w, share := range r {
			if w != v {
				others[w] = share
			}
		}
		s.lambda.Point("checkout", "live", v, others)
		return
	}
}

// keep writes down how the alias leads, and lets the alarm fire while version 3 has calls.
func (s *stage) keep(lifecycle.Record) {
	now := s.lambda.Routing("checkout", "live")
	state := cwtypes.StateValueOk
	if now["3"] > 0 {
		state = cwtypes.StateValueAlarm
	}
	s.alarms.Set("checkout-errors", state)
	data, err := json.Marshal(now)
	if err == nil {
		err = os.WriteFile(s.file+".new", data, 0o600)
	}
	if err == nil {
		_ = os.Rename(s.file+".new", s.file) // the next process would begin from an older one
	}
}

// demonstrate plays the acts, from where an earlier process was cut off.
func demonstrate(ctx context.Context, opt options, log *console.Log) (bool, error) {
	st, err := newStage(opt.root)
	if err != nil {
		return false, err
	}
	opt.alarms, opt.strategy = []string{"checkout-errors"}, strategy.Lambda{Shift: strategy.Canary(20, 3*time.Second)}
	for _, a := range acts {
		dir := filepath.Join(opt.root, "revisions", a.target)
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "appspec.yml"), fmt.Appendf(nil, demoAppSpec, a.current, a.target), 0o600)
		}
		if err != nil {
			return false, err
		}
		if opt.plan {
			opt.revision = dir
			return deploy(ctx, opt, st.at, log)
		}
		if err := a.play(ctx, opt, dir, st, log); err != nil {
			return false, err
		}
	}
	log.Say("%s", cloud.Calls(st.at.limits))
	if got := st.lambda.Routing("checkout", "live"); len(got) != 1 || got["2"] != 1 {
		return false, fmt.Errorf("the demonstration did not go as told: the alias sends %v", got)
	}
	log.Say("All went as told: every call goes to version 2. The journal is in %s.", opt.root)
	return true, nil
}

// play makes sure of one act: it is finished, or told how it ended, or run.
func (a act) play(ctx context.Context, opt options, dir string, st *stage, log *console.Log) error {
	log.Say("\n%s", a.says)
	d, _, err := deployment(opt, dir, st.at, log)
	if err != nil {
		return err
	}
	d.ID, d.Watch.Every = a.id, 500*time.Millisecond
	d.Observe = func(r lifecycle.Record) {
		st.keep(r)
		log.Record(r)
	}
	res, err := a.begin(ctx, opt, d)
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

func (a act) begin(ctx context.Context, opt options, d *cutover.Deployment) (*cutover.Result, error) {
	if !opt.resume {
		return d.Run(ctx)
	}
	res, err := d.Resume(ctx, a.id)
	if errors.Is(err, journal.ErrNotFound) {
		res, err = d.Run(ctx)
	}
	return res, err
}
