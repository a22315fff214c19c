package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/target/lambda"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// place is where a deployment goes to: AWS, an emulator, or this process.
type place struct {
	ecs     *awsecs.Client
	elb     *elb.Client
	scaling *applicationautoscaling.Client
	invoke  lambda.Invoker
	alarms  cloudwatch.Client
	limits  *throttle.Limits
}

// connect makes clients for AWS, or for an emulator.
func connect(ctx context.Context, opt options) (place, error) {
	cfg, err := cloud.Config(ctx, opt.region, opt.endpoint)
	if err != nil {
		return place{}, err
	}
	p := placeOf(cfg)
	if opt.endpoint != "" {
		p.alarms = cloud.EmulatedAlarms(cfg)
	}
	return p, nil
}

// placeOf makes the clients of one configuration. They share what the account may do.
func placeOf(cfg aws.Config) place {
	limits := &throttle.Limits{}
	limits.Attach(&cfg)
	return place{ecs: awsecs.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), scaling: applicationautoscaling.NewFromConfig(cfg),
		invoke: awslambda.NewFromConfig(cfg), alarms: awscloudwatch.NewFromConfig(cfg), limits: limits}
}
