package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/target/lambda"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// place is where a deployment goes to: AWS, an emulator, or this process.
type place struct {
	alias  lambda.Client
	invoke lambda.Invoker
	alarms cloudwatch.Client
	limits *throttle.Limits
	region string
}

// connect makes clients for AWS, or for an emulator.
func connect(ctx context.Context, opt options) (place, error) {
	cfg, err := cloud.Config(ctx, opt.region, opt.endpoint)
	if err != nil {
		return place{}, err
	}
	p := placeOf(cfg)
	if opt.endpoint != "" {
		p.alias = emulated{p.alias}
		p.alarms = cloud.EmulatedAlarms(cfg)
	}
	return p, nil
}

// placeOf makes the clients of one configuration. They share what the account may do.
func placeOf(cfg aws.Config) place {
	limits := &throttle.Limits{}
	limits.Attach(&cfg)
	c := awslambda.NewFromConfig(cfg)
	return place{alias: c, invoke: c, alarms: awscloudwatch.NewFromConfig(cfg), limits: limits, region: cfg.Region}
}

// emulated answers what emulators lack: there is no provisioned concurrency.
type emulated struct{ lambda.Client }

func (emulated) GetProvisionedConcurrencyConfig(context.Context, *awslambda.GetProvisionedConcurrencyConfigInput, ...func(*awslambda.Options)) (*awslambda.GetProvisionedConcurrencyConfigOutput, error) {
	return nil, &types.ProvisionedConcurrencyConfigNotFoundException{}
}
