package awsfake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// question is a call on its way to another process.
type question struct {
	At                 time.Time
	Service, Operation string
	In                 json.RawMessage
}

// reply is what comes back. The first one answers no question: it tells the time.
type reply struct {
	At  time.Time       `json:",omitzero"` // of the first one
	Out json.RawMessage `json:",omitempty"`
	Err *said           `json:",omitempty"`
}

// Serve answers what another process asks by way of [API.Through], until that closes the
// connection or dies. Then it returns nil. Faults are put on these calls as on any other.
//
// Both processes have one time, also if it is that of two testing/synctest bubbles: a
// question says when it was asked, and Serve sleeps until then. A bubble stands still while
// Serve waits for the next question, so there must be one Serve in it at a time.
func (a *API) Serve(conn io.ReadWriter) error {
	from, to := json.NewDecoder(conn), json.NewEncoder(conn)
	r := reply{At: time.Now()}
	for {
		if to.Encode(r) != nil {
			return nil // nobody is there to read it
		}
		var q question
		switch err := from.Decode(&q); {
		case gone(err):
			return nil
		case err != nil:
			return fmt.Errorf("awsfake: no question: %w", err)
		}
		time.Sleep(time.Until(q.At))
		r = a.replyTo(q)
	}
}

// gone reports whether an error of reading says that who asks has closed the connection
// or died, perhaps in the middle of a sentence.
func gone(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, os.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

func (a *API) replyTo(q question) reply {
	a.mu.Lock()
	h, known := a.handlers[q.Service+"."+q.Operation]
	a.mu.Unlock()
	var in, out any
	var err error
	if known {
		in = h.input()
		err = json.Unmarshal(q.In, in)
	}
	if err == nil {
		out, err = a.answer(context.Background(), q.Service, q.Operation, in)
	}
	r := reply{Err: say(err)}
	if err == nil {
		if r.Out, err = json.Marshal(out); err != nil {
			r.Err = say(err)
		}
	}
	return r
}

// Through lets another process answer, which serves a connection: from now on the handlers
// of the API are there to say which operations there are and what types they have. What
// these hold has to survive JSON, which streams do not. An error keeps what all errors of AWS
// have, its code, message and fault, but not a type of its own.
func (a *API) Through(conn io.ReadWriter) error {
	from, to := json.NewDecoder(conn), json.NewEncoder(conn)
	var now reply
	if err := from.Decode(&now); err != nil {
		return fmt.Errorf("awsfake: nobody serves: %w", err)
	}
	time.Sleep(time.Until(now.At))
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, h := range a.handlers {
		h.do = func(_ context.Context, in any) (any, error) { // one at a time, as all handlers
			out := h.empty()
			return out, ask(from, to, h.service, h.operation, in, out)
		}
		a.handlers[name] = h
	}
	return nil
}

func ask(from *json.Decoder, to *json.Encoder, service, operation string, in, out any) error {
	data, err := json.Marshal(in)
	if err == nil {
		err = to.Encode(question{time.Now(), service, operation, data})
	}
	var r reply
	if err == nil {
		err = from.Decode(&r)
	}
	switch {
	case err != nil:
		return fmt.Errorf("awsfake: asking for %s.%s: %w", service, operation, err)
	case r.Err != nil:
		return r.Err.error()
	}
	return json.Unmarshal(r.Out, out)
}

// Do calls an operation for which there is no client.
func Do[Out any](ctx context.Context, a *API, service, operation string, in any) (*Out, error) {
	out, err := a.answer(ctx, service, operation, in)
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}

// said is an error on the wire.
type said struct {
	Code    string            `json:",omitempty"` // empty: it is none of AWS's
	Message string            // without a code: its whole text
	Fault   smithy.ErrorFault `json:",omitempty"`
	Status  int               `json:",omitempty"` // of the response that it came in; 0: it is not known
	Lost    bool              `json:",omitempty"` // no response came
}

func say(err error) *said {
	if err == nil {
		return nil
	}
	s := &said{Message: err.Error()}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		s.Code, s.Message, s.Fault = e.ErrorCode(), e.ErrorMessage(), e.ErrorFault()
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		s.Status = e.HTTPStatusCode()
	}
	_, s.Lost = errors.AsType[*smithyhttp.RequestSendError](err)
	return s
}

func (s *said) error() error {
	err := errors.New(s.Message)
	if s.Code != "" {
		err = &smithy.GenericAPIError{Code: s.Code, Message: s.Message, Fault: s.Fault}
	}
	if s.Lost {
		err = &smithyhttp.RequestSendError{Err: err}
	}
	if s.Status != 0 {
		err = &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: s.Status}}, Err: err}
	}
	return err
}
