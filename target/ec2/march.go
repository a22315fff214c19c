package ec2

import (
	"sync"
	"time"
)

// patienceOfBatch is how long a command waits for hosts that are behind.
const patienceOfBatch = 10 * time.Second

// march knows which hosts are at which step, so that a command that is not full yet can
// wait for those that will need it soon.
type march struct {
	mu     sync.Mutex
	last   map[string]kind // by host
	before map[kind]kind   // what hosts did before they came to a step
	at     map[kind]int    // how many hosts are at it
}

// arrive says that a host is at a step until the returned function is called.
func (m *march) arrive(host string, k kind) (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last, m.before, m.at = map[string]kind{}, map[kind]kind{}, map[kind]int{}
	}
	if p, ok := m.last[host]; ok && p != k && p.deployment == k.deployment && p.stage == k.stage {
		m.before[k] = p
	}
	m.last[host] = k
	m.at[k]++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.at[k]--; m.at[k] == 0 {
			delete(m.at, k)
		}
		if len(m.at) == 0 {
			clear(m.before) // it is learned again
		}
	}
}

// behind reports whether enough hosts will come to a step to fill a command that has n
// of them.
func (m *march) behind(k kind, n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	coming := 0
	p, ok := m.before[k]
	for steps := 0; ok && coming < maxHosts && steps < len(m.before); steps++ {
		coming += m.at[p]
		p, ok = m.before[p]
	}
	return coming >= maxHosts-n
}
