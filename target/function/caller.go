package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Invocation is one call of a function.
type Invocation struct {
	Function string          // name or ARN, as the AppSpec has it
	Payload  json.RawMessage // what to send: a [Payload]
	Step     lifecycle.Step  // what it is for
}

// Caller calls functions. It may be used from many goroutines.
type Caller interface {
	// Call calls the function once, waits for its answer and returns that; nothing,
	// if it answers without content. An [*Error] means that the function ran and
	// failed. A [*lifecycle.Error] with another code than Unknown means that it was
	// not called. After any other error nobody knows whether it ran, so a Caller does
	// not try again by itself what may have run. When ctx is cancelled Call returns
	// soon, with context.Cause(ctx); what the function does then is not known.
	Call(ctx context.Context, in Invocation) (json.RawMessage, error)
}

// Prober is an optional power of a [Caller]: it can say beforehand whether a function
// could be called.
type Prober interface {
	// Probe runs nothing. An error, best a [*lifecycle.Error], says why the function
	// could not be called: it does not exist, or is not allowed.
	Probe(ctx context.Context, function string) error
}

// Payload is what a function is called with, in CodeDeploy's words.
type Payload struct {
	DeploymentID string `json:"DeploymentId"`
	ExecutionID  string `json:"LifecycleEventHookExecutionId"`
	// Details is what the function returned when it said IN_PROGRESS. CodeDeploy has
	// nothing like it; hooks of ECS's own deployments have.
	Details json.RawMessage `json:"hookDetails,omitempty"`
}

// Error says that a function ran and failed.
type Error struct {
	Type    string // kind of error, such as Unhandled or an exception's name; empty: unknown
	Message string
	Log     string // the end of what it printed; empty: none is known
}

// Error is the message, with its type if there is one.
func (e *Error) Error() string {
	if e.Type == "" {
		return e.Message
	}
	return e.Type + ": " + e.Message
}

// Names is a [Caller] that finds functions by their names in the AppSpec.
type Names struct {
	Named map[string]Caller
	Else  Caller // for all other names; nil: they are not known
}

// Call calls the function by the caller that is meant.
func (n *Names) Call(ctx context.Context, in Invocation) (json.RawMessage, error) {
	if c := n.Named[in.Function]; c != nil {
		return c.Call(ctx, in)
	}
	if n.Else != nil {
		return n.Else.Call(ctx, in)
	}
	return nil, unknown(in.Step, in.Function)
}

// Probe refuses names that nobody knows, and asks the caller that is meant, if it can
// tell.
func (n *Names) Probe(ctx context.Context, function string) error {
	c := n.Named[function]
	if c == nil {
		c = n.Else
	}
	if p, ok := c.(Prober); ok {
		return p.Probe(ctx, function)
	}
	if c == nil {
		return unknown(lifecycle.Step{}, function)
	}
	return nil
}

func unknown(step lifecycle.Step, function string) error {
	return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.Unsupported,
		Message: fmt.Sprintf("no function %s is known here: name it in function.Names, or set a Caller for functions of AWS Lambda", function)}}
}

// Go makes a hook in Go a function. It gets the step in its environment; a nil error
// means that all is well. A panic is a failure.
func Go(h lifecycle.Hook) Caller { return goCaller{h} }

type goCaller struct{ hook lifecycle.Hook }

// Call runs the hook.
func (g goCaller) Call(ctx context.Context, in Invocation) (json.RawMessage, error) {
	err := (&lifecycle.Runner{}).Run(ctx, lifecycle.Env{Step: in.Step}, []lifecycle.Hook{g.hook})
	if err != nil {
		return nil, err
	}
	return json.RawMessage(`{"hookStatus":"SUCCEEDED"}`), nil
}

// HTTP is a function behind a web address. It is sent the payload by POST and answers
// as a function does, with a status from 200 to 299. Any other status means that it
// ran and failed.
type HTTP struct {
	URL    string
	Header http.Header  // added to each request; nil: none
	Client *http.Client // nil: one without a time limit of its own. It must not retry
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// Call posts the payload.
func (h *HTTP) Call(ctx context.Context, in Invocation) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(in.Payload))
	if err != nil {
		return nil, notCalled(in, err)
	}
	req.GetBody = nil // whoever could send it again could run the function twice
	req.Header = h.Header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	client := h.Client
	if client == nil {
		client = &http.Client{}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, h.failed(ctx, in, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, h.failed(ctx, in, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &Error{Type: resp.Status, Message: string(body)}
	}
	return body, nil
}

// failed tells what never arrived from what may have run.
func (h *HTTP) failed(ctx context.Context, in Invocation, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return notCalled(in, err)
	}
	return err
}

func notCalled(in Invocation, err error) error {
	return &lifecycle.Error{Step: in.Step, Err: err, Failure: lifecycle.Failure{Code: lifecycle.TargetFailed,
		Message: fmt.Sprintf("the function %s cannot be reached: %v", in.Function, err)}}
}
