package ecs_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecssdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbsdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ecs"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// What the emulator does unfaithfully. Each line is covered by the service in memory; what
// the driver cannot do without is mended by [mended].
//
//   - Task sets have no tasks: their counts are 0, and they are always steady. Mended.
//   - Tasks do not register themselves as targets. Mended: addresses are registered.
//   - Targets are healthy at once, and gone at once; no group is ever unused.
//   - A client token does not make a call idempotent; a repetition is found by the external id.
//   - Weights above 999 and unknown target groups are accepted, the default rule can be changed.
//   - A forward action that was written in short lacks its ForwardConfig.
//   - No stopped tasks, so no crash loops; no service deployments at all.

// mended is a client of the emulator whose task sets have tasks.
type mended struct {
	*ecssdk.Client
	elb *elbsdk.Client
	mu  sync.Mutex
	n   int
}

func (m *mended) CreateTaskSet(ctx context.Context, in *ecssdk.CreateTaskSetInput, o ...func(*ecssdk.Options)) (*ecssdk.CreateTaskSetOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var targets []elbtypes.TargetDescription
	for range 2 {
		m.n++
		targets = append(targets, elbtypes.TargetDescription{Id: aws.String(fmt.Sprintf("172.31.0.%d", 10+m.n))})
	}
	// First, so that no controller that is killed leaves a set without targets.
	_, err := m.elb.RegisterTargets(ctx, &elbsdk.RegisterTargetsInput{TargetGroupArn: in.LoadBalancers[0].TargetGroupArn, Targets: targets})
	if err != nil {
		return nil, err
	}
	return m.Client.CreateTaskSet(ctx, in, o...)
}

func (m *mended) DescribeServices(ctx context.Context, in *ecssdk.DescribeServicesInput, o ...func(*ecssdk.Options)) (*ecssdk.DescribeServicesOutput, error) {
	out, err := m.Client.DescribeServices(ctx, in, o...)
	if err != nil {
		return out, err
	}
	for _, svc := range out.Services {
		for i := range svc.TaskSets {
			svc.TaskSets[i].ComputedDesiredCount, svc.TaskSets[i].RunningCount = svc.DesiredCount, svc.DesiredCount
		}
	}
	return out, nil
}

// DeleteTaskSet lets the targets of the set go as well.
func (m *mended) DeleteTaskSet(ctx context.Context, in *ecssdk.DeleteTaskSetInput, o ...func(*ecssdk.Options)) (*ecssdk.DeleteTaskSetOutput, error) {
	svc, err := m.Client.DescribeServices(ctx, &ecssdk.DescribeServicesInput{Cluster: in.Cluster, Services: []string{*in.Service}})
	if err != nil {
		return nil, err
	}
	for _, set := range svc.Services[0].TaskSets {
		if *set.TaskSetArn != *in.TaskSet {
			continue
		}
		group := set.LoadBalancers[0].TargetGroupArn
		health, err := m.elb.DescribeTargetHealth(ctx, &elbsdk.DescribeTargetHealthInput{TargetGroupArn: group})
		if err != nil {
			return nil, err
		}
		var targets []elbtypes.TargetDescription
		for _, d := range health.TargetHealthDescriptions {
			targets = append(targets, *d.Target)
		}
		if _, err := m.elb.DeregisterTargets(ctx, &elbsdk.DeregisterTargetsInput{TargetGroupArn: group, Targets: targets}); err != nil {
			return nil, err
		}
	}
	return m.Client.DeleteTaskSet(ctx, in, o...)
}

// emulated is the world in an emulator, over the wire.
func emulated(t testing.TB, server *moto.Server) *world {
	t.Helper()
	server.Post(t, "/moto-api/reset", "")
	w := &world{TB: t, protocol: elbtypes.ProtocolEnumHttp}
	w.subnets, w.vpc = network(t, server.URL)
	w.elb = elbsdk.NewFromConfig(server.Config())
	w.build(server.Config())
	_, err := w.elb.RegisterTargets(t.Context(), &elbsdk.RegisterTargetsInput{TargetGroupArn: &w.blue, Targets: []elbtypes.TargetDescription{
		{Id: aws.String("172.31.0.5")}, {Id: aws.String("172.31.0.6")}}})
	require.NoError(t, err)
	return w
}

// network asks the emulator for its default network, without the large client of EC2.
func network(t testing.TB, at string) (subnets []string, vpc *string) {
	t.Helper()
	form := url.Values{"Action": {"DescribeSubnets"}, "Version": {"2016-11-15"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var found struct {
		Items []struct {
			ID  string `xml:"subnetId"`
			VPC string `xml:"vpcId"`
		} `xml:"subnetSet>item"`
	}
	require.NoError(t, xml.Unmarshal(body, &found))
	require.GreaterOrEqual(t, len(found.Items), 2, "%s", body)
	for _, s := range found.Items[:2] {
		subnets = append(subnets, s.ID)
	}
	return subnets, &found.Items[0].VPC
}

// over is the service over the wire.
func (w *world) over() *ecs.Service {
	s := quick(w.service())
	s.ECS = &mended{Client: w.ecs, elb: w.elb}
	return s
}

func TestConformanceOverTheWire(t *testing.T) {
	server := moto.Start(t, "MOTO_ECS_SERVICE_RUNNING=1")
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		w := emulated(t, server)
		s := w.over()
		return &targettest.Harness{Target: s, Job: w.job(s), Reopen: func() (target.Target, error) { return w.over(), nil },
			Walk: func(u lifecycle.Unit) []lifecycle.Event {
				if u.ID == "web-blue" && u.Role == lifecycle.OriginalRole {
					return []lifecycle.Event{lifecycle.BeforeAllowTraffic}
				}
				return w.walk(u)
			}}
	})
}

// overTheWire makes the deployment of a scenario with time compressed by configuration.
func (sc scenario) overTheWire(ctx context.Context, w *world, j journal.Journal) *cutover.Deployment {
	const short = 50 * time.Millisecond
	wait := short
	if sc.shift.Every > 0 {
		sc.shift.Every = short
	}
	if sc.seen != nil { // so that there is time to see it
		wait = 2 * time.Second
		sc.shift.Every = min(sc.shift.Every*1000, wait)
	}
	d := sc.prepare(ctx, w, j)
	d.Strategy = strategy.ECS{Shift: sc.shift, Termination: strategy.Wait{For: wait}}
	d.Target = w.over()
	d.Watch.Every = short
	return d
}

// End to end over the wire, with time compressed by configuration, each with weights, task
// sets and auto scaling read back through the plain SDK.
func TestEndToEndOverTheWire(t *testing.T) {
	server := moto.Start(t, "MOTO_ECS_SERVICE_RUNNING=1")
	for name, sc := range scenarios {
		if name == "crash loop" { // there are no tasks that could crash
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := emulated(t, server)
			ctx := t.Context()
			d := sc.overTheWire(ctx, w, &w.log)
			res, err := d.Run(ctx)
			require.NoError(t, err)
			sc.ends(w, res)
		})
	}
}
