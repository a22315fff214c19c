package throttle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How a rate gives way and comes back.
const (
	floor    = 1.0 / 16    // of the family's rate; it gets no lower
	recovery = time.Minute // from nothing to all of it
	onePause = time.Second // refusals within it are one
)

// bucket holds the tokens of a family in a region.
type bucket struct {
	family Family
	tokens *rate.Limiter

	mu    sync.Mutex
	rate  float64 // now; below the family's after refusals
	since time.Time
	cut   time.Time // when it was last lowered
}

func newBucket(f Family) *bucket {
	return &bucket{family: f, tokens: rate.NewLimiter(rate.Limit(f.PerSecond), f.Burst), rate: f.PerSecond}
}

// wait takes a token. It fails at once where the deadline comes before the token.
func (b *bucket) wait(ctx context.Context) error {
	pause := b.recover(time.Now())
	if pause > 0 {
		if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
			return fmt.Errorf("the rate of %s is lowered after refusals", b.family.Name)
		}
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	if err := b.tokens.Wait(ctx); err != nil {
		return fmt.Errorf("%s, %g a second: %w", b.family.Name, b.family.PerSecond, err)
	}
	return nil
}

// recover raises a lowered rate by the time that has passed without refusals. While
// it is lowered it returns a pause of random length, at most the time of one token.
func (b *bucket) recover(now time.Time) (pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate >= b.family.PerSecond {
		return 0
	}
	b.set(now, min(b.family.PerSecond, b.rate+b.family.PerSecond*float64(now.Sub(b.since))/float64(recovery)))
	if b.rate >= b.family.PerSecond {
		return 0
	}
	return time.Duration(rand.Float64() / b.rate * float64(time.Second))
}

// slow halves the rate and empties the bucket, once for refusals that come together.
func (b *bucket) slow(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.cut.IsZero() && now.Sub(b.cut) < onePause {
		return
	}
	b.cut = now
	b.set(now, max(b.family.PerSecond*floor, b.rate/2))
	b.tokens.AllowN(now, int(b.tokens.TokensAt(now)))
}

func (b *bucket) set(now time.Time, r float64) {
	b.rate, b.since = r, now
	b.tokens.SetLimitAt(now, rate.Limit(r))
}
