package agent

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An agent that holds little collects rarely, one that holds much as others do, without
// any limit above which it would do nothing else.
func TestMemoryOfAnAgent(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	limit := gauge("/gc/gomemlimit:bytes")
	tuneMemory()
	require.EqualValues(t, 400, gauge("/gc/gogc:percent"))
	require.Equal(t, limit, gauge("/gc/gomemlimit:bytes"))
	held := make([]byte, 2*roomy)
	require.Eventually(t, func() bool { runtime.GC(); return gauge("/gc/gogc:percent") == 100 }, 20*time.Second, time.Millisecond)
	runtime.KeepAlive(held)
}
