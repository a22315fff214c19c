package main

import (
	"context"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/ec2/instances"
	"github.com/cutover-deploy/cutover/target/onprem"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// place is where a deployment goes to: AWS, an emulator, or this process.
type place struct {
	instances ec2.Instances
	scaling   ec2.CopyClient
	v2        ec2.TargetGroupClient
	v1        ec2.ClassicClient
	alarms    cloudwatch.Client
	reach     ec2.Reach
	limits    *throttle.Limits
	region    string
}

// placeOf makes the clients of one configuration. They share what the account may do.
func placeOf(cfg aws.Config) place {
	limits := &throttle.Limits{}
	limits.Attach(&cfg)
	return place{
		instances: instances.EC2{Client: awsec2.NewFromConfig(cfg)}, scaling: autoscaling.NewFromConfig(cfg),
		v2: elasticloadbalancingv2.NewFromConfig(cfg), v1: elasticloadbalancing.NewFromConfig(cfg),
		alarms: awscloudwatch.NewFromConfig(cfg), limits: limits, region: cfg.Region,
	}
}

// connect makes clients for AWS, or for an emulator.
func connect(ctx context.Context, opt options) (place, error) {
	cfg, err := cloud.Config(ctx, opt.region, opt.endpoint)
	if err != nil {
		return place{}, err
	}
	p := placeOf(cfg)
	if opt.endpoint == "" {
		limited := cfg.Copy()
		p.limits.Attach(&limited)
		commands := ssm.NewFromConfig(limited)
		if opt.hybrid {
			p.instances = &ec2.Hybrid{Client: commands, EC2: p.instances}
		}
		p.reach = &ec2.SSM{Client: commands, Program: opt.program, Programs: opt.programs,
			Store: ec2.Bucket{Client: s3.NewFromConfig(cfg), Name: opt.bucket, Prefix: prefix}}
		return p, nil
	}
	p.reach = directories(filepath.Join(opt.root, "hosts"))
	p.alarms = cloud.EmulatedAlarms(cfg)
	return p, nil
}

// prefix is that of all keys in the bucket.
const prefix = "cutover/"

// directories stand for instances that run nothing.
func directories(dir string) ec2.HostFunc {
	return func(i ec2.Instance) target.Host {
		return &onprem.Local{ID: i.ID, Zone: i.Zone, State: filepath.Join(dir, "state", i.ID), Root: filepath.Join(dir, i.ID), Allow: []string{dir}}
	}
}
