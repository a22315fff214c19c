package targettest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// model is a small target that is right, unless it is given a defect.
type model struct {
	defect string

	mu       sync.Mutex
	listed   int
	outcomes map[string]error
	count    map[string]int
	slow     map[string]bool
	fail     map[string]bool
	weights  map[string]lifecycle.Weight
	sick     map[string]bool
	made     map[string][]lifecycle.Unit // by deployment
	retired  map[string]bool
	serial   chan struct{}
	stop     chan struct{}
	late     sync.WaitGroup
}

func newModel(defect string) *model {
	return &model{defect: defect, outcomes: map[string]error{}, count: map[string]int{}, slow: map[string]bool{},
		fail: map[string]bool{}, weights: map[string]lifecycle.Weight{},
		sick: map[string]bool{}, made: map[string][]lifecycle.Unit{}, retired: map[string]bool{}, serial: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (m *model) harness() *targettest.Harness {
	return &targettest.Harness{
		Target:   m,
		Events:   []lifecycle.Event{lifecycle.Start, lifecycle.Install, lifecycle.AllowTraffic},
		Compares: true,
		Traffic:  modelTraffic{m},
		Slow:     func(s lifecycle.Step) { m.mark(m.slow, s) },
		Fail:     func(s lifecycle.Step) { m.mark(m.fail, s) },
		Sick:     func(unit string) { m.mu.Lock(); defer m.mu.Unlock(); m.sick[unit] = true },
		Pool:     m,
		Effects:  func(s lifecycle.Step) int { m.mu.Lock(); defer m.mu.Unlock(); return m.count[s.Key()] },
		Reopen:   m.reopen,
		Close:    func() { close(m.stop); m.late.Wait() },
		Patience: m.patience(),
	}
}

// patience is short where it runs out.
func (m *model) patience() time.Duration {
	if m.defect == "" {
		return 0
	}
	return 200 * time.Millisecond
}

func (m *model) mark(set map[string]bool, s lifecycle.Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	set[s.Key()] = true
}

func (m *model) reopen() (target.Target, error) {
	if m.defect != "forgets on restart" {
		return m, nil
	}
	second := newModel("")
	second.count = m.count
	return second, nil
}

func (m *model) Units(context.Context) ([]lifecycle.Unit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed++
	switch m.defect {
	case "lists twice":
		return []lifecycle.Unit{{ID: "a"}, {ID: "a"}}, nil
	case "lists none":
		return nil, nil
	case "no id":
		return []lifecycle.Unit{{ID: "a"}, {}}, nil
	case "renames":
		return []lifecycle.Unit{{ID: fmt.Sprint("a", m.listed)}, {ID: fmt.Sprint("b", m.listed)}}, nil
	case "panics in Units":
		panic("no units today")
	}
	units := []lifecycle.Unit{{ID: "a"}, {ID: "b"}}
	for _, made := range m.made {
		for _, u := range made {
			if !m.retired[u.ID] {
				units = append(units, u)
			}
		}
	}
	return units, nil
}

func (m *model) Provision(_ context.Context, deployment string, n int) ([]lifecycle.Unit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.defect == "always makes some" {
		n = max(n, 1+len(m.made[deployment]))
	}
	if m.defect == "provisions twice" {
		deployment += fmt.Sprint(len(m.made))
	}
	for i := len(m.made[deployment]); i < n; i++ {
		m.made[deployment] = append(m.made[deployment], lifecycle.Unit{ID: fmt.Sprint(deployment, i), Role: lifecycle.ReplacementRole})
	}
	return m.made[deployment], nil
}

func (m *model) Retire(_ context.Context, unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.retired[unit] && m.defect == "retires once" {
		return errors.New("it is gone already")
	}
	m.retired[unit] = m.defect != "retires nobody"
	return nil
}

func (m *model) known(id string) bool {
	return id == "a" || id == "b" || m.defect == "renames" || m.defect == "any unit"
}

func (m *model) Perform(ctx context.Context, t target.Task) error {
	if m.defect != "cancelled in vain" {
		if err := m.cause(ctx); err != nil {
			return err
		}
	}
	if !m.known(t.Step.Unit) {
		return m.failure(t.Step, lifecycle.UnitLost)
	}
	switch m.defect {
	case "panics":
		panic("what is this")
	case "blocks for ever":
		<-m.stop
	case "needs Note":
		t.Note(lifecycle.Note{Text: "hello"})
	case "leaks":
		go func() { select {} }()
	case "late note":
		if t.Note != nil {
			m.late.Go(func() { <-m.stop; t.Note(lifecycle.Note{Text: "and by the way"}) })
		}
	case "one at a time":
		m.serial <- struct{}{}
		defer func() { <-m.serial }()
	}
	if err := m.compare(t); err != nil {
		return err
	}
	return m.do(ctx, t.Step)
}

// compare looks whether somebody else has changed the traffic.
func (m *model) compare(t target.Task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	has := m.weights[t.Step.Unit]
	if t.Expect == nil || has == *t.Expect || has == t.Step.Weight || m.defect == "overwrites" {
		return nil
	}
	if t.Foreign == target.OverwriteForeign && m.defect != "never overwrites" {
		return nil
	}
	err := m.failure(t.Step, lifecycle.ExternalChange)
	if m.defect == "remembers what it found" {
		m.outcomes[t.Step.Key()] = err
	}
	return err
}

func (m *model) Snapshot(context.Context, *target.Job) (target.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.defect == "snapshot marks" {
		m.weights["a"]++
	}
	if m.defect == "snapshot makes" {
		m.made["snapshot"] = append(m.made["snapshot"], lifecycle.Unit{ID: "s"})
	}
	return target.Snapshot{Weights: maps.Clone(m.weights)}, nil
}

func (m *model) do(ctx context.Context, s lifecycle.Step) error {
	key := s.Key()
	m.mu.Lock()
	defer m.mu.Unlock()
	if outcome, ended := m.outcomes[key]; ended && m.remembers(outcome) {
		return outcome
	}
	if m.slow[key] {
		m.mu.Unlock()
		err := m.wait(ctx)
		m.mu.Lock()
		if err != nil {
			if m.defect == "cancelled for good" {
				m.outcomes[key] = m.failure(s, lifecycle.TargetFailed)
			}
			return err
		}
	}
	if m.sick[s.Unit] && m.defect != "lies about health" {
		m.outcomes[key] = m.failure(s, lifecycle.TargetFailed)
		return m.outcomes[key]
	}
	if m.fail[key] {
		if m.defect == "retries" {
			m.fail[key] = false
		}
		m.outcomes[key] = m.failure(s, lifecycle.ScriptFailed)
		return m.outcomes[key]
	}
	m.outcomes[key] = nil
	m.count[key]++
	if s.Event == lifecycle.AllowTraffic && m.defect != "never overwrites" {
		m.weights[s.Unit] = s.Weight
	}
	if m.defect == "applies twice" {
		m.count[key]++
	}
	return m.outcome(s)
}

func (m *model) remembers(outcome error) bool {
	switch m.defect {
	case "forgets idempotency":
		return false
	case "retries":
		return outcome == nil
	}
	return true
}

func (m *model) outcome(s lifecycle.Step) error {
	switch m.defect {
	case "nothing works":
		return m.failure(s, lifecycle.TargetFailed)
	case "already done":
		m.outcomes[s.Key()] = m.failure(s, lifecycle.TargetFailed) // the next one is told off
	}
	return nil
}

func (m *model) wait(ctx context.Context) error {
	if m.defect == "ignores cancel" {
		<-m.stop
		return nil
	}
	select {
	case <-m.stop:
		return nil
	case <-ctx.Done():
		return m.cause(ctx)
	}
}

func (m *model) cause(ctx context.Context) error {
	if m.defect == "hides the cause" {
		return ctx.Err()
	}
	return context.Cause(ctx)
}

func (m *model) failure(s lifecycle.Step, code lifecycle.Code) error {
	switch m.defect {
	case "plain errors":
		return errors.New("it did not work")
	case "no code":
		code = ""
	}
	return &lifecycle.Error{Step: s, Failure: lifecycle.Failure{Code: code, Message: "made to fail"}}
}

type modelTraffic struct{ m *model }

func (b modelTraffic) SetWeight(_ context.Context, unit string, w lifecycle.Weight) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	switch b.m.defect {
	case "adds weights":
		b.m.weights[unit] += w
	case "one weight":
		b.m.weights["a"], b.m.weights["b"] = w, w
	default:
		b.m.weights[unit] = w
	}
	return nil
}

func (b modelTraffic) Weight(_ context.Context, unit string) (lifecycle.Weight, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.m.weights[unit], nil
}
