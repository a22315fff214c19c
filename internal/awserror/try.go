package awserror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"
)

// Limit is how long a call may take, what its client tries again included. The SDK has no
// limit of its own: a server that takes the request and never answers would hold its
// caller for ever.
const Limit = time.Minute

// Hung is the error of a call that did not answer in time. Nobody can say whether it was
// done, as after a reply that was lost: it is [Retryable], and its Meaning is Unknown.
type Hung struct {
	Call  string // such as "SSM SendCommand"; empty: it is not known
	After time.Duration
}

func (h *Hung) Error() string {
	what := "the call"
	if h.Call != "" {
		what = h.Call
	}
	return fmt.Sprintf("%s did not answer within %s: look at the network between here and AWS", what, h.After)
}

// RetryableError tells the SDK's rules, and so Retryable, that the call may be made again.
func (h *Hung) RetryableError() bool { return true }

// Ask makes a call of AWS once, and gives it up after [Limit]. It is not for answers that
// are streams: these end when it returns.
func Ask[In, Out, O any](ctx context.Context, call func(context.Context, *In, ...func(*O)) (*Out, error), in *In, options ...func(*O)) (*Out, error) {
	return AskFor(ctx, Limit, call, in, options...)
}

// AskFor is Ask with another limit, for calls that take long or are made again soon.
func AskFor[In, Out, O any](ctx context.Context, limit time.Duration, call func(context.Context, *In, ...func(*O)) (*Out, error), in *In, options ...func(*O)) (*Out, error) {
	w := &watch{limit: limit}
	try, stop := context.WithCancelCause(context.WithValue(ctx, watchKey{}, w)) // no deadline: a queue would refuse what comes after it
	defer stop(nil)
	w.timer = time.AfterFunc(limit, func() { stop(errHung) })
	defer w.timer.Stop()
	out, err := call(try, in, options...)
	if err == nil || ctx.Err() != nil || context.Cause(try) != errHung || Code(err) != "" {
		return out, err // there was an answer, or the caller's time is over
	}
	h := &Hung{After: limit}
	if e, ok := errors.AsType[*smithy.OperationError](err); ok {
		h.Call = e.Service() + " " + e.Operation()
	}
	return nil, h
}

var errHung = errors.New("no answer came")

// watch measures one call.
type watch struct {
	limit time.Duration
	timer *time.Timer
}

type watchKey struct{}

// Queued says that the call of a context waits for its turn, which does not count: its
// limit begins anew when goOn is called.
func Queued(ctx context.Context) (goOn func()) {
	w, ok := ctx.Value(watchKey{}).(*watch)
	if !ok {
		return func() {}
	}
	w.timer.Stop()
	return func() { w.timer.Reset(w.limit) }
}
