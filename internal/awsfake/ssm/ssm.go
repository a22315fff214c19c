// Package ssm answers the calls of Systems Manager Run Command, and of managed nodes
// outside of EC2, from memory. A command
// is really run for each of its hosts: by [Shell] as a process on this machine, or by a
// function of a test. Lists lag behind, output is cut off, and hosts can be made to
// answer with any status.
package ssm

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Limits of the service.
const (
	maxHosts  = 50
	inList    = 2500  // characters of output in a list
	inDetails = 24000 // characters of output of one host
)

// Run runs a script on a host and returns when it has ended.
type Run func(ctx context.Context, host, script string) Ended

// Ended is how a script ended.
type Ended struct {
	Stdout, Stderr string
	Exit           int
}

// SSM is Run Command. Set the fields before the first call.
type SSM struct {
	Run Run
	// Known reports whether an EC2 instance is managed. Nil: all are.
	Known func(id string) bool
	// EC2 lists the EC2 instances that are managed nodes. Nil: none are listed.
	EC2 func() []Node
	// NodeLag is how long a machine does not show in lists after its activation.
	NodeLag time.Duration
	// StrictIDs makes a list by ids fail if one of them is unknown.
	StrictIDs bool
	// Lag is how long a command does not show in lists.
	Lag time.Duration

	mu       sync.Mutex
	nodes    []*Node
	commands map[string]*command
	made     int
	scripted map[string][]string // by host: statuses in place of running
	ctx      context.Context
	stop     context.CancelFunc
	all      sync.WaitGroup
}

type command struct {
	id      string
	sent    time.Time
	hosts   []string
	status  map[string]string // detailed, by host
	ended   map[string]Ended
	timeout time.Duration
}

