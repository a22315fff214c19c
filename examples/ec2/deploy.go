package main

import (
	"context"
	"path/filepath"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/iam"
)

// group is the deployment group of a root.
const group = "fleet"

// fleetOf is the driver for what the flags choose.
func fleetOf(opt options, p place) *ec2.Fleet {
	f := &ec2.Fleet{Selection: opt.choose, Instances: p.instances, AutoScaling: p.scaling, Reach: p.reach}
	if len(opt.targetGroups)+len(opt.classic) > 0 {
		f.Balancers = &ec2.Balancers{TargetGroups: opt.targetGroups, Classic: opt.classic, V2: p.v2, V1: p.v1}
	}
	if opt.blueGreen {
		f.Green = &ec2.Green{}
	}
	return f
}

// source is a directory or an archive.
func source(path string) revision.Source {
	switch filepath.Ext(path) {
	case ".zip", ".tar", ".gz", ".tgz":
		return revision.Archive(path)
	}
	return revision.Dir(path)
}

func deployment(opt options, p place, log *console.Log) (*cutover.Deployment, *ec2.Fleet) {
	fleet := fleetOf(opt, p)
	alarms := &cloudwatch.Alarms{Client: p.alarms, Names: opt.alarms}
	return &cutover.Deployment{
		Application: "ec2-example", Group: group, Revision: source(opt.revision), Target: fleet, Strategy: opt.strategy,
		Rollback:         rollback.Policy{OnFailure: true, OnAlarm: true},
		Watch:            rollback.Watch{Alarms: alarms.List()},
		Journal:          &journal.File{Dir: filepath.Join(opt.root, "journal")},
		Observe:          log.Record,
		RerunInterrupted: opt.rerun,
		AllowQuarantined: true, // whoever names a revision on a command line has said the word
	}, fleet
}

// deploy does what the flags say.
func deploy(ctx context.Context, opt options, p place, log *console.Log) (bool, error) {
	d, fleet := deployment(opt, p, log)
	if opt.plan {
		return true, plan(ctx, opt, d, fleet, p, log)
	}
	run := d.Run
	if opt.resume {
		run = func(ctx context.Context) (*cutover.Result, error) { return d.Resume(ctx, "") }
	}
	res, err := run(ctx)
	if err != nil {
		return false, err
	}
	log.Say("%s", cloud.Calls(p.limits))
	return res.Status == strategy.DeploymentSucceeded, nil
}

// plan prints what would be done, and what must be allowed for it.
func plan(ctx context.Context, opt options, d *cutover.Deployment, fleet *ec2.Fleet, p place, log *console.Log) error {
	pl, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	scope := ec2.Scope{Region: p.region, Account: opt.account, Bucket: opt.bucket, Prefix: prefix}
	var more []iam.Statement
	if len(opt.alarms) > 0 {
		more = append(more, iam.AllowOnAny("Alarms", cloudwatch.Action))
	}
	policy, err := fleet.Policy(scope, more...)
	if err != nil {
		return err
	}
	return printPlan(log, pl, policy, ec2.HostPolicy())
}
