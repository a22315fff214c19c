package ec2

import (
	"context"
	"encoding/json"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// before is what a snapshot keeps of Auto Scaling groups.
type before struct {
	Groups map[string]groupBefore `json:"groups,omitempty"`
}

type groupBefore struct {
	Desired   int32    `json:"desired"`
	Min       int32    `json:"min"`
	Max       int32    `json:"max"`
	Suspended []string `json:"suspended,omitempty"`
}

// Snapshot reads which hosts are registered with the load balancers, and how the Auto
// Scaling groups are set. It refuses load balancers that cannot do their part: target
// groups that do not exist, that have no targets of type instance, or that no listener
// leads to.
func (f *Fleet) Snapshot(ctx context.Context, _ *target.Job) (target.Snapshot, error) {
	if err := f.valid(); err != nil {
		return target.Snapshot{}, err
	}
	f.init()
	s := target.Snapshot{}
	if f.Balancers != nil {
		if err := f.Balancers.preflight(ctx); err != nil {
			return s, err
		}
		all, err := f.Balancers.agreed(ctx)
		if err != nil {
			return s, err
		}
		s.Weights = map[string]lifecycle.Weight{}
		f.mu.Lock()
		for id := range f.known {
			s.Weights[id] = all[id]
		}
		f.mu.Unlock()
	}
	blue, _, err := f.groups(ctx)
	if err != nil || len(blue) == 0 {
		return s, err
	}
	b := before{Groups: map[string]groupBefore{}}
	for _, g := range blue {
		b.Groups[nameOf(g)] = groupBefore{Desired: value(g.DesiredCapacity), Min: value(g.MinSize), Max: value(g.MaxSize), Suspended: suspended(g)}
	}
	s.Data, err = json.Marshal(b)
	return s, err
}

func value(p *int32) int32 {
	if p == nil {
		return 0
	}
	return *p
}
