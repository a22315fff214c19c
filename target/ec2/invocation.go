package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// command is one that was sent to some hosts.
type command struct {
	ssm    *SSM
	id     string
	key    []byte // signs its results
	sent   time.Time
	shared batch.Shared[map[string]types.CommandInvocation]
}

func (s *SSM) newCommand(id string, key []byte) *command {
	c := &command{ssm: s, id: id, key: key, sent: time.Now()}
	c.shared.Read = c.read
	return c
}

// read looks at all hosts of the command. The answer may be empty at first, and lack
// some of them.
func (c *command) read(ctx context.Context) (map[string]types.CommandInvocation, error) {
	all := map[string]types.CommandInvocation{}
	in := &ssm.ListCommandInvocationsInput{CommandId: &c.id, Details: true, MaxResults: aws.Int32(maxHosts)}
	for range maxPages {
		out, err := awserror.Ask(ctx, c.ssm.Client.ListCommandInvocations, in)
		if err != nil {
			return nil, err
		}
		for _, i := range out.CommandInvocations {
			all[aws.ToString(i.InstanceId)] = i
		}
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
	return nil, refuse(lifecycle.TargetFailed, "the list of a command's hosts does not end")
}

// pause is how long to wait before the n-th look. All commands are looked at at the same
// moments, so that hosts that are done go on together, and share their next command.
func (c *command) pause(n int, now time.Time) time.Duration {
	every := min(or(c.ssm.Poll, 15*time.Second), time.Second<<min(n/2, 6))
	return now.Truncate(every).Add(every).Sub(now)
}

// limit is how long a host's answer is waited for.
func (c *command) limit() time.Duration {
	return or(c.ssm.Delivery, 10*time.Minute) + or(c.ssm.Execution, 2*time.Hour) + 5*time.Minute
}

// await waits for what the command does on the host of a task.
func (c *command) await(ctx context.Context, t target.Task) error {
	id, mark, delayed := t.Step.Unit, 0, false
	for n := 0; ; n++ {
		if err := sleep(ctx, c.pause(n, time.Now())); err != nil {
			return err
		}
		all, at, err := c.shared.After(ctx, mark)
		late := time.Since(c.sent) > c.limit()
		switch {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil && (late || !temporary(err) && awserror.Code(err) != "InvalidCommandId"):
			return unknown(failed("looking at the command "+c.id, err))
		case err == nil:
			mark = at
		}
		i, known := all[id]
		is := judge(i, known)
		switch {
		case is.next == collect:
			return c.collect(ctx, t, i)
		case is.next == refused:
			return refuse(is.code, "%s: %s (command %s, status %s)", id, is.text, c.id, details(i))
		case late:
			return refuse(lifecycle.Unknown, "%s has not answered within %s (command %s, status %q): whether the step was done is known only there", id, c.limit(), c.id, details(i))
		case is.text != "" && !delayed && t.Note != nil:
			t.Note(lifecycle.Note{Code: lifecycle.UnitLost, Text: fmt.Sprintf("%s: %s (command %s)", id, is.text, c.id)})
			delayed = true
		}
	}
}

// unknown gives an error of looking the code that it deserves: nobody can say whether
// the step was done. That of permissions stays.
func unknown(err error) error {
	e, ok := err.(*lifecycle.Error)
	if !ok || e.Code == lifecycle.Denied {
		return err
	}
	c := *e
	c.Code = lifecycle.Unknown
	return &c
}

func details(i types.CommandInvocation) string {
	if s := aws.ToString(i.StatusDetails); s != "" {
		return s
	}
	return string(i.Status)
}

// collect reads what the agent says. The list has the first 2,500 characters of the
// output; if the signature does not fit, all that Systems Manager has kept is fetched.
func (c *command) collect(ctx context.Context, t target.Task, i types.CommandInvocation) error {
	var output string
	for _, p := range i.CommandPlugins {
		output += aws.ToString(p.Output) + "\n"
	}
	r, err := c.open(output)
	if err == nil {
		return outcome(t, r)
	}
	var out *ssm.GetCommandInvocationOutput
	getErr := insist(ctx, func() (err error) {
		out, err = awserror.Ask(ctx, c.ssm.Client.GetCommandInvocation, &ssm.GetCommandInvocationInput{CommandId: &c.id, InstanceId: &t.Step.Unit})
		return err
	})
	if getErr != nil {
		return unknown(failed("fetching the result of the command "+c.id, getErr))
	}
	if r, err = c.open(aws.ToString(out.StandardOutputContent)); err == nil {
		return outcome(t, r)
	}
	said := tail(aws.ToString(out.StandardErrorContent), 500)
	if out.ResponseCode == notBegun {
		return refuse(lifecycle.TargetFailed, "the step was not begun on %s: %s (command %s)", t.Step.Unit, said, c.id)
	}
	return refuse(lifecycle.Unknown, "%s gave no answer that can be trusted (%v; command %s, status %s, exit status %d): %s", t.Step.Unit, err, c.id, details(i), out.ResponseCode, said)
}

func (c *command) open(output string) (*agent.Result, error) {
	line, ok := resultIn(output)
	if !ok {
		return nil, fmt.Errorf("there is none in the output")
	}
	return agent.OpenResult([]byte(line), c.key)
}

// outcome is what came of the task's step.
func outcome(t target.Task, r *agent.Result) error {
	for _, o := range r.Outcomes {
		if o.Key != t.Step.Key() {
			continue
		}
		for _, n := range o.Notes {
			if t.Note != nil {
				t.Note(n)
			}
		}
		if o.Failure != nil {
			return &lifecycle.Error{Step: t.Step, Failure: *o.Failure}
		}
		return nil
	}
	if r.Error != "" {
		return refuse(lifecycle.Unknown, "the agent on %s broke off: %s", t.Step.Unit, r.Error)
	}
	return refuse(lifecycle.Unknown, "the answer of %s is about another step", t.Step.Unit)
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-n):]
}
