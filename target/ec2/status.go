package ec2

import (
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// what follows from the status of a command on a host.
type following string

const (
	underWay following = "wait"
	collect  following = "collect" // the agent has something to say
	refused  following = "refused" // it has not: the status decides
)

// judgement is what a status means for the step.
type judgement struct {
	next following
	code lifecycle.Code // of a refused one
	text string         // what a person should know; of one that is under way: a note
}

// statuses is the meaning of every status that Systems Manager has, by its detailed
// name. Unknown is the code where the step may have been done: it is asked for again,
// and then the agent on the host tells.
var statuses = map[string]judgement{
	"Pending":    {next: underWay},
	"InProgress": {next: underWay},
	"Cancelling": {next: underWay},
	"Delayed":    {next: underWay, text: "the command is on its way and the host does not answer: it may be offline or overloaded"},

	"Success": {next: collect},
	"Failed":  {next: collect},

	"DeliveryTimedOut":  {refused, lifecycle.UnitLost, "the command did not reach the host in time, so nothing was begun: look whether the instance runs, and its SSM agent"},
	"Undeliverable":     {refused, lifecycle.UnitLost, "the command cannot be delivered, so nothing was begun: the instance does not exist any more, or does not respond"},
	"ExecutionTimedOut": {refused, lifecycle.Unknown, "the command took longer than SSM.Execution and was ended; the agent goes on without it"},
	"TimedOut":          {refused, lifecycle.Unknown, "the command timed out"},
	"Cancelled":         {refused, lifecycle.Unknown, "somebody cancelled the command; the agent may have begun"},
	"Terminated":        {refused, lifecycle.Unknown, "the command was ended because of other hosts"},
	"InvalidPlatform":   {refused, lifecycle.Unsupported, "the document does not run on the platform of the host: set SSM.Document and SSM.Program for it"},
	"AccessDenied":      {refused, lifecycle.Denied, "the role may not run the document on the host"},
	"RateExceeded":      {refused, lifecycle.Unknown, "there were too many commands at once; this one was not delivered"},
}

// judge says what follows for a host. One that the list does not have yet may come:
// the list lags behind. A status that is not in the table counts as under way, so that
// in the end nobody can say.
func judge(i types.CommandInvocation, known bool) judgement {
	if !known {
		return judgement{next: underWay}
	}
	j, ok := statuses[details(i)]
	if !ok {
		j, ok = statuses[string(i.Status)]
	}
	if !ok {
		return judgement{next: underWay, text: "Systems Manager says something that this version does not know: " + details(i)}
	}
	return j
}
