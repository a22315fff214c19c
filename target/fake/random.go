package fake

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Rates says how often random faults hit a step, each from 0 (never) to 1
// (always).
type Rates struct {
	Fail      float64 // with code ScriptFailed
	LoseReply float64
	Vanish    float64
	MaxDelay  time.Duration // steps take from nothing to this, evenly; zero: no time
}

// Randomize adds random faults to every step. What happens to a step depends on
// the seed, the step's key and how often it was tried, and not on the order in
// which goroutines run, so a seed says the same each time.
func (d *doer) Randomize(seed uint64, rates Rates) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.random = &random{seed: seed, rates: rates, tries: map[string]uint64{}}
}

type random struct {
	seed  uint64
	rates Rates
	tries map[string]uint64
}

func (r *random) fault(s lifecycle.Step) fault {
	key := s.Key()
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // a hash takes everything
	dice := rand.New(rand.NewPCG(r.seed, h.Sum64()+r.tries[key]))
	r.tries[key]++
	var f fault
	if r.rates.MaxDelay > 0 {
		f.delay = time.Duration(dice.Int64N(int64(r.rates.MaxDelay) + 1))
	}
	// Every rate takes its number, so that changing one leaves the others' hits.
	fail, lose, vanish := dice.Float64(), dice.Float64(), dice.Float64()
	if fail < r.rates.Fail {
		f.fail = Fail(lifecycle.ScriptFailed).f.fail
	}
	f.loseReply = lose < r.rates.LoseReply
	f.vanish = vanish < r.rates.Vanish
	return f
}
