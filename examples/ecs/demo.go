package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/function"
)

// act is one deployment of the demonstration.
type act struct {
	id, says, definition string
	ends                 strategy.Verdict
	green                int32 // weight of web-green at the end
}

var acts = []act{
	{"demo-2", "web:2 gets 20 % of the traffic, and all of it a moment later.", "web:2", strategy.DeploymentSucceeded, 100},
	{"demo-3", "The tasks of web:3 crash. It gets no traffic, and all is put back.", "web:3", strategy.DeploymentFailed, 100},
}

const demoAppSpec = `version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: %q
        LoadBalancerInfo: {ContainerName: app, ContainerPort: 8080}
Hooks:
  - AfterAllowTestTraffic: SmokeTest
`

// demonstrate plays the acts, in a world in this process.
func demonstrate(ctx context.Context, opt options, log *console.Log) (bool, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return false, err
	}
	opt.cluster, opt.service, opt.groups = "main", "web", console.List{w.blue, w.green}
	opt.production, opt.test = console.List{w.production}, console.List{w.test}
	opt.shift, opt.keep = strategy.Canary(20, time.Second), time.Second
	for _, a := range acts {
		opt.revision = filepath.Join(opt.root, a.id)
		if err := a.write(opt.revision); err != nil {
			return false, err
		}
		d := deployment(opt, w.at, log)
		d.ID = a.id
		quick(d.Target.(*ecs.Service), log)
		if opt.plan {
			return true, plan(ctx, opt, d, w.at, log)
		}
		log.Say("\n%s", a.says)
		if ok, err := a.play(ctx, d, w); !ok || err != nil {
			return false, err
		}
	}
	log.Say("%s", cloud.Calls(w.at.limits))
	log.Say("All went as told.")
	return true, nil
}

func (a act) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "appspec.yaml"), fmt.Appendf(nil, demoAppSpec, a.definition), 0o600)
}

// play runs the deployment and reports whether it ended as it should.
func (a act) play(ctx context.Context, d *cutover.Deployment, w *world) (bool, error) {
	res, err := d.Run(ctx)
	if err != nil {
		return false, err
	}
	green, err := w.weight(ctx)
	return res.Status == a.ends && (res.Rollback == nil || res.Rollback.Status == strategy.DeploymentSucceeded) && green == a.green, err
}

// quick looks often, since the world in the process is quick, and has the test in Go.
func quick(svc *ecs.Service, log *console.Log) {
	svc.Poll, svc.ReadEvery = 100*time.Millisecond, 50*time.Millisecond
	svc.Hooks = &function.Hooks{Caller: function.Go(smokeTest(log))}
}

// smokeTest stands in for a function that sends requests to the test listener.
func smokeTest(log *console.Log) lifecycle.Hook {
	return lifecycle.Func(func(_ context.Context, env lifecycle.Env, _ io.Writer) error {
		log.Say("  SmokeTest: %s answers on the test listener", console.Clean(env.Step.Unit))
		return nil
	})
}
