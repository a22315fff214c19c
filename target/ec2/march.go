package ec2

import (
	"sync"
	"time"
)

const (
	// patienceOfBatch is how long a command waits for hosts that are behind.
	patienceOfBatch = 10 * time.Second
	// between is how long a host may take from the end of a step to its next one, while
	// the controller writes its journal.
	between = 2 * time.Second
)

// march knows which hosts are at which step, so that a command that is not full yet can
// wait for those that will need it soon.
type march struct {
	mu     sync.Mutex
	last   map[string]kind               // by host
	before map[kind]kind                 // what hosts did before they came to a step
	at     map[kind]map[string]time.Time // hosts whose last step it is: when they ended it, or zero
	active int                           // hosts that are at a step
	ended  time.Time                     // the last end of a step
}

// arrive says that a host is at a step until the returned function is called. It counts
// as being there a little longer, until it arrives at its next one.
func (m *march) arrive(host string, k kind) (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil || m.active == 0 && time.Since(m.ended) > between { // it is learned again
		m.last, m.before, m.at = map[string]kind{}, map[kind]kind{}, map[kind]map[string]time.Time{}
	}
	if p, ok := m.last[host]; ok && p != k {
		delete(m.at[p], host)
		if p.deployment == k.deployment && p.stage == k.stage {
			m.before[k] = p
		}
	}
	if m.at[k] == nil {
		m.at[k] = map[string]time.Time{}
	}
	m.last[host] = k
	m.at[k][host] = time.Time{}
	m.active++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.active--
		m.ended = time.Now()
		if _, there := m.at[k][host]; there {
			m.at[k][host] = m.ended
		}
	}
}

// behind reports whether enough hosts will come to a step to fill a command that has n
// of them.
func (m *march) behind(k kind, n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	coming, want := 0, maxHosts-n
	p, ok := m.before[k]
	for steps := 0; ok && coming < want && steps < len(m.before); steps++ {
		for _, left := range m.at[p] {
			if left.IsZero() || time.Since(left) <= between {
				coming++
			}
			if coming == want {
				break
			}
		}
		p, ok = m.before[p]
	}
	return coming >= want
}
