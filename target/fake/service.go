package fake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Service is a [target.Target] like an ECS service. It has two units: the task set
// that serves, which is the original, and the replacement, which Install creates.
// Task sets are called NAME-1, NAME-2 and so on; a name is used once.
//
// AllowTraffic gives a task set its weight and the rest to the other one, so the
// weights add up to 100 always. Retire deletes a task set: one that has traffic is
// refused. Once the original is deleted, the replacement is the original of the next
// deployment.
//
// All methods may be called from many goroutines.
type Service struct {
	doer
	scales
	name                  string
	made                  int // task sets named so far
	original, replacement string
	exists                map[string]bool
	revision              map[string]string
	test                  string // the task set behind the test listener; empty: none
	noTest                bool
}

var (
	_ target.Target      = (*Service)(nil)
	_ target.TestRouted  = (*Service)(nil)
	_ target.Snapshotter = (*Service)(nil)
)

// NewService makes a service whose first task set, NAME-1, has all the traffic.
func NewService(name string) *Service {
	s := &Service{name: name, exists: map[string]bool{}, revision: map[string]string{}}
	s.init(s)
	s.original, s.replacement = s.nextName(), s.nextName()
	s.exists[s.original] = true
	s.begin(s.original, target.Full)
	return s
}

func (s *Service) nextName() string {
	s.made++
	return fmt.Sprintf("%s-%d", s.name, s.made)
}

// WithoutTestRoute takes the test listener away, and returns the service.
func (s *Service) WithoutTestRoute() *Service {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	s.noTest = true
	return s
}

// TestRoute implements [target.TestRouted].
func (s *Service) TestRoute() bool {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	return !s.noTest
}

// Units implements [target.Target]. The replacement is listed before Install has
// created it: it is what the next deployment deploys to.
func (s *Service) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	if s.lost[s.replacement] != "" && s.now(s.replacement) == 0 {
		s.replacement = s.nextName() // the next deployment makes another one
	}
	return s.roles(s.original, s.replacement), nil
}

// Promote does what an operator does when a deployment has ended in the middle, and
// its rollback with it: the task set with the most traffic gets all of it and is the
// original, and the other one is deleted.
func (s *Service) Promote() {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	best, other := s.original, s.replacement
	if s.now(other) > s.now(best) {
		best, other = other, best
	}
	s.split(0, best, target.Full, best, other)
	s.remove(other)
}

// roles lists an original and a replacement.
func (d *doer) roles(original, replacement string) []lifecycle.Unit {
	return []lifecycle.Unit{
		{ID: original, Role: lifecycle.OriginalRole, Lost: d.lost[original]},
		{ID: replacement, Role: lifecycle.ReplacementRole, Lost: d.lost[replacement]},
	}
}

// Revision returns the digest of the revision that the task set was created with;
// empty: none was.
func (s *Service) Revision(unit string) string {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	return s.revision[unit]
}

// TaskSets lists the task sets that exist, in the order of their names' numbers.
func (s *Service) TaskSets() []string {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	sets := []string{}
	for n := range s.made {
		if id := fmt.Sprintf("%s-%d", s.name, n+1); s.exists[id] {
			sets = append(sets, id)
		}
	}
	return sets
}

// TestTraffic returns the task set that the test listener leads to; empty: none
// yet.
func (s *Service) TestTraffic() string {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	return s.test
}

// Snapshot implements [target.Snapshotter].
func (s *Service) Snapshot(ctx context.Context, _ *target.Job) (target.Snapshot, error) {
	return s.snapshot(ctx)
}

// Interfere is somebody else who gives a task set a weight and the rest to the other
// one.
func (s *Service) Interfere(taskSet string, w lifecycle.Weight) {
	s.doer.mu.Lock()
	defer s.doer.mu.Unlock()
	s.split(0, taskSet, w, s.original, s.replacement)
}

func (s *Service) has(unit string) (lifecycle.Weight, bool) { return s.now(unit), true }

func (s *Service) missing(unit string) string {
	if unit == s.original || unit == s.replacement {
		return ""
	}
	return "the fake service has no task set of that name"
}

// effect is what a step changes in the service.
func (s *Service) effect(t target.Task, stale time.Duration) error {
	unit := t.Step.Unit
	refuse := func(why string) error { return failure(t.Step, lifecycle.TargetFailed, why) }
	switch e := t.Step.Event; {
	case e == lifecycle.Install && unit == s.original:
		return refuse("the task set serves: the new one is the replacement")
	case e == lifecycle.Install && s.exists[unit]:
		return refuse("the task set exists already: another deployment has left it; call Promote, or retire it")
	case e == lifecycle.Install:
		s.exists[unit] = true
		if t.Job != nil {
			s.revision[unit] = t.Job.Revision.Digest
		}
	case e == lifecycle.Retire:
		return s.retire(t.Step)
	case e == lifecycle.AllowTestTraffic && s.noTest:
		return failure(t.Step, lifecycle.Unsupported, "the fake service has no test listener")
	case e == lifecycle.AllowTraffic && !s.exists[unit], e == lifecycle.AllowTestTraffic && !s.exists[unit]:
		return refuse("the task set does not exist: Install creates it")
	case e == lifecycle.AllowTestTraffic:
		s.test = unit
	case e == lifecycle.AllowTraffic:
		if back := s.before(t); back != nil {
			s.set(stale, back...)
			return nil
		}
		s.split(stale, unit, weightOf(t.Step), s.original, s.replacement)
	case !slices.Contains(lifecycle.ECSReplacement.Events(), e):
		return failure(t.Step, lifecycle.Unsupported, "an ECS service has no such event")
	}
	return nil
}

// before is what everybody had before a deployment that is rolled back, if that was a
// mix: the rest goes back to where it was. Nil: it was not, or nobody knows.
func (s *scales) before(t target.Task) []share {
	if t.Job == nil || !t.Job.Rollback || t.Job.Before == nil || t.Job.Before.Weights[t.Step.Unit] != t.Step.Weight || t.Step.Weight == target.Full {
		return nil
	}
	var to []share
	for id := range s.Weights() {
		to = append(to, share{id, t.Job.Before.Weights[id]})
	}
	return to
}

// split gives a unit its weight, the rest to the other of two, and nothing to anyone
// else.
func (s *scales) split(stale time.Duration, unit string, w lifecycle.Weight, one, two string) {
	other := one
	if unit == one {
		other = two
	}
	to := []share{{unit, w}, {other, target.Full - w}}
	for id, has := range s.Weights() {
		if id != unit && id != other && has != 0 {
			to = append(to, share{id, 0})
		}
	}
	s.set(stale, to...)
}

func (s *Service) retire(step lifecycle.Step) error {
	if w := s.now(step.Unit); w > 0 {
		return failure(step, lifecycle.TargetFailed, fmt.Sprintf("the task set has %d %% of the traffic: it cannot be deleted", w))
	}
	s.remove(step.Unit)
	return nil
}

// remove deletes a task set. The other one is the original from now on.
func (s *Service) remove(unit string) {
	s.forget(unit)
	delete(s.exists, unit)
	if s.test == unit {
		s.test = ""
	}
	if unit == s.original {
		s.original = s.replacement
	}
	s.replacement = s.nextName()
}
