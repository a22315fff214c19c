package ec2

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// CommandClient is what is used of [ssm.Client].
type CommandClient interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
}

// SSM reaches hosts by Systems Manager Run Command: a [Reach] for EC2 instances and for
// machines elsewhere that have a hybrid activation (mi-…). Nothing is installed on them
// beforehand: the caller's own executable goes there once, by an address, and is
// started as an agent. The caller's main begins with [agent.Main]. Build it with
// CGO_ENABLED=0. Besides the SSM agent a host needs sh, sed, tr, and curl or wget, and a
// way to the Store.
//
// Steps of one stage and event that come at about the same time are one command for up
// to 50 hosts, and one poll asks for all its hosts. What came of a step is told by the
// agent, which keeps it on the host and signs it with the command's nonce; neither the
// status of the command nor its output decides. If the answer is missing or damaged, the
// step is Unknown, and asked for again: the agent does nothing twice.
//
// Set the fields before first use; then it may be used from many goroutines. It must not
// be copied after use.
type SSM struct {
	Client CommandClient // required
	Store  Store         // where hosts fetch from: the agent, batches of steps, revisions. Required

	// Program is the executable that is sent to hosts, for their platform; it calls
	// agent.Main. Empty: the one that runs now.
	Program string
	// Programs is a directory of the same program for several platforms, in files called
	// OS-ARCH as Go has it, such as linux-amd64 and linux-arm64. Each host takes its own;
	// Program counts for nothing then. Empty: all hosts are of one platform. A host that
	// there is no program for is refused, and nothing is begun there.
	Programs string
	// Dir is the state directory on hosts. Empty: /var/lib/cutover.
	Dir string
	// Agent is how agents are set up. Its Digest counts for nothing. The zero value is
	// sensible.
	Agent agent.Start

	// Document is run on the hosts; it takes commands and executionTimeout. Empty:
	// AWS-RunShellScript.
	Document string
	// Arrival is how long a host may take to report in to Systems Manager, as one that was
	// just launched does after a while. Zero: 5 minutes, which is how long CodeDeploy
	// waits for an event to begin.
	Arrival time.Duration
	// Delivery is how long a command may take to reach a host, at least 30 s. Zero: 10
	// minutes.
	Delivery time.Duration
	// Execution is how long a host may take for a step. Zero: two hours, so that the
	// limits of the scripts come first.
	Execution time.Duration
	// Gather is how long a step waits for others that go into the same command. Zero:
	// half a second. Negative: not at all. As long as enough hosts are one event behind
	// to fill the command, it waits for them, up to ten seconds.
	Gather time.Duration
	// Poll is how often a command is looked at once it has run for a while; more often
	// before. Zero: 15 s.
	Poll time.Duration

	once    sync.Once
	steps   batch.Gatherer[kind, string, *command]
	reports batch.Gatherer[string, string, bool]
	parts   parts
	march   march
}

var (
	_ Reach          = (*SSM)(nil)
	_ target.Checker = (*SSM)(nil)
)

// maxHosts is how many hosts a command may name.
const maxHosts = 50

// kind is what the steps of one command have in common.
type kind struct {
	job        *target.Job
	deployment string
	stage      int
	event      lifecycle.Event
	weight     lifecycle.Weight
}

func (s *SSM) init() {
	s.once.Do(func() {
		s.steps.Max, s.steps.Send, s.steps.Window = maxHosts, s.send, 500*time.Millisecond
		if s.Gather != 0 {
			s.steps.Window = max(0, s.Gather)
		}
		s.steps.Hold, s.steps.Patience = s.march.behind, patienceOfBatch
		s.reports.Window, s.reports.Max, s.reports.Send = time.Second, maxHosts, s.reported
	})
}

// or is a duration with its default.
func or(d, zero time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return zero
}

// Check looks at the revision, here and not on a host.
func (s *SSM) Check(ctx context.Context, job *target.Job) ([]lifecycle.Note, error) {
	if s.Client == nil || s.Store == nil {
		return nil, errors.New("ec2: set SSM.Client and SSM.Store")
	}
	return new(agent.Agent).Check(ctx, job)
}

// Host implements [Reach].
func (s *SSM) Host(i Instance) target.Host { return &managed{ssm: s, instance: i} }

// managed is a host that Systems Manager knows.
type managed struct {
	ssm      *SSM
	instance Instance
}

func (m *managed) Unit() lifecycle.Unit { return m.instance.unit("") }

// Perform does a step by a command, which it shares with other hosts.
func (m *managed) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ofStep(ctx, t.Step, m.perform(ctx, t))
}

func (m *managed) perform(ctx context.Context, t target.Task) error {
	s := m.ssm
	if s.Client == nil || s.Store == nil {
		return errors.New("ec2: set SSM.Client and SSM.Store")
	}
	if t.Job == nil {
		return refuse(lifecycle.TargetFailed, "the task has no job")
	}
	s.init()
	k := kind{t.Job, t.Step.Deployment, t.Step.Stage, t.Step.Event, t.Step.Weight}
	defer s.march.arrive(m.instance.ID, k)()
	c, err := s.command(ctx, k, t)
	if err != nil {
		return err
	}
	return c.await(ctx, t)
}
