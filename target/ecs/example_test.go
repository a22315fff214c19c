package ecs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/iam"
)

const balancer = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"

// The policy of a service holds what its deployments call, and nothing else.
func ExampleService_Policy() {
	api := &awsfake.API{} // stands for AWS: cfg, _ := config.LoadDefaultConfig(ctx)
	service := &ecs.Service{
		ECS: awsecs.NewFromConfig(api.Config()), ELB: elb.NewFromConfig(api.Config()),
		Cluster: "main", Name: "web",
		TargetGroups: [2]string{balancer + "targetgroup/web-blue/1", balancer + "targetgroup/web-green/2"},
		Production:   ecs.Route{balancer + "listener-rule/app/web/3/4/5"},
	}
	policy, err := service.Policy(nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var read iam.Policy
	if err := json.Unmarshal([]byte(policy), &read); err != nil {
		fmt.Println(err)
		return
	}
	for _, st := range read.Statement {
		for _, action := range st.Action {
			if !strings.Contains(action, ":Describe") {
				fmt.Println(action, "on", st.Resource[0])
			}
		}
	}
	// Output:
	// ecs:UpdateServicePrimaryTaskSet on arn:aws:ecs:eu-central-1:123456789012:service/main/web
	// ecs:CreateTaskSet on *
	// ecs:DeleteTaskSet on arn:aws:ecs:eu-central-1:123456789012:task-set/main/web/*
	// ecs:ListTasks on *
	// elasticloadbalancing:ModifyRule on arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/web/3/4/5
}

// A service that ECS deploys by itself says which strategy it is planned with.
func ExampleNative_Strategy() {
	native := &ecs.Native{Cluster: "main", Name: "web", Shift: strategy.Canary(10, 5*time.Minute),
		Group: appspec.Group{Bake: time.Hour}}
	s := native.Strategy().(strategy.ECS)
	fmt.Println(s.Name)
	fmt.Println(s.Shift.Weights(), s.Termination.For)
	// Output:
	// ECS by itself, canary:10%/5m0s
	// [10 100] 1h0m0s
}
