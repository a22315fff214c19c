package agent

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// roomy is how much a heap that is rarely collected may hold: five times of it are a few
// dozen megabytes.
const roomy = 12 << 20

// tuneMemory lets the heap grow before it is collected: an agent lives for a moment,
// and mostly holds a few megabytes. One that comes to hold more is as frugal as other
// programs. A limit would not do: above it the collector runs without a pause.
func tuneMemory() {
	debug.SetGCPercent(400)
	eachCollection(func() (again bool) {
		if gauge("/gc/heap/live:bytes") < roomy {
			return true
		}
		debug.SetGCPercent(100)
		return false
	})
}

// eachCollection calls do after a collection, for as long as it returns true.
func eachCollection(do func() bool) {
	type garbage struct{ _ *int } // with a pointer it shares its place with nothing else
	runtime.AddCleanup(new(garbage), func(int) {
		if do() {
			eachCollection(do)
		}
	}, 0)
}

func gauge(metric string) uint64 {
	s := []metrics.Sample{{Name: metric}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
