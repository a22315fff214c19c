package ec2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// onHost does a step on a host, and gives it up when the instance is no more.
func (f *Fleet) onHost(ctx context.Context, m *member, t target.Task) error {
	every := f.watch()
	if every == 0 || isHybrid(m.ID) { // a connection that is lost may come back, and the host works on without
		return m.host.Perform(ctx, t)
	}
	f.watching(m.ID, 1)
	defer f.watching(m.ID, -1)
	both, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if err := f.vanished(both, m.ID, every); err != nil {
			cancel(err)
		}
	})
	err := m.host.Perform(both, t)
	cancel(nil)
	all.Wait()
	return err
}

// vanished returns an error when the instance can no longer be deployed to, and nil
// when ctx is cancelled.
func (f *Fleet) vanished(ctx context.Context, id string, every time.Duration) error {
	for mark := f.states.Mark(); ; {
		if sleep(ctx, every) != nil {
			return nil
		}
		states, at, err := f.states.After(ctx, mark)
		if err != nil {
			continue // nothing is known; the step goes on
		}
		mark = at
		if why := lostStates[states[id]]; why != "" {
			return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.UnitLost, Message: fmt.Sprintf("%s: %s in the middle of the step", id, why)}}
		}
	}
}

func (f *Fleet) watching(id string, more int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched[id] += more; f.watched[id] == 0 {
		delete(f.watched, id)
	}
}

// readStates looks at all instances that something happens on. One that EC2 has
// forgotten is not in the answer: that may be the lag of a new one, so it says nothing.
func (f *Fleet) readStates(ctx context.Context) (map[string]string, error) {
	f.mu.Lock()
	ids := slices.Sorted(maps.Keys(f.watched))
	f.mu.Unlock()
	found, err := f.Instances.Describe(ctx, Query{IDs: ids})
	if err != nil {
		return nil, err
	}
	states := make(map[string]string, len(found))
	for _, i := range found {
		states[i.ID] = i.State
	}
	return states, nil
}
