package ec2_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// step does one step on one host of a managed world.
func (w *managedWorld) step(t *testing.T, id string, e lifecycle.Event) ([]lifecycle.Note, error) {
	t.Helper()
	var mu sync.Mutex
	var notes []lifecycle.Note
	err := w.managedFleet(webTag).Perform(t.Context(), target.Task{
		Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: e},
		Job:  &target.Job{Group: "web", Revision: revision.Revision{Digest: "sha256:1"}},
		Note: func(n lifecycle.Note) {
			mu.Lock()
			defer mu.Unlock()
			notes = append(notes, n)
		},
	})
	return notes, err
}

func codeAndText(err error) (lifecycle.Code, string) {
	if e, ok := err.(*lifecycle.Error); ok {
		return e.Code, e.Message
	}
	return "", ""
}

// C11: each status is an outcome of its own.
func TestC11_Statuses(t *testing.T) {
	for status, want := range map[string]struct {
		code lifecycle.Code
		text string
	}{
		"DeliveryTimedOut":  {lifecycle.UnitLost, "did not reach the host"},
		"Undeliverable":     {lifecycle.UnitLost, "cannot be delivered"},
		"ExecutionTimedOut": {lifecycle.Unknown, "longer than SSM.Execution"},
		"Cancelled":         {lifecycle.Unknown, "somebody cancelled"},
		"Terminated":        {lifecycle.Unknown, "because of other hosts"},
		"InvalidPlatform":   {lifecycle.Unsupported, "platform"},
		"AccessDenied":      {lifecycle.Denied, "may not run"},
		"InProgress":        {lifecycle.Unknown, "has not answered within"}, // for ever
		"SOMETHING_NEW":     {lifecycle.Unknown, "has not answered within"},
	} {
		t.Run(status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newManaged(t)
				defer w.run.Close()
				id := w.tagged(1)[0]
				w.run.Script(id, status)
				_, err := w.step(t, id, lifecycle.AfterInstall)
				code, text := codeAndText(err)
				require.Equal(t, want.code, code, "%v", err)
				require.Contains(t, text, want.text)
				require.Contains(t, text, "command", "it can be looked up")
				require.Empty(t, w.hosts.Done())
			})
		})
	}
}

func TestC11_DelayedIsSaidAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		w.run.Script(id, "+Delayed")
		w.mem.took = func(string, lifecycle.Event) time.Duration { return 5 * time.Minute }
		notes, err := w.step(t, id, lifecycle.AfterInstall)
		require.NoError(t, err)
		require.Len(t, notes, 1)
		require.Contains(t, notes[0].Text, "offline or overloaded")
	})
}

// C2: a host that Systems Manager does not know is lost, and does not spoil the command
// for others.
func TestC2_OneUnknownHostAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		ids := w.tagged(40)
		w.run.Known = func(id string) bool { return id != ids[17] }
		f := w.managedFleet(webTag)
		errs := make([]error, len(ids))
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				errs[i] = f.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}})
			})
		}
		all.Wait()
		for i, err := range errs {
			if i == 17 {
				code, text := codeAndText(err)
				require.Equal(t, lifecycle.UnitLost, code)
				require.Contains(t, text, "AmazonSSMManagedInstanceCore")
				continue
			}
			require.NoError(t, err)
		}
	})
}

