package throttle

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Limits are the buckets of one account. The zero value is ready; it must not be
// copied after use. All methods may be called from many goroutines.
type Limits struct {
	Rates []Family // nil: Families()

	mu      sync.Mutex
	rates   []Family
	buckets map[place]*bucket
	counts  map[string]Count
}

// place is where tokens are counted.
type place struct{ family, region string }

// Count is what became of the calls of an operation.
type Count struct {
	Sent      int           // attempts that were sent, retries included
	Waited    int           // of these, had to wait for a token
	Wait      time.Duration // in all
	Throttled int           // refused by AWS for too many requests
	Dropped   int           // not sent: no token would have come in time
}

// Attach makes all clients that are made from cfg afterwards use the limits. Attaching
// them twice is the same as once.
func (l *Limits) Attach(cfg *aws.Config) {
	options := cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)] // a copy of cfg keeps its own
	cfg.APIOptions = append(options, l.attach)
}

// Counts returns what there was so far, by service and operation, such as
// "Lambda.GetAlias".
func (l *Limits) Counts() map[string]Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// attach puts the limits behind the retryer, so that every attempt passes them.
func (l *Limits) attach(stack *middleware.Stack) error {
	const id = "cutoverLimits"
	if _, there := stack.Finalize.Get(id); there {
		return nil
	}
	limit := middleware.FinalizeMiddlewareFunc(id, l.handle)
	if _, retries := stack.Finalize.Get("Retry"); retries {
		return stack.Finalize.Insert(limit, "Retry", middleware.After)
	}
	return stack.Finalize.Add(limit, middleware.After)
}

func (l *Limits) handle(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, md middleware.Metadata, err error) {
	service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
	buckets := l.of(service, operation, awsmiddleware.GetRegion(ctx))
	goOn := awserror.Queued(ctx)
	waited, err := wait(ctx, buckets)
	goOn()
	name := service + "." + operation
	if err != nil {
		l.count(name, func(c *Count) { c.Dropped++ })
		return out, md, refused(ctx, name, err)
	}
	out, md, err = next.HandleFinalize(ctx, in)
	throttled := err != nil && throttles.IsErrorThrottle(err) == aws.TrueTernary
	if throttled {
		for _, b := range buckets {
			b.slow(time.Now())
		}
	}
	l.count(name, func(c *Count) { c.add(waited, throttled) })
	return out, md, err
}

var throttles = retry.IsErrorThrottles(retry.DefaultThrottles)

func (c *Count) add(waited time.Duration, throttled bool) {
	c.Sent++
	if waited > 0 {
		c.Waited++
		c.Wait += waited
	}
	if throttled {
		c.Throttled++
	}
}

func (l *Limits) count(name string, add func(*Count)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]Count{}
	}
	c := l.counts[name]
	add(&c)
	l.counts[name] = c
}

// of returns the buckets that a call takes tokens from.
func (l *Limits) of(service, operation, region string) []*bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets, l.rates = map[place]*bucket{}, l.Rates
		if l.rates == nil {
			l.rates = Families()
		}
	}
	var found []*bucket
	for _, f := range l.rates {
		if !f.has(service, operation) {
			continue
		}
		at := place{f.Name, region}
		if l.buckets[at] == nil {
			l.buckets[at] = newBucket(f)
		}
		found = append(found, l.buckets[at])
	}
	return found
}

// wait takes a token from each bucket.
func wait(ctx context.Context, buckets []*bucket) (time.Duration, error) {
	began := time.Now()
	for _, b := range buckets {
		if err := b.wait(ctx); err != nil {
			return 0, err
		}
	}
	if len(buckets) == 0 {
		return 0, nil
	}
	return time.Since(began), nil
}

func refused(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &lifecycle.Error{Err: err, Failure: lifecycle.Failure{Code: lifecycle.Throttled, Message: fmt.Sprintf(
		"%s was not sent: the rate that AWS grants is used up, and the deadline comes before the next turn (%v); give the event more time, or do less at once", name, err)}}
}
