package revision

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	defaultWorkers = 4
	chunk          = 32 // neighbours mostly share a directory: one worker does them
)

// each calls do for 0 to n-1 from several workers, each with what start gave it,
// and returns the error with the lowest number among those that occurred.
func each[W any](ctx context.Context, n, workers int, start func() (W, error), stop func(W), do func(W, int) error) error {
	if workers <= 0 {
		workers = defaultWorkers
	}
	var (
		next   atomic.Int64
		failed atomic.Bool
		mu     sync.Mutex
		first  error
		at     int
		wg     sync.WaitGroup
	)
	fail := func(i int, err error) {
		failed.Store(true)
		mu.Lock()
		defer mu.Unlock()
		if first == nil || i < at {
			first, at = err, i
		}
	}
	defer wg.Wait()
	for range min(workers, (n+chunk-1)/chunk) {
		wg.Go(func() {
			w, err := start()
			if err != nil {
				fail(-1, err)
				return
			}
			defer stop(w)
			for !failed.Load() {
				end := int(next.Add(chunk))
				for i := end - chunk; i < min(end, n); i++ {
					if ctx.Err() != nil {
						fail(n, context.Cause(ctx))
						return
					}
					if err := do(w, i); err != nil {
						fail(i, err)
						return
					}
				}
				if end >= n {
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
