package ec2_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// storm lets calls of the AWS APIs go wrong, by chance: refused for too many requests,
// broken, or done and not answered.
func storm(seed uint64) func(awsfake.Call) awsfake.Fault {
	r := rand.New(rand.NewPCG(seed, 7))
	return func(c awsfake.Call) awsfake.Fault {
		switch n := r.IntN(100); {
		case n < 8:
			return awsfake.Throttle
		case n < 11:
			return awsfake.ServerError
		case n < 15 && !strings.HasPrefix(c.Operation, "Describe"):
			return awsfake.LostReply
		case n < 18:
			return awsfake.StaleRead
		}
		return awsfake.NoFault
	}
}

// hanging lets some of the calls that a storm spares go without any answer.
func hanging(storm func(awsfake.Call) awsfake.Fault) func(awsfake.Call) awsfake.Fault {
	return func(c awsfake.Call) awsfake.Fault {
		if f := storm(c); f != awsfake.NoFault || c.N%50 > 1 {
			return f
		}
		return awsfake.Hangs()[c.N%2]
	}
}

// B, C, G, I: a group of 100 in place, while instances vanish and others are launched
// for them, and every fifth call goes wrong.
func TestStormInPlace(t *testing.T) {
	for seed := range uint64(seeds(t, 6)) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			ids := w.scaled(t, "web", 100)
			w.API.Inject(hanging(storm(seed)))
			d := w.deployment(t, w.fleet(ec2.Selection{Groups: []string{"web"}}), strategy.Percent(80))
			d.LostBudget = 5
			r := rand.New(rand.NewPCG(seed, 1))
			var vanished atomic.Int32
			began := time.Now()
			fewest := w.run(t, func() {
				for range 4 {
					id := ids[r.IntN(100)]
					time.AfterFunc(time.Duration(r.IntN(240))*time.Second, func() {
						w.Vanish(id, w.arn)
						vanished.Add(1)
					})
				}
				time.AfterFunc(time.Minute, func() { w.Groups.Alarm("web", 7) }) // not now
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Succeeded", string(res.Status), "seed %d: %+v %s", seed, res.Failure, statuses(res))
				t.Logf("seed %d: %s in %s, %d calls", seed, statuses(res), time.Since(began).Round(time.Minute), len(w.API.Calls()))
				time.Sleep(4 * time.Minute) // who vanished last has a successor
			})
			require.GreaterOrEqual(t, fewest, 80-int(vanished.Load()), "seed %d", seed)
			require.Empty(t, w.Groups.Suspended("web"), "seed %d", seed)
			require.Len(t, w.Groups.Members("web"), 100)
		})
	}
}

// The same, blue/green: nobody ever serves with fewer than the originals that are left.
func TestStormBlueGreen(t *testing.T) {
	for seed := range uint64(seeds(t, 6)) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			ids := w.scaled(t, "web", 100)
			w.API.Inject(hanging(storm(seed)))
			f := w.fleet(ec2.Selection{Groups: []string{"web"}})
			f.Green = &ec2.Green{}
			d := w.deployment(t, f, strategy.BlueGreen{Minimum: strategy.Minimum{Percent: 90}, Ready: strategy.Wait{For: 10 * time.Minute}})
			d.LostBudget = 5
			r := rand.New(rand.NewPCG(seed, 2))
			var vanished atomic.Int32
			began := time.Now()
			fewest := w.run(t, func() {
				for range 3 {
					id := ids[r.IntN(100)]
					time.AfterFunc(time.Duration(60+r.IntN(400))*time.Second, func() {
						w.Vanish(id, w.arn)
						vanished.Add(1)
					})
				}
				res, err := d.Run(t.Context())
				require.NoError(t, err)
				t.Logf("seed %d: %s %s in %s, %d calls", seed, res.Status, statuses(res), time.Since(began).Round(time.Minute), len(w.API.Calls()))
				time.Sleep(4 * time.Minute)
			})
			require.GreaterOrEqual(t, fewest, 100-int(vanished.Load()), "seed %d", seed)
			w.API.Inject(nil)
			for _, name := range w.Groups.Names() {
				require.Empty(t, w.Groups.Suspended(name), "seed %d", seed)
				if members := w.Groups.Members(name); slices.ContainsFunc(w.Serving(w.arn), func(id string) bool { return slices.Contains(members, id) }) {
					require.Equal(t, []string{w.arn}, w.group(t, name).TargetGroupARNs, "seed %d: what serves is behind the load balancer for good", seed)
				}
			}
		})
	}
}

// seeds is how many seeds a test tries: few in a hurry.
func seeds(t *testing.T, n int) int {
	if testing.Short() {
		return 1
	}
	return n
}

var errKilled = errors.New("killed")