// Hosts may have been told what a call says whose answer never comes: it is not said
// that they were not.
func TestACommandThatMayHaveBeenSent(t *testing.T) {
	for name, c := range map[string]struct {
		first, then awsfake.Fault
		code        lifecycle.Code
	}{
		"answers are lost":    {awsfake.LostReply, awsfake.LostReply, lifecycle.Unknown},
		"servers are broken":  {awsfake.ServerError, awsfake.ServerError, lifecycle.Unknown},
		"lost, then too many": {awsfake.LostReply, awsfake.Throttle, lifecycle.Unknown},
		"too many requests":   {awsfake.Throttle, awsfake.Throttle, lifecycle.Throttled},
		"not allowed":         {awsfake.AccessDenied, awsfake.AccessDenied, lifecycle.Denied},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newManaged(t)
			defer w.run.Close()
			id, sent := w.tagged(1)[0], 0
			w.API.Inject(func(call awsfake.Call) awsfake.Fault {
				if call.Operation != "SendCommand" {
					return awsfake.NoFault
				}
				if sent++; sent <= 10 { // the SDK repeats calls too
					return c.first
				}
				return c.then
			})
			_, err := w.step(t, id, lifecycle.AfterInstall)
			code, _ := codeAndText(err)
			require.Equal(t, c.code, code, "%s: %v", name, err)
		})
	}
}

// Just after it was sent, a command does not show in lists.
func TestListsLagBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.run.Lag = 20 * time.Second
		id := w.tagged(1)[0]
		_, err := w.step(t, id, lifecycle.AfterInstall)
		require.NoError(t, err)
	})
}

// C10: what is not signed, signed with another key, or cut off is no outcome.
func TestC10_OnlyASignedAnswerCounts(t *testing.T) {
	for name, spoil := range map[string]func(_, line string) string{
		"nothing":        func(_, _ string) string { return "" },
		"cut off":        func(_, line string) string { return line[:len(line)/2] },
		"by a hook":      func(_, _ string) string { return `{"result":{"outcomes":[]},"mac":"AAAA"}` },
		"changed":        func(_, line string) string { return strings.Replace(line, `"key":"`, `"key":"x`, 1) },
		"of a neighbour": func(host, line string) string { return strings.ReplaceAll(line, host, "i-other") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newManaged(t)
				defer w.run.Close()
				w.mem.spoil = spoil
				id := w.tagged(1)[0]
				_, err := w.step(t, id, lifecycle.AfterInstall)
				code, _ := codeAndText(err)
				require.Equal(t, lifecycle.Unknown, code, "%v", err)

				w.mem.spoil = nil
				_, err = w.step(t, id, lifecycle.AfterInstall)
				require.NoError(t, err)
				require.Len(t, w.hosts.Done(), 1, "asked again, and not done again")
			})
		})
	}
}

// A failure with a long log is more than a list holds: it is fetched.
func TestC10_LongAnswersAreFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		w.mem.spoil = func(_, line string) string { return strings.Repeat("noise\n", 500) + line }
		w.hosts.On(fake.Match{Event: lifecycle.AfterInstall}, fake.Fail(lifecycle.ScriptFailed))
		_, err := w.step(t, id, lifecycle.AfterInstall)
		code, _ := codeAndText(err)
		require.Equal(t, lifecycle.ScriptFailed, code, "%v", err)
		require.Equal(t, 1, w.API.Counts()["SSM.GetCommandInvocation"])
	})
}

// C1: an instance that is terminated in the middle of a step is lost within seconds.
func TestC1_TerminatedInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		w.mem.took = func(string, lifecycle.Event) time.Duration { return time.Hour }
		began := time.Now()
		time.AfterFunc(time.Minute, func() { w.Machines.Terminate(id) })
		_, err := w.step(t, id, lifecycle.AfterInstall)
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.UnitLost, code, "%v", err)
		require.Contains(t, text, "in the middle of the step")
		require.Less(t, time.Since(began), 2*time.Minute)
	})
}

// A whole deployment by Run Command behind a target group, with calls that go wrong.
func TestStormBySSM(t *testing.T) {
	for seed := range uint64(seeds(t, 4)) {
		synctest.Test(t, func(t *testing.T) {
			w := newManaged(t)
			defer w.run.Close()
			w.tagged(60)
			w.API.Inject(hanging(storm(seed)))
			d := w.deployment(t, w.managedFleet(webTag), strategy.HalfAtATime())
			fewest := w.world.run(t, func() {
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "map[Succeeded:60]", statuses(res), "seed %d: %+v", seed, res.Failure)
			})
			require.GreaterOrEqual(t, fewest, 30)
			seen := map[lifecycle.Step]bool{}
			for _, s := range w.hosts.Done() {
				require.False(t, seen[s], "%s was done twice", s)
				seen[s] = true
			}
		})
	}
}

