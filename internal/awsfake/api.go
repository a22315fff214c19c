// Package awsfake answers the calls of the AWS SDK inside the process, for tests.
//
// An [API] hangs on the middleware of every client that is made from its Config. So
// the real client runs: it checks the input, signs, retries, waits and turns errors
// into its own types; only the network is missing. That makes it fit for
// testing/synctest, and fast. What goes over the wire is not covered: that is what
// internal/moto is for. An API outlives a controller that is killed if that is another
// process, which asks by wire: [API.Serve] and [API.Through].
//
// Handlers are given by operation with [Handle]. An operation without one fails
// with its name, and is not retried. Every attempt is a [Call] with a number, and a
// [Fault] can be put on any of them.
package awsfake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Region and Account are where everything of an API lives.
const (
	Region  = "eu-central-1"
	Account = "123456789012"
)

// API is a part of AWS. The zero value is ready and knows no operation. All methods
// may be called from many goroutines; handlers run one at a time.
type API struct {
	mu       sync.Mutex
	handlers map[string]handler
	calls    []Call
	answers  map[string][]any // reads: what was answered before, newest last
	choose   func(Call) Fault
}

// handler is an operation with its types taken away.
type handler struct {
	service, operation string

	do    func(ctx context.Context, in any) (any, error)
	input func() any // a question without anything in it
	empty func() any // an answer without anything in it
}

// Call is one attempt of a client.
type Call struct {
	N         int // from 0, over all operations
	Service   string
	Operation string
	In        any
	At        time.Time
	Fault     Fault
	Err       error // what was answered
}

// Name is the operation as IAM policies write it, but for the service's name.
func (c Call) Name() string { return c.Service + "." + c.Operation }

// Handle says what an operation does, in place of what was said before. The service
// is named by its id in the SDK, such as "Elastic Load Balancing v2".
func Handle[In, Out any](a *API, service, operation string, f func(context.Context, *In) (*Out, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handlers == nil {
		a.handlers = map[string]handler{}
	}
	a.handlers[service+"."+operation] = handler{
		service: service, operation: operation,
		do: func(ctx context.Context, in any) (any, error) {
			typed, ok := in.(*In)
			if !ok {
				return nil, fmt.Errorf("awsfake: %s.%s takes %T, not %T", service, operation, typed, in)
			}
			out, err := f(ctx, typed)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
		input: func() any { return new(In) },
		empty: func() any { return new(Out) },
	}
}

// Inject lets choose put a fault on each call to come; nil: none.
func (a *API) Inject(choose func(Call) Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.choose = choose
}

// Calls returns the calls so far, in their order.
func (a *API) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// Counts says how often each operation was called.
func (a *API) Counts() map[string]int {
	counts := map[string]int{}
	for _, c := range a.Calls() {
		counts[c.Name()]++
	}
	return counts
}

// Met says whether a fault was put on any call.
func (a *API) Met() bool {
	return slices.ContainsFunc(a.Calls(), func(c Call) bool { return c.Fault != NoFault })
}

// Config is what clients of the API are made from.
func (a *API) Config() aws.Config {
	return aws.Config{
		Region:     Region,
		APIOptions: []func(*middleware.Stack) error{a.attach},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fake", SecretAccessKey: "fake", Source: "awsfake"}, nil
		}),
	}
}

// inputKey is where a call's typed input waits until it is answered.
type inputKey struct{}

// attach puts the API behind a client: the input is kept where it is still typed, and
// the answer given where it would be read from the network, behind the retryer.
func (a *API) attach(stack *middleware.Stack) error {
	keep := middleware.InitializeMiddlewareFunc("awsfakeInput", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(middleware.WithStackValue(ctx, inputKey{}, in.Parameters), in)
	})
	answer := middleware.DeserializeMiddlewareFunc("awsfakeAnswer", func(ctx context.Context, _ middleware.DeserializeInput, _ middleware.DeserializeHandler) (out middleware.DeserializeOutput, md middleware.Metadata, err error) {
		out.Result, err = a.answer(ctx, awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), middleware.GetStackValue(ctx, inputKey{}))
		return out, md, err
	})
	if err := stack.Initialize.Add(keep, middleware.Before); err != nil {
		return err
	}
	return stack.Deserialize.Add(answer, middleware.Before)
}

func (a *API) answer(ctx context.Context, service, operation string, in any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := a.take(ctx, service, operation, in)
	if err == errHangs {
		return nil, hang(ctx) // others are answered meanwhile
	}
	return out, err
}

// take does a call at once, and writes it down.
func (a *API) take(ctx context.Context, service, operation string, in any) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := Call{N: len(a.calls), Service: service, Operation: operation, In: in, At: time.Now()}
	h, known := a.handlers[c.Name()]
	if !known {
		c.Err = &smithy.GenericAPIError{Code: "UnknownOperation", Message: "awsfake has no handler for " + c.Name()}
		a.calls = append(a.calls, c)
		return nil, c.Err
	}
	if a.choose != nil {
		c.Fault = a.choose(c)
	}
	var out any
	out, c.Err = a.faulty(ctx, h, c)
	a.calls = append(a.calls, c)
	return out, c.Err
}
