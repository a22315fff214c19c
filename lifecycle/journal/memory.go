package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Memory is a Journal that lasts as long as the process: for tests, simulations
// and programs that do not mind to forget. Controllers share it by pointer and
// lock each other out as with [File]. The zero value is ready; it must not be
// copied after use.
type Memory struct {
	mu     sync.Mutex
	groups map[string]*memoryGroup
}

type memoryGroup struct {
	open    bool
	order   []string
	records map[string][]lifecycle.Record
}

// Open implements [Journal].
func (m *Memory) Open(ctx context.Context, group string) (Log, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.groups == nil {
		m.groups = map[string]*memoryGroup{}
	}
	g := m.groups[group]
	if g == nil {
		g = &memoryGroup{records: map[string][]lifecycle.Record{}}
		m.groups[group] = g
	}
	if g.open {
		return nil, fmt.Errorf("%w: %s: close the other one's log first", ErrLocked, group)
	}
	g.open = true
	return &memoryLog{memoryReader{m, group}, g, false}, nil
}

// Reader implements [Readable].
func (m *Memory) Reader(group string) Reader { return memoryReader{m, group} }

type memoryReader struct {
	m     *Memory
	group string
}

func (r memoryReader) Deployments(ctx context.Context) ([]string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if g := r.m.groups[r.group]; g != nil {
		return slices.Clone(g.order), nil
	}
	return nil, nil
}

// snapshot returns what there is now. Records never change once they are in, so
// the slice may be read without the lock.
func (r memoryReader) snapshot(id string) []lifecycle.Record {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if g := r.m.groups[r.group]; g != nil {
		return g.records[id]
	}
	return nil
}

func (r memoryReader) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	return func(yield func(lifecycle.Record, error) bool) {
		records := r.snapshot(id)
		if len(records) == 0 {
			yield(lifecycle.Record{}, notFound(id))
			return
		}
		for _, rec := range records[min(max(from, 1)-1, int64(len(records))):] {
			if err := context.Cause(ctx); err != nil {
				yield(lifecycle.Record{}, err)
				return
			}
			if !yield(clone(rec), nil) {
				return
			}
		}
	}
}

type memoryLog struct {
	memoryReader
	g      *memoryGroup
	closed bool
}

func (l *memoryLog) Deployments(ctx context.Context) ([]string, error) {
	if l.closed {
		return nil, ErrClosed
	}
	return l.memoryReader.Deployments(ctx)
}

func (l *memoryLog) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	if l.closed {
		return fail(ErrClosed)
	}
	return l.memoryReader.Records(ctx, id, from)
}

func (l *memoryLog) Append(ctx context.Context, records ...lifecycle.Record) error {
	if l.closed {
		return ErrClosed
	}
	if err := context.Cause(ctx); err != nil || len(records) == 0 {
		return err
	}
	id, err := checkBatch(records)
	if err != nil {
		return err
	}
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	have := l.g.records[id]
	if err := checkNext(id, records[0].Seq, int64(len(have))+1); err != nil {
		return err
	}
	for _, r := range records {
		// What File could not write is refused here too.
		if len(r.Data) > 0 && !json.Valid(r.Data) {
			return fmt.Errorf("journal: record %d of deployment %s: data is not JSON", r.Seq, id)
		}
	}
	if have == nil {
		l.g.order = append(l.g.order, id)
	}
	for _, r := range records {
		have = append(have, clone(r))
	}
	l.g.records[id] = have
	return nil
}

func (l *memoryLog) Close() error {
	if !l.closed {
		l.closed = true
		l.m.mu.Lock()
		l.g.open = false
		l.m.mu.Unlock()
	}
	return nil
}

// clone makes r independent of its giver; a journal that went through a file
// has no monotonic clock reading either.
func clone(r lifecycle.Record) lifecycle.Record {
	r.Time = r.Time.Round(0)
	r.Data = slices.Clone(r.Data)
	if r.Failure != nil {
		f := *r.Failure
		r.Failure = &f
	}
	return r
}