// New gives the operations to the API.
func New(api *awsfake.API, run Run) *SSM {
	s := &SSM{Run: run, commands: map[string]*command{}, scripted: map[string][]string{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	on(s, api, "SendCommand", s.send)
	on(s, api, "ListCommandInvocations", s.list)
	on(s, api, "GetCommandInvocation", s.get)
	on(s, api, "DescribeInstanceInformation", s.describe)
	on(s, api, "ListTagsForResource", s.tags)
	return s
}

func on[In, Out any](s *SSM, api *awsfake.API, operation string, f func(*In) (*Out, error)) {
	awsfake.Handle(api, sdk.ServiceID, operation, func(_ context.Context, in *In) (*Out, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(in)
	})
}

// Script makes the next command on a host end with a status, such as Undeliverable,
// without running. Several are for the commands that follow. A status with a + before it
// is one on the way: the command runs and shows it meanwhile.
func (s *SSM) Script(host string, statuses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripted[host] = append(s.scripted[host], statuses...)
}

// Close ends what runs, and waits for it.
func (s *SSM) Close() {
	s.stop()
	s.all.Wait()
}

func (s *SSM) send(in *sdk.SendCommandInput) (*sdk.SendCommandOutput, error) {
	switch {
	case len(in.InstanceIds) == 0 || len(in.InstanceIds) > maxHosts:
		return nil, awsfake.APIError("ValidationException", fmt.Sprintf("%d instance ids: between 1 and %d are allowed", len(in.InstanceIds), maxHosts))
	case aws.ToInt32(in.TimeoutSeconds) < 30:
		return nil, awsfake.APIError("ValidationException", "timeoutSeconds must be at least 30")
	case aws.ToString(in.DocumentName) != "AWS-RunShellScript":
		return nil, awsfake.APIError("InvalidDocument", "document does not exist")
	case len(aws.ToString(in.Comment)) > 100:
		return nil, awsfake.APIError("ValidationException", "the comment is too long")
	}
	for _, id := range in.InstanceIds {
		if !s.known(id) {
			return nil, awsfake.APIError("InvalidInstanceId", "Instances not in a valid state for account: "+id)
		}
	}
	s.made++
	c := &command{id: fmt.Sprintf("%08d-command", s.made), sent: time.Now(), hosts: slices.Clone(in.InstanceIds), status: map[string]string{}, ended: map[string]Ended{}}
	c.timeout = time.Duration(*in.TimeoutSeconds) * time.Second
	s.commands[c.id] = c
	script := strings.Join(in.Parameters["commands"], "\n")
	for _, id := range c.hosts {
		s.start(c, id, script)
	}
	return &sdk.SendCommandOutput{Command: &types.Command{CommandId: &c.id, TargetCount: int32(len(c.hosts)), Status: types.CommandStatusPending}}, nil
}

func (s *SSM) start(c *command, id, script string) {
	c.status[id] = "InProgress"
	if next := s.scripted[id]; len(next) > 0 {
		s.scripted[id] = next[1:]
		if status, meanwhile := strings.CutPrefix(next[0], "+"); meanwhile {
			c.status[id] = status
		} else {
			c.status[id] = status
			return
		}
	}
	s.all.Go(func() {
		ended := s.Run(s.ctx, id, script)
		s.mu.Lock()
		defer s.mu.Unlock()
		c.ended[id], c.status[id] = ended, "Success"
		if ended.Exit != 0 {
			c.status[id] = "Failed"
		}
	})
}

// coarse is the status without its details.
func coarse(details string) types.CommandInvocationStatus {
	switch details {
	case "DeliveryTimedOut", "ExecutionTimedOut":
		return types.CommandInvocationStatusTimedOut
	case "Undeliverable", "Terminated", "InvalidPlatform", "AccessDenied":
		return types.CommandInvocationStatusFailed
	}
	return types.CommandInvocationStatus(details)
}

func (s *SSM) list(in *sdk.ListCommandInvocationsInput) (*sdk.ListCommandInvocationsOutput, error) {
	c := s.commands[aws.ToString(in.CommandId)]
	if c == nil {
		return nil, awsfake.APIError("InvalidCommandId", "no such command")
	}
	out := &sdk.ListCommandInvocationsOutput{}
	if time.Since(c.sent) < s.Lag {
		return out, nil // it is not known everywhere yet
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken)) // no token: the first page
	size := min(int(aws.ToInt32(in.MaxResults)), maxHosts)
	if size == 0 {
		size = maxHosts
	}
	to := min(from+size, len(c.hosts))
	for _, id := range c.hosts[min(from, to):to] {
		i := types.CommandInvocation{CommandId: &c.id, InstanceId: aws.String(id), Status: coarse(c.status[id]), StatusDetails: aws.String(c.status[id])}
		if e, ok := c.ended[id]; ok && in.Details {
			text := e.Stdout
			if e.Stderr != "" {
				text += "\n----------ERROR-------\n" + e.Stderr
			}
			i.CommandPlugins = []types.CommandPlugin{{Name: aws.String("aws:runShellScript"), Output: aws.String(text[:min(len(text), inList)]), ResponseCode: int32(e.Exit)}}
		}
		out.CommandInvocations = append(out.CommandInvocations, i)
	}
	if to < len(c.hosts) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

func (s *SSM) get(in *sdk.GetCommandInvocationInput) (*sdk.GetCommandInvocationOutput, error) {
	c, id := s.commands[aws.ToString(in.CommandId)], aws.ToString(in.InstanceId)
	if c == nil || !slices.Contains(c.hosts, id) {
		return nil, awsfake.APIError("InvocationDoesNotExist", "no such invocation")
	}
	e := c.ended[id]
	return &sdk.GetCommandInvocationOutput{CommandId: &c.id, InstanceId: &id, Status: coarse(c.status[id]), StatusDetails: aws.String(c.status[id]), ResponseCode: int32(e.Exit),
		StandardOutputContent: aws.String(e.Stdout[:min(len(e.Stdout), inDetails)]), StandardErrorContent: aws.String(e.Stderr[:min(len(e.Stderr), 8000)])}, nil
}

// Shell runs scripts as processes on this machine, with the id of the host in the
// environment as the SSM agent has it. Rewrite, if not nil, changes the script for the
// host: several share a file system here.
func Shell(rewrite func(host, script string) string) Run {
	return func(ctx context.Context, host, script string) Ended {
		if rewrite != nil {
			script = rewrite(host, script)
		}
		cmd := exec.CommandContext(ctx, "sh", "-c", script)
		cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "AWS_SSM_INSTANCE_ID=" + host, "HOME=/root"}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.WaitDelay = time.Second
		err := cmd.Run()
		e := Ended{Stdout: stdout.String(), Stderr: stderr.String(), Exit: cmd.ProcessState.ExitCode()}
		if err != nil && e.Exit == 0 {
			e.Exit, e.Stderr = 1, e.Stderr+err.Error()
		}
		return e
	}
}
