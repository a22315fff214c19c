package fake_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// meddled is a surface whose traffic others change.
type meddled interface {
	surface
	target.Snapshotter
	Interfere(string, lifecycle.Weight)
}

// witness stands between the engine and a fake, and sees whether traffic that somebody
// else has changed is overwritten without a word. What it lets through may be bent:
// then it is a planted bug of the engine.
type witness struct {
	meddled
	weights func() map[string]lifecycle.Weight
	bend    func(*target.Task)

	mu        sync.Mutex
	ours      map[string]lifecycle.Weight // what the deployment has set, or found
	continued map[string]bool
	meddlings int
	broken    string
}

func (w *witness) Perform(ctx context.Context, t target.Task) error {
	if w.bend != nil {
		w.bend(&t)
	}
	unit := t.Step.Unit
	before := w.weights()[unit]
	err := w.meddled.Perform(ctx, t)
	if e := t.Step.Event; err != nil || t.Job.Rollback || e != lifecycle.AllowTraffic && e != lifecycle.BlockTraffic {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	after := w.weights()[unit]
	if before != w.ours[unit] && before != after && before != t.Step.Weight && !w.continued[unit] {
		w.broken = fmt.Sprintf("%s: %s had %d %% from somebody else, and has %d %%", t.Step, unit, before, after)
	}
	w.ours[unit] = t.Step.Weight
	delete(w.continued, unit)
	return err
}

func (w *witness) Balanced() bool {
	b, ok := w.meddled.(target.Balanced)
	return ok && b.Balanced()
}

func (w *witness) Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	return w.meddled.(target.Pool).Provision(ctx, deployment, n)
}

func (w *witness) Retire(ctx context.Context, unit string) error {
	return w.meddled.(target.Pool).Retire(ctx, unit)
}

// observe looks at what the engine says.
func (w *witness) observe(r lifecycle.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.Kind == lifecycle.Released && r.Step.Unit != "":
		w.continued[r.Step.Unit] = true
	case r.Kind == lifecycle.Noted && strings.Contains(string(r.Data), "holds: it goes on by itself when that is put back") && w.meddlings == 0:
		w.broken = "it holds, and nobody has changed anything"
	}
}

// meddle lets others change traffic and health for some hours, and then lets somebody
// say Continue now and then, so that it ends.
func (w *witness) meddle(ctx context.Context, d *cutover.Deployment, units []lifecycle.Unit, dice *rand.Rand, whole bool) {
	for n := range 400 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(1+dice.IntN(1200)) * time.Second):
		}
		u := units[dice.IntN(len(units))]
		switch k := dice.IntN(6); {
		case n > 30:
			w.SetHealth(u.ID, true)
			_ = d.Continue(ctx, "enough") // there may be nothing to continue
		case k == 0 && dice.IntN(3) == 0:
			to := lifecycle.Weight(100)
			if whole {
				to = lifecycle.Weight(dice.IntN(101))
			}
			w.mu.Lock()
			w.meddlings++
			w.Interfere(u.ID, to)
			w.mu.Unlock()
		case k == 1:
			w.SetHealth(u.ID, false)
		case k == 2:
			w.SetHealth(u.ID, true)
		case k == 3:
			_ = d.Continue(ctx, "goes on")
		}
	}
}

// lives runs one seed and says what was wrong.
func lives(t *testing.T, kind string, seed uint64, bend func(*target.Task)) string {
	s := kinds[kind](t)
	dice := rand.New(rand.NewPCG(seed, 3))
	w := &witness{meddled: s.surface.(meddled), weights: s.weights, bend: bend, continued: map[string]bool{}, ours: s.weights()}
	s.deploy.Target = w
	s.Randomize(seed, fake.Rates{Fail: 0.02, MaxDelay: time.Minute})
	check := s.deploy.Observe
	s.deploy.Observe = func(r lifecycle.Record) { check(r); w.observe(r) }
	units, err := w.Units(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.meddle(ctx, s.deploy, units, dice, s.whole) }()
	res := s.runKilled(t, rand.New(rand.NewPCG(seed, 4)))
	cancel()
	<-done
	if res.Status == strategy.DeploymentSucceeded && res.Failure != nil {
		return "success with a failure"
	}
	return w.broken
}

// G3, G17, H4, invariants 3 and 22, with the real engine: others change traffic and
// health at any time, the controller is killed, somebody says Continue. Every deployment
// ends, and what others have set is not overwritten unless somebody has said so.
func TestG3_OthersMeddle(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	each(t, func(t *testing.T, kind string) {
		for seed := range seeds {
			require.Empty(t, lives(t, kind, seed, nil), "%s, seed %d", kind, seed)
		}
	})
}

// Planted bugs of the engine's side are found.
func TestG3_PlantedBugs(t *testing.T) {
	bugs := map[string]func(*target.Task){
		"expects nothing":           func(t *target.Task) { t.Expect = nil },
		"overwrites without a word": func(t *target.Task) { t.Foreign = target.OverwriteForeign },
		"adopts without a word":     func(t *target.Task) { t.Foreign = target.AdoptForeign },
		"expects what was never there": func(t *target.Task) {
			if t.Expect != nil {
				one := *t.Expect + 1
				t.Expect = &one
			}
		},
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			found := ""
			for seed := uint64(0); seed < 200 && found == ""; seed++ {
				synctest.Test(t, func(t *testing.T) { found = lives(t, "ECS", seed, bug) })
			}
			require.NotEmpty(t, found)
			t.Log(found)
		})
	}
}