// Cancelled, a step goes back to its caller at once; the command is left alone.
func TestCancelledStepsAreLeftToTheHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		w.mem.took = func(string, lifecycle.Event) time.Duration { return 10 * time.Second }
		task := target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}}
		require.ErrorIs(t, w.managedFleet(webTag).Perform(ctx, task), context.Canceled)
		time.Sleep(time.Minute)
		require.Len(t, w.hosts.Done(), 1)
		require.NoError(t, w.managedFleet(webTag).Perform(t.Context(), task))
		require.Len(t, w.hosts.Done(), 1)
	})
}

// C2: hosts that were just launched are not known to Systems Manager at once. They are
// waited for, together, and others are not held up.
func TestC2_FreshHostsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		ids := w.tagged(60)
		reported := time.Now().Add(90 * time.Second)
		w.run.Known = func(id string) bool { return !slices.Contains(ids[30:], id) || time.Now().After(reported) }
		f := w.managedFleet(webTag)
		took, began := make([]time.Duration, len(ids)), time.Now()
		var notes atomic.Int32
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				err := f.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: id, Event: lifecycle.AfterInstall},
					Job: &target.Job{Group: "web"}, Note: func(lifecycle.Note) { notes.Add(1) }})
				if err != nil {
					t.Error(err)
				}
				took[i] = time.Since(began)
			})
		}
		all.Wait()
		require.Less(t, slices.Max(took[:30]), 30*time.Second)
		require.Less(t, slices.Max(took), 2*time.Minute)
		require.Equal(t, int32(30), notes.Load())
		require.Len(t, w.hosts.Done(), 60)
		require.Less(t, w.API.Counts()["SSM.DescribeInstanceInformation"], 20, "asked for together")
	})
}

// Pages without end are an error, and not hosts that have not reported in.
func TestC2_PagesOfHostsThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		w.run.Known = func(string) bool { return false }
		again := "again"
		awsfake.Handle(w.API, sdk.ServiceID, "DescribeInstanceInformation", func(context.Context, *sdk.DescribeInstanceInformationInput) (*sdk.DescribeInstanceInformationOutput, error) {
			return &sdk.DescribeInstanceInformationOutput{NextToken: &again}, nil
		})
		_, err := w.step(t, id, lifecycle.AfterInstall)
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.TargetFailed, code, "%v", err)
		require.Contains(t, text, "twice")
	})
}

// A blue/green deployment does not fail because its instances are new.
func TestBlueGreenBySSMWaitsForTheAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		w.scaled(t, "web", 3)
		w.run.Known = func(id string) bool {
			m, _ := w.Machines.Get(id)
			return w.Machines.Up(id) && time.Since(m.Launched) > 3*time.Minute
		}
		f := w.managedFleet(ec2.Selection{Groups: []string{"web"}})
		f.Green = &ec2.Green{}
		w.world.run(t, func() {
			res, err := w.deployment(t, f, strategy.BlueGreen{}).Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status), "%+v", res.Failure)
		})
	})
}

// One that never reports in is lost, after the time that CodeDeploy gives an event to
// begin.
func TestC2_AHostThatNeverReportsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		defer w.run.Close()
		id := w.tagged(1)[0]
		w.run.Known = func(string) bool { return false }
		began := time.Now()
		_, err := w.step(t, id, lifecycle.AfterInstall)
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.UnitLost, code, "%v", err)
		require.Contains(t, text, "SSM.Arrival")
		require.InDelta(t, (5 * time.Minute).Seconds(), time.Since(began).Seconds(), 15)
	})
}
