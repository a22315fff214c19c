package ec2_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake/ssm"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// memory is a [ec2.Store] in memory, and hosts whose agents are in this process: they
// do what a batch says on the hosts of a fake fleet, and sign the result as agents do.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
	hosts *fake.Fleet
	took  func(host string, e lifecycle.Event) time.Duration // nil: 2 s
	spoil func(host, line string) string                     // changes what is printed; nil: nothing
}

func (m *memory) Put(_ context.Context, name string, content io.ReadSeeker) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.HasPrefix(name, "batches/") {
		data, err := io.ReadAll(content)
		m.files["mem://"+name] = data
		return "mem://" + name, err
	}
	return "mem://" + name, nil
}

var batchAddress = regexp.MustCompile(`mem://batches/[0-9a-f]+\.json`)

func (m *memory) run(ctx context.Context, host, script string) ssm.Ended {
	m.mu.Lock()
	data := m.files[batchAddress.FindString(script)]
	m.mu.Unlock()
	var b agent.Batch
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(data), mark, host)), &b); err != nil {
		return ssm.Ended{Stderr: err.Error(), Exit: 90}
	}
	var r agent.Result
	for _, s := range b.Steps {
		d := 2 * time.Second
		if m.took != nil {
			d = m.took(host, s.Event)
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ssm.Ended{Exit: 1}
		}
		o := agent.Outcome{Key: s.Key()}
		err := m.hosts.Perform(ctx, target.Task{Step: s, Job: b.Job, Note: func(n lifecycle.Note) { o.Notes = append(o.Notes, n) }})
		if e, ok := err.(*lifecycle.Error); ok {
			o.Failure = &e.Failure
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	line := sign(r, b.Key)
	if m.spoil != nil {
		line = m.spoil(host, line)
	}
	return ssm.Ended{Stdout: line + "\n"}
}

// sign is how an agent signs, by the description of its protocol.
func sign(r agent.Result, key []byte) string {
	data, _ := json.Marshal(r) // plain fields always marshal
	h := hmac.New(sha256.New, key)
	h.Write(data)
	out, _ := json.Marshal(struct {
		Result json.RawMessage `json:"result"`
		MAC    []byte          `json:"mac"`
	}{data, h.Sum(nil)})
	return string(out)
}

// managed is a world whose hosts are reached by Run Command.
type managedWorld struct {
	*world
	mem   *memory
	run   *ssm.SSM
	reach *ec2.SSM
}

func newManaged(t *testing.T) *managedWorld {
	t.Helper()
	w := &managedWorld{world: newWorld(t)}
	w.mem = &memory{files: map[string][]byte{}, hosts: w.hosts}
	w.run = ssm.New(w.API, w.mem.run)
	w.run.Known = w.Machines.Up
	w.reach = &ec2.SSM{Client: sdk.NewFromConfig(w.API.Config()), Store: w.mem}
	t.Cleanup(w.run.Close)
	return w
}

func (w *managedWorld) managedFleet(s ec2.Selection) *ec2.Fleet {
	f := w.fleet(s)
	f.Reach = w.reach
	return f
}

// counted is EC2 that counts the calls of DescribeInstances that a look takes.
type counted struct {
	ec2.Instances
	n atomic.Int32
}

func (c *counted) Describe(ctx context.Context, q ec2.Query) ([]ec2.Instance, error) {
	c.n.Add(int32(max(1, (len(q.IDs)+199)/200)))
	return c.Instances.Describe(ctx, q)
}

// 10,000 hosts: a command for 50, polls that grow with commands, under the rates that
// AWS grants. Balancers play no part: a target group has room for 1,000.
func TestTenThousandHosts(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		w := newManaged(t)
		for i := range n {
			w.units = append(w.units, lifecycle.Unit{ID: w.Machines.Launch(fmt.Sprint("zone-", i%3), map[string]string{"role": "web"})})
		}
		w.hosts.SetUnits(w.units...)
		time.Sleep(time.Minute)
		cfg := w.API.Config()
		(&throttle.Limits{}).Attach(&cfg)
		w.reach.Client = sdk.NewFromConfig(cfg)
		w.mem.took = func(host string, e lifecycle.Event) time.Duration { // some are slower
			return time.Second + time.Duration(int(host[len(host)-1])*int(e[0])%40)*100*time.Millisecond
		}
		f := w.managedFleet(webTag)
		looks := &counted{Instances: f.Instances}
		f.Balancers, f.Instances = nil, looks
		began := time.Now()
		d := &cutover.Deployment{Group: "web", Revision: revision.Dir("testdata/revision"), Target: f, Strategy: strategy.AllAtOnce(),
			Journal: &journal.Memory{}, WorkDir: t.TempDir(), Parallel: n}
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("map[Succeeded:%d]", n), statuses(res))
		events := len(lifecycle.InPlace.Events())
		calls := w.API.Counts()
		sends, polls := calls["SSM.SendCommand"], calls["SSM.ListCommandInvocations"]
		t.Logf("%d hosts, %d events: %d sends (%.1f per event; N/50 is %d), %d polls (%.1f per command), %d looks at instances, 200 at once, %s of virtual time",
			n, events, sends, float64(sends)/float64(events), n/50, polls, float64(polls)/float64(sends), looks.n.Load(), time.Since(began).Round(time.Second))
		require.LessOrEqual(t, int(looks.n.Load()), sends, "whether instances are still there")
		require.LessOrEqual(t, sends, (n/50+1)*events, "one for 50, and one for those that come late to an event")
		require.LessOrEqual(t, polls, 10*sends, "polls grow with commands, not with hosts")
	})
}
