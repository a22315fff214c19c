// Package cloudwatch lets alarms of Amazon CloudWatch stop a deployment.
//
// [Alarms] makes a [rollback.Alarm] of each name, for a deployment's watch:
//
//	alarms := &cloudwatch.Alarms{Client: awscloudwatch.NewFromConfig(cfg), Names: []string{"errors", "latency"}}
//	d.Watch = rollback.Watch{Alarms: alarms.List()}
//
// Each poll reads all of them with one call, a hundred at a time. Composite alarms are
// read like those of metrics. What counts is the watch's business: an alarm that fires
// has fired, one that fires already refuses the deployment, and one that cannot be read
// is not OK. An alarm that does not exist, or no longer, cannot be read; it is never
// taken for one that does not fire.
//
// Alarms of another account or region have a client of their own, and an Alarms of
// their own; the lists go into one watch.
package cloudwatch
