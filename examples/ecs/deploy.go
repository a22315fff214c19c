package main

import (
	"context"
	"path/filepath"
	"strings"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/iam"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// deploy deploys the AppSpec of a directory.
func deploy(ctx context.Context, opt options, to place, log *console.Log) (bool, error) {
	d := deployment(opt, to, log)
	if opt.plan {
		return true, plan(ctx, opt, d, to, log)
	}
	start := d.Run
	if opt.resume {
		start = func(ctx context.Context) (*cutover.Result, error) { return d.Resume(ctx, "") }
	}
	res, err := start(ctx)
	if err != nil {
		return false, err
	}
	log.Say("%s", cloud.Calls(to.limits))
	return res.Status == strategy.DeploymentSucceeded, nil
}

// deployment is what all deployments of the program have in common.
func deployment(opt options, to place, log *console.Log) *cutover.Deployment {
	alarms := &cloudwatch.Alarms{Client: to.alarms, Names: opt.alarms}
	d := &cutover.Deployment{
		Application: "ecs-example", Group: "service", GroupName: opt.service,
		Revision:         revision.Dir(opt.revision),
		Strategy:         strategy.ECS{Shift: opt.shift, Termination: strategy.Wait{For: opt.keep}},
		Rollback:         rollback.Policy{OnFailure: true, OnAlarm: true, OnStop: true},
		Watch:            rollback.Watch{Alarms: alarms.List()},
		Journal:          &journal.File{Dir: filepath.Join(opt.root, "journal")},
		Observe:          log.Record,
		AllowQuarantined: true, // whoever names a revision on a command line has said the word
	}
	d.Target = service(opt, to, log)
	if opt.native {
		n := native(opt, to)
		d.Target, d.Strategy = n, n.Strategy()
	}
	return d
}

// service is a service whose task sets are ours.
func service(opt options, to place, log *console.Log) *ecs.Service {
	hooks := &function.Hooks{Caller: &lambda.Functions{Client: to.invoke}, Ledger: &function.Files{Dir: filepath.Join(opt.root, "hooks")},
		Note: func(n lifecycle.Note) { log.Say("  note: %s", console.Clean(n.Text)) }}
	svc := &ecs.Service{ECS: to.ecs, ELB: to.elb, Scaling: to.scaling, Hooks: hooks, Cluster: opt.cluster, Name: opt.service,
		Production: ecs.Route(opt.production), Test: ecs.Route(opt.test)}
	copy(svc.TargetGroups[:], opt.groups)
	return svc
}

// native is a service that ECS deploys.
func native(opt options, to place) *ecs.Native {
	n := &ecs.Native{ECS: to.ecs, Cluster: opt.cluster, Name: opt.service, Shift: opt.shift,
		Group: appspec.Group{Listener: opt.production[0], Role: opt.role, Bake: opt.keep, Alarms: opt.alarms, Rollback: true}}
	if len(opt.test) > 0 {
		n.Group.TestListener = opt.test[0]
	}
	copy(n.Group.TargetGroups[:], opt.groups)
	return n
}

// plan prints what would be done, and what must be allowed for it.
func plan(ctx context.Context, opt options, d *cutover.Deployment, to place, log *console.Log) error {
	p, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	spec, roles, err := needs(ctx, opt.revision, to)
	if err != nil {
		return err
	}
	policy, err := policyOf(d.Target, spec, roles, alarmARNs(opt)...)
	if err != nil {
		return err
	}
	log.Say("%s\nIAM policy\n%s", p, policy)
	return nil
}

// needs reads the AppSpec, and the roles that its task definition has.
func needs(ctx context.Context, dir string, to place) (*appspec.Spec, []string, error) {
	spec, err := cloud.AppSpec(dir, lifecycle.ECS)
	if err != nil {
		return nil, nil, err
	}
	out, err := to.ecs.DescribeTaskDefinition(ctx, &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &spec.Service.TaskDefinition})
	if err != nil {
		return nil, nil, err
	}
	return spec, []string{aws.ToString(out.TaskDefinition.TaskRoleArn), aws.ToString(out.TaskDefinition.ExecutionRoleArn)}, nil
}

func policyOf(t target.Target, spec *appspec.Spec, roles []string, alarms ...string) (string, error) {
	var more []iam.Statement
	if len(alarms) > 0 {
		more = append(more, iam.Allow("Alarms", alarms, cloudwatch.Action))
	}
	if n, ok := t.(*ecs.Native); ok {
		return n.Policy(roles, more...)
	}
	return t.(*ecs.Service).Policy(spec, roles, more...)
}

// alarmARNs are the alarms, in the account and the region of the target groups.
func alarmARNs(opt options) []string {
	var arns []string
	for _, name := range opt.alarms {
		at := append(strings.Split(opt.groups[0], ":"), make([]string, 5)...)
		arns = append(arns, strings.Join([]string{"arn", at[1], "cloudwatch", at[3], at[4], "alarm", name}, ":"))
	}
	return arns
}
