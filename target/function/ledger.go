package function

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Phase says how far an execution has come.
type Phase string

// The phases. The zero Phase means that the execution has not begun.
const (
	Calling Phase = "calling" // the function is being called: it may run, or have run
	Waiting Phase = "waiting" // it has run, and is to call back
	Again   Phase = "again"   // it has said IN_PROGRESS, and is to be called again
	Ended   Phase = "ended"
)

// Execution is what is known of the hook of one step.
type Execution struct {
	Step     lifecycle.Step     `json:"step"`
	Function string             `json:"function"`
	Phase    Phase              `json:"phase,omitempty"`
	Began    time.Time          `json:"began"`              // the timeout counts from here
	Next     time.Time          `json:"next,omitzero"`      // when to call it again
	Details  json.RawMessage    `json:"details,omitempty"`  // what it wants to get then
	Failure  *lifecycle.Failure `json:"failure,omitempty"`  // of one that has ended; nil: success
	Callback bool               `json:"callback,omitempty"` // it ended by a callback
}

// Ledger keeps executions beyond the life of a process. Keys are those of steps,
// [lifecycle.Step.Key]. It may be used from many goroutines, never from two at once
// for the same key.
type Ledger interface {
	// Load returns what was saved last; the zero Execution if nothing was.
	Load(ctx context.Context, key string) (Execution, error)
	// Save is durable when it returns.
	Save(ctx context.Context, key string, e Execution) error
}

// Memory is a [Ledger] that ends with its process. It keeps the newest 4096
// executions. The zero value is ready; it must not be copied after use.
type Memory struct {
	mu  sync.Mutex
	all map[string]Execution
	old []string // keys in the order in which they came
}

const maxMemory = 4096

// Load implements [Ledger].
func (m *Memory) Load(_ context.Context, key string) (Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[key], nil
}

// Save implements [Ledger].
func (m *Memory) Save(_ context.Context, key string, e Execution) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[string]Execution{}
	}
	if _, known := m.all[key]; !known {
		m.old = append(m.old, key)
	}
	m.all[key] = e
	if len(m.old) > maxMemory {
		delete(m.all, m.old[0])
		m.old = m.old[1:]
	}
	return nil
}
