package cloudwatch_test

import (
	"context"
	"fmt"

	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
)

// Two alarms, read with one call.
func Example() {
	w := newWorld() // in place of an account
	w.Set("errors", types.StateValueOk)
	w.Set("latency", types.StateValueAlarm)

	alarms := &cloudwatch.Alarms{Client: awscloudwatch.NewFromConfig(w.api.Config()), Names: []string{"errors", "latency"}}
	watch := rollback.Watch{Alarms: alarms.List()}
	_, err := rollback.NewLatch(watch, watch.Read(context.Background()))
	fmt.Println(err)
	// Output:
	// alarm latency fires already: see to it first, or start anyway
}