// killer is a journal whose controller dies at its n-th write, before or after it is
// durable. Then nothing can be written until it is opened again.
type killer struct {
	journal.Journal
	at    int // from 1; 0: never
	after bool
	n     int
}

func (k *killer) Reader(group string) journal.Reader {
	return k.Journal.(journal.Readable).Reader(group)
}

func (k *killer) Open(ctx context.Context, group string) (journal.Log, error) {
	l, err := k.Journal.Open(ctx, group)
	return &killLog{Log: l, k: k}, err
}

type killLog struct {
	journal.Log
	k *killer
}

func (l *killLog) Append(ctx context.Context, records ...lifecycle.Record) error {
	if l.k.n++; l.k.n != l.k.at {
		return l.Log.Append(ctx, records...)
	}
	if l.k.after {
		if err := l.Log.Append(ctx, records...); err != nil {
			return err
		}
	}
	return errKilled
}

// kill runs a deployment, killing its controller at the n-th write of the journal, and
// ends it with another one. It reports whether there was such a write.
func (w *world) kill(t *testing.T, n int, after bool, fleet func() *ec2.Fleet, s strategy.Strategy) (res *cutover.Result, killed bool) {
	t.Helper()
	k := &killer{Journal: &journal.Memory{}, at: n, after: after}
	d := w.deployment(t, fleet(), s)
	d.Journal, d.ID = k, "d-1"
	res, err := d.Run(t.Context())
	if err == nil {
		return res, false
	}
	require.ErrorIs(t, err, errKilled)
	again := w.deployment(t, fleet(), s)
	again.Journal, again.ID = k, "d-1"
	return w.goOn(t, again), true
}

// goOn ends a deployment that somebody has begun, or thought to begin.
func (w *world) goOn(t *testing.T, d *cutover.Deployment) *cutover.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour) // there is nobody to wait for
	defer cancel()
	res, err := d.Resume(ctx, "")
	if errors.Is(err, cutover.ErrNothingToResume) { // it had not begun, or had ended
		if ids, _ := d.Journal.(journal.Readable).Reader("web").Deployments(ctx); len(ids) == 0 {
			res, err = d.Run(ctx)
		} else {
			res, err = d.Resume(ctx, d.ID)
		}
	}
	require.NoError(t, err)
	return res
}

// A5, A6: killed at every write of the journal, before and after it, another controller
// brings the deployment to the same end, nothing is done twice, and no process is left
// suspended.
func TestKilledAtEveryWrite(t *testing.T) {
	for name, c := range map[string]struct {
		strategy strategy.Strategy
		green    bool
		fault    *fake.Match
		status   string
		groups   []string
	}{
		"in place":             {strategy.HalfAtATime(), false, nil, "Succeeded", []string{"web"}},
		"in place, failing":    {strategy.OneAtATime(), false, &fake.Match{Event: lifecycle.Install, Nth: 2}, "Failed", []string{"web"}},
		"blue/green":           {strategy.BlueGreen{}, true, nil, "Succeeded", []string{"web-d-1"}},
		"blue/green, kept":     {strategy.BlueGreen{KeepAlive: true}, true, nil, "Succeeded", []string{"web", "web-d-1"}},
		"blue/green, failing":  {strategy.BlueGreen{}, true, &fake.Match{Event: lifecycle.BeforeAllowTraffic}, "Failed", []string{"web"}},
		"blue/green, refusing": {strategy.BlueGreen{}, true, &fake.Match{Event: lifecycle.Start}, "Failed", []string{"web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, after := range []bool{false, true} {
				sweep(t, 1, killtest.Every(1, 11), func(t *testing.T, n int) (more bool) {
					w := newWorld(t)
					w.scaled(t, "web", 4)
					if c.fault != nil {
						w.hosts.On(*c.fault, fake.Fail(lifecycle.ScriptFailed))
					}
					fleet := func() *ec2.Fleet {
						f := w.fleet(ec2.Selection{Groups: []string{"web"}})
						if c.green {
							f.Green = &ec2.Green{}
						}
						return f
					}
					var res *cutover.Result
					w.run(t, func() {
						res, more = w.kill(t, n, after, fleet, c.strategy)
						time.Sleep(5 * time.Minute)
					})
					require.Equal(t, c.status, string(res.Status), "write %d, after %v: %+v", n, after, res.Failure)
					require.Equal(t, c.groups, w.Groups.Names(), "write %d, after %v", n, after)
					for _, g := range c.groups {
						require.Empty(t, w.Groups.Suspended(g), "write %d, after %v: %s", n, after, g)
					}
					require.Len(t, w.Serving(w.arn), 4, "write %d, after %v", n, after)
					done := w.hosts.Done()
					for i, s := range done {
						require.Equal(t, i, slices.Index(done, s), "write %d, after %v: %s was done twice", n, after, s)
					}
					return more
				})
			}
		})
	}
}
