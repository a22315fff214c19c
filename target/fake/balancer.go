package fake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Balancer is a [target.Traffic] in memory. Units have weight 0 until told
// otherwise. The zero value is ready; it must not be copied after use. All
// methods may be called from many goroutines.
type Balancer struct{ scales }

var _ target.Traffic = (*Balancer)(nil)

// SetWeight implements [target.Traffic].
func (b *Balancer) SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if w < 0 || w > target.Full {
		return fmt.Errorf("fake: weight %d for %s is not from 0 to 100", w, unit)
	}
	if b.busy() {
		return errThrottled
	}
	b.set(0, share{unit, w})
	return nil
}

// Throttle refuses the next n calls of SetWeight: too many requests.
func (b *Balancer) Throttle(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.throttle = n
}

var errThrottled = errors.New("fake: throttled: too many requests, try again later")

// Shift is one change of a weight.
type Shift struct {
	Unit     string
	From, To lifecycle.Weight
}

// scales hold weights, and what they were.
type scales struct {
	mu       sync.Mutex
	weights  map[string]lifecycle.Weight
	old      map[string]staleWeight
	lag      time.Duration
	throttle int
	history  []Shift
}

// staleWeight is what reads say of a weight until it is true no longer for all.
type staleWeight struct {
	weight lifecycle.Weight
	until  time.Time
}

type share struct {
	unit   string
	weight lifecycle.Weight
}

func (s *scales) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttle--
	return s.throttle >= 0
}

// set changes weights all at once. Reads of them lag behind by stale.
func (s *scales) set(stale time.Duration, to ...share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grow()
	for _, one := range to {
		from := s.weights[one.unit]
		if from == one.weight {
			continue
		}
		s.history = append(s.history, Shift{one.unit, from, one.weight})
		s.weights[one.unit] = one.weight
		if d := max(stale, s.lag); d > 0 {
			s.old[one.unit] = staleWeight{from, time.Now().Add(d)}
		}
	}
	for _, one := range to {
		s.weights[one.unit] = one.weight // also those that stay 0 are known now
	}
}

func (s *scales) grow() {
	if s.weights == nil {
		s.weights, s.old = map[string]lifecycle.Weight{}, map[string]staleWeight{}
	}
}

// begin gives a unit that is not known yet its first weight, which is no change.
func (s *scales) begin(unit string, w lifecycle.Weight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grow()
	if _, known := s.weights[unit]; !known {
		s.weights[unit] = w
	}
}

func (s *scales) forget(unit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.weights, unit)
	delete(s.old, unit)
}

// now is the weight as it is, whatever reads say.
func (s *scales) now(unit string) lifecycle.Weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.weights[unit]
}

// snapshot is what everybody has, for those who are to be deployed to.
func (s *scales) snapshot(ctx context.Context) (target.Snapshot, error) {
	if err := context.Cause(ctx); err != nil {
		return target.Snapshot{}, err
	}
	return target.Snapshot{Weights: s.Weights()}, nil
}

// Lag lets reads of weights that change from now on say the old value for d. See
// also [StaleRead].
func (s *scales) Lag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = d
}

// Weight reads a weight, as [target.Traffic] has it. It may lag behind.
func (s *scales) Weight(ctx context.Context, unit string) (lifecycle.Weight, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.old[unit]; ok && time.Now().Before(o.until) {
		return o.weight, nil
	}
	return s.weights[unit], nil
}

// Weights returns the weight of every unit that was ever given one, as it is: it
// never lags behind.
func (s *scales) Weights() map[string]lifecycle.Weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.weights)
}

// History returns every change so far, in order. Setting a weight that a unit
// already has is not a change.
func (s *scales) History() []Shift {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Shift(nil), s.history...)
}
