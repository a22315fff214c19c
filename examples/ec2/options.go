package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/tags"
)

// options are the flags, checked.
type options struct {
	revision string // directory or archive; empty: the demonstration
	root     string // for the journal; empty: a temporary directory
	endpoint string // of an emulator; empty: AWS
	region   string // empty: as the SDK finds it
	account  string // for the policy; empty: any
	bucket   string // that hosts fetch from
	program  string // the agent's executable for hosts; empty: this one
	programs string // those for several platforms; empty: there is one
	hybrid   bool   // also machines outside of EC2

	choose       ec2.Selection
	targetGroups console.List
	classic      console.List
	alarms       console.List

	strategy  strategy.Strategy
	blueGreen bool
	plan      bool
	resume    bool
	rerun     bool
	json      bool
}

// how are the flags that say how it is deployed.
type how struct {
	tag, pace   string
	zones       bool
	monitor     time.Duration
	ready, keep time.Duration
	keepAlive   bool
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	var h how
	fs := flag.NewFlagSet("ec2", flag.ContinueOnError)
	fs.StringVar(&o.revision, "revision", "", "deploy the directory or archive `PATH` (default: the demonstration)")
	fs.StringVar(&o.root, "root", "", "keep the journal in `DIR` (default: a new temporary directory)")
	fs.StringVar(&o.endpoint, "endpoint", "", "deploy to an emulator at `URL`; directories stand for its instances (default: AWS)")
	fs.StringVar(&o.region, "region", "", "the `REGION` (default: as the SDK finds it)")
	fs.StringVar(&o.account, "account", "", "the account's `ID`, for the policy that -plan prints (default: any)")
	fs.StringVar(&o.bucket, "bucket", "", "hosts fetch from the S3 bucket `NAME`, by presigned addresses")
	fs.StringVar(&o.program, "program", "", "the `PATH` of this program built for the hosts (default: the one that runs)")
	fs.StringVar(&o.programs, "programs", "", "send hosts of several platforms the programs in `DIR`, called OS-ARCH")
	fs.StringVar(&h.tag, "tag", "", "instances with these `TAGS`: 'env=prod, env=canary; role=web' is (prod or canary) and web")
	fs.BoolVar(&o.hybrid, "hybrid", false, "-tag: also machines outside of EC2 that have a hybrid activation (mi-…)")
	fs.Var((*console.List)(&o.choose.Groups), "group", "the instances of the Auto Scaling group `NAME`; may be repeated")
	fs.Var(&o.targetGroups, "target-group", "behind the target group `NAME` (or ARN); may be repeated")
	fs.Var(&o.classic, "classic", "behind the classic load balancer `NAME`; may be repeated")
	fs.Var(&o.alarms, "alarm", "stop when the CloudWatch alarm `NAME` fires; may be repeated")
	fs.StringVar(&h.pace, "strategy", "one", "`NAME`: one, half, all, 25%, count:3 or a CodeDeployDefault name")
	fs.BoolVar(&h.zones, "zones", false, "zone by zone, in place")
	fs.DurationVar(&h.monitor, "monitor", 0, "wait after each zone, and watch the alarms")
	fs.BoolVar(&o.blueGreen, "blue-green", false, "copy the Auto Scaling group, and move the traffic to the copy")
	fs.DurationVar(&h.ready, "ready", 0, "blue/green: wait before traffic moves")
	fs.DurationVar(&h.keep, "termination-wait", 0, "blue/green: wait before the originals are terminated")
	fs.BoolVar(&h.keepAlive, "keep-alive", false, "blue/green: leave the originals running")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and the IAM policies, and touch nothing")
	fs.BoolVar(&o.resume, "resume", false, "finish the unfinished deployment of the root")
	fs.BoolVar(&o.rerun, "rerun-interrupted", false, "run hooks again that a crash cut off (default: they have failed)")
	fs.BoolVar(&o.json, "json", false, "print the journal's records as JSON lines; everything else goes to standard error")
	if err := console.ParseAll(fs, "Deploys to EC2 instances.", args, stderr); err != nil {
		return o, err
	}
	return o, o.check(h)
}

func (o *options) check(h how) (err error) {
	if o.choose.Tags, err = tags.Parse(h.tag); h.tag != "" && err != nil {
		return fmt.Errorf("-tag: %w", err)
	}
	some := h.tag != "" || len(o.choose.Groups) > 0
	switch {
	case o.resume && (o.root == "" || o.plan):
		return errors.New("-resume needs -root, the directory of the deployment to go on with, and goes without -plan")
	case o.revision == "" && (some || o.endpoint != "" || o.resume):
		return errors.New("the demonstration chooses its own instances: say -revision as well, or leave out the other flags")
	case o.revision != "" && !some:
		return errors.New("say which instances: -tag or -group")
	case o.revision != "" && o.bucket == "" && o.endpoint == "":
		return errors.New("hosts are reached by Run Command, and fetch this program and the revision: say -bucket")
	case o.hybrid && (h.tag == "" || o.endpoint != "" || len(o.targetGroups)+len(o.classic) > 0):
		return errors.New("-hybrid goes with -tag, and without load balancers and -endpoint: neither knows machines outside of EC2")
	case o.blueGreen && (len(o.choose.Groups) != 1 || h.tag != ""):
		return errors.New("-blue-green copies an Auto Scaling group: say exactly one -group, and no -tag")
	}
	if err = console.Absolute(&o.root, &o.revision); err != nil {
		return err
	}
	o.strategy, err = h.strategy(o.blueGreen)
	return err
}

func (h how) strategy(blueGreen bool) (strategy.Strategy, error) {
	st, err := strategy.Parse(h.pace)
	if err != nil {
		return nil, fmt.Errorf("-strategy: %w", err)
	}
	in, ok := st.(strategy.InPlace)
	if !ok {
		return nil, fmt.Errorf("-strategy: %q is not for hosts", h.pace)
	}
	if blueGreen {
		return strategy.BlueGreen{Name: in.Name, Minimum: in.Minimum, KeepAlive: h.keepAlive,
			Ready: strategy.Wait{For: h.ready}, Termination: strategy.Wait{For: h.keep}}, nil
	}
	if h.zones || h.monitor > 0 {
		in.Zonal = &strategy.Zonal{Monitor: h.monitor}
	}
	return in, nil
}
