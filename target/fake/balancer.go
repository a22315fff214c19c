package fake

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Balancer is a [target.Traffic] in memory. Units have weight 0 until told
// otherwise. The zero value is ready; it must not be copied after use. All
// methods may be called from many goroutines.
type Balancer struct {
	mu      sync.Mutex
	weights map[string]lifecycle.Weight
	history []Shift
}

var _ target.Traffic = (*Balancer)(nil)

// Shift is one change of a weight.
type Shift struct {
	Unit     string
	From, To lifecycle.Weight
}

// SetWeight implements [target.Traffic].
func (b *Balancer) SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if w < 0 || w > target.Full {
		return fmt.Errorf("fake: weight %d for %s is not from 0 to 100", w, unit)
	}
	b.set(unit, w)
	return nil
}

func (b *Balancer) set(unit string, w lifecycle.Weight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.weights == nil {
		b.weights = map[string]lifecycle.Weight{}
	}
	if from := b.weights[unit]; from != w {
		b.history = append(b.history, Shift{unit, from, w})
	}
	b.weights[unit] = w
}

// Weight implements [target.Traffic].
func (b *Balancer) Weight(ctx context.Context, unit string) (lifecycle.Weight, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.weights[unit], nil
}

// Weights returns the weight of every unit that was ever given one.
func (b *Balancer) Weights() map[string]lifecycle.Weight {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.weights)
}

// History returns every change so far, in order. Setting a weight that a unit
// already has is not a change.
func (b *Balancer) History() []Shift {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Shift(nil), b.history...)
}
