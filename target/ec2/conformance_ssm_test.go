package ec2_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake/elb"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// told is a hook that does what files in the directory CONTROL say: it counts its runs,
// goes on for as long as they are there, or fails.
const told = `#!/bin/sh
key="$DEPLOYMENT_ID-$(basename "$(dirname "$CUTOVER_ROOT")")-$LIFECYCLE_EVENT"
echo run >> "$CONTROL/runs-$key"
while [ -e "$CONTROL/slow-$key" ]; do sleep 0.1; done
if [ -e "$CONTROL/fail-$key" ]; then echo "told to fail"; exit 3; fi
`

// behind puts the fleet behind a target group whose targets go through initial, healthy
// and draining as those of AWS do, in seconds. It returns its driver and its ARN.
func (r *real) behind(t *testing.T) (*elb.ELB, string, func() *ec2.Balancers) {
	t.Helper()
	e := elb.New(r.api)
	e.Exists, e.Registering = r.world.Up, 300*time.Millisecond
	c, ctx := elbv2.NewFromConfig(r.api.Config()), t.Context()
	lb, err := c.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web")})
	require.NoError(t, err)
	g, err := c.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, HealthCheckIntervalSeconds: aws.Int32(1)})
	require.NoError(t, err)
	arn := g.TargetGroups[0].TargetGroupArn
	_, err = c.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: arn,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")}}})
	require.NoError(t, err)
	_, err = c.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}})
	require.NoError(t, err)
	for _, id := range r.ids {
		require.NoError(t, e.Register(*arn, elbtypes.TargetDescription{Id: aws.String(id)}))
	}
	return e, *arn, func() *ec2.Balancers {
		return &ec2.Balancers{TargetGroups: []string{"web"}, V2: c, Poll: 100 * time.Millisecond, Gather: -1}
	}
}

// prepared fetches the revision before the first step of the suite on a host: the suite
// begins with an event that has a script.
type prepared struct {
	*ec2.Fleet
	mu   sync.Mutex
	done map[string]*sync.Mutex
	did  map[string]bool
}

func (p *prepared) Perform(ctx context.Context, t target.Task) error {
	if t.Step.Event != lifecycle.BlockTraffic && t.Step.Event != lifecycle.AllowTraffic {
		if err := p.prepare(ctx, t); err != nil {
			return err
		}
	}
	return p.Fleet.Perform(ctx, t)
}

func (p *prepared) prepare(ctx context.Context, t target.Task) error {
	p.mu.Lock()
	if p.done[t.Step.Unit] == nil {
		p.done[t.Step.Unit] = &sync.Mutex{}
	}
	one := p.done[t.Step.Unit]
	p.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	if p.did[t.Step.Unit] || ctx.Err() != nil {
		return nil
	}
	for _, e := range []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle} {
		first := t
		first.Step.Event, first.Note = e, nil
		if err := p.Fleet.Perform(ctx, first); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did[t.Step.Unit] = true
	return nil
}

// The contract of targets, kept by instances whose agents are processes of this
// machine, reached by Run Command, behind a target group.
func TestSSMKeepsTheContractOfTargets(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED the contract of targets over Run Command: it takes a minute")
	}
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		r, control := newReal(t, 2), t.TempDir()
		balancer, arn, balancers := r.behind(t)
		open := func() *prepared {
			f := r.fleet()
			f.Reach, f.Balancers = r.newReach(), balancers()
			return &prepared{Fleet: f, done: map[string]*sync.Mutex{}, did: map[string]bool{}}
		}
		first := open()
		file := func(what string, s lifecycle.Step) string {
			return filepath.Join(control, what+"-"+s.Deployment+"-"+s.Unit+"-"+string(s.Event))
		}
		tell := func(what string) func(lifecycle.Step) {
			return func(s lifecycle.Step) { require.NoError(t, os.WriteFile(file(what, s), nil, 0o644)) }
		}
		return &targettest.Harness{
			Target: first, Traffic: first.Balancers, Job: toldJob(t, control),
			Events:   []lifecycle.Event{lifecycle.BeforeInstall, lifecycle.BlockTraffic, lifecycle.AfterInstall, lifecycle.AllowTraffic},
			Patience: 12 * time.Second, Compares: true,
			Reopen: func() (target.Target, error) { return open(), nil },
			Slow:   tell("slow"), Fail: tell("fail"),
			Sick: func(unit string) { balancer.SetHealth(arn, unit, elb.Failing) },
			Effects: func(s lifecycle.Step) int {
				if s.Event == lifecycle.BlockTraffic || s.Event == lifecycle.AllowTraffic {
					// It is absolute: it has been had, or not. A reading of a controller that has
					// not made the last change may be a second old, so nobody's is used.
					weight, err := balancers().Weight(t.Context(), s.Unit)
					if err == nil && (weight > 0) == (s.Event == lifecycle.AllowTraffic) {
						return 1
					}
					return 0
				}
				text, _ := os.ReadFile(file("runs", s)) // no file: it never ran
				return strings.Count(string(text), "run")
			},
		}
	})
}

// toldJob deploys a revision whose events run the hook that is told what to do.
func toldJob(t *testing.T, control string) *target.Job {
	t.Helper()
	dir := t.TempDir()
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\nhooks:\n"
	for _, e := range []lifecycle.Event{lifecycle.BeforeInstall, lifecycle.AfterInstall} {
		spec += "  " + string(e) + ":\n    - location: hook.sh\n      timeout: 90\n"
	}
	for name, text := range map[string]string{"appspec.yml": spec, "hook.sh": told, "page.txt": "one"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	src := revision.Dir(dir)
	b, err := src.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	return &target.Job{Application: "app", Group: "web", Bundle: b, Env: []string{"CONTROL=" + control},
		Revision: revision.Revision{Location: src.Location(), Digest: b.Manifest.Digest()}}
}
