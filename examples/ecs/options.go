package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/strategy"
)

// options are the flags, checked.
type options struct {
	revision string // directory with an AppSpec; empty: the demonstration
	root     string // for the journal and what hooks have answered; empty: a temporary directory
	endpoint string // of an emulator; empty: AWS
	region   string // empty: as the SDK finds it

	cluster, service string
	groups           console.List // ARNs of the two target groups
	production, test console.List // ARNs of listeners and rules
	native           bool         // ECS deploys by itself
	role             string
	alarms           console.List
	shift            strategy.Shift
	keep             time.Duration // how long the original task set stays
	plan, resume     bool
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	var shift string
	fs := flag.NewFlagSet("ecs", flag.ContinueOnError)
	fs.StringVar(&o.revision, "revision", "", "deploy the AppSpec of the directory `DIR` (default: the demonstration)")
	fs.StringVar(&o.root, "root", "", "keep the journal and what hooks have answered in `DIR` (default: a new temporary directory)")
	fs.StringVar(&o.endpoint, "endpoint", "", "deploy to an emulator at `URL` (default: AWS)")
	fs.StringVar(&o.region, "region", "", "the `REGION` (default: as the SDK finds it)")
	fs.StringVar(&o.cluster, "cluster", "default", "the cluster's `NAME`")
	fs.StringVar(&o.service, "service", "", "the service's `NAME`")
	fs.Var(&o.groups, "group", "the `ARN` of a target group; twice")
	fs.Var(&o.production, "production", "the `ARN` of a listener or rule that users come through; may be repeated")
	fs.Var(&o.test, "test", "the `ARN` of a listener or rule that tests come through; may be repeated")
	fs.BoolVar(&o.native, "native", false, "let ECS deploy by itself, a service of the ECS controller")
	fs.StringVar(&o.role, "role", "", "the `ARN` of the role that ECS moves traffic with; for -native")
	fs.Var(&o.alarms, "alarm", "stop when the CloudWatch alarm `NAME` fires; may be repeated")
	fs.StringVar(&shift, "shift", "", "move traffic by `NAME`: all, canary:10%/5m, linear:10%/1m or a CodeDeployDefault name (default: all)")
	fs.DurationVar(&o.keep, "keep", 5*time.Minute, "keep the original task set for a `TIME` after all traffic has moved")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and the IAM policy that it needs, and touch nothing")
	fs.BoolVar(&o.resume, "resume", false, "finish the unfinished deployment of the root")
	if err := console.ParseAll(fs, "Deploys a service of ECS.", args, stderr); err != nil {
		return o, err
	}
	return o, o.check(shift)
}

func (o *options) check(shift string) (err error) {
	switch {
	case o.resume && o.plan:
		return errors.New("-plan prints what a new deployment would do: leave out -resume")
	case o.revision == "" && (o.endpoint != "" || o.service != "" || o.resume || len(o.alarms) > 0 || shift != ""):
		return errors.New("the demonstration needs no other flags than -plan and -root: say -revision as well, or leave them out")
	case o.resume && o.root == "":
		return errors.New("-resume needs -root: the directory of the deployment to go on with")
	case o.revision != "" && (o.service == "" || len(o.groups) != 2 || len(o.production) == 0):
		return errors.New("say where to: -service, -group twice, and -production")
	case o.native && (len(o.production) != 1 || len(o.test) > 1 || o.role == ""):
		return errors.New("-native needs one rule in -production, at most one in -test, and -role")
	}
	if err = console.Absolute(&o.root, &o.revision); err != nil {
		return err
	}
	o.shift, err = parseShift(shift)
	return err
}

// parseShift reads a shift, or the name of one of CodeDeploy's.
func parseShift(text string) (strategy.Shift, error) {
	if s, ours, err := console.ParseShift(text); ours {
		return s, err
	}
	st, err := strategy.Parse(text)
	e, ok := st.(strategy.ECS)
	if err == nil && !ok {
		err = fmt.Errorf("%q is not for ECS", text)
	}
	if err != nil {
		return strategy.Shift{}, fmt.Errorf("-shift: %w", err)
	}
	return e.Shift, nil
}
