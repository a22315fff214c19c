package awsfake

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Fault is something that goes wrong with one call.
type Fault string

// The faults. NoFault is the zero value.
const (
	NoFault      Fault = ""
	Throttle     Fault = "throttle"      // refused: too many requests. Nothing happened
	ServerError  Fault = "server error"  // 500 before anything happened
	LostReply    Fault = "lost reply"    // it happened, and the answer never came
	StaleRead    Fault = "stale read"    // a read answers what it answered before
	AccessDenied Fault = "access denied" // refused. Nothing happened
	UnknownEnum  Fault = "unknown enum"  // the answer's enumerations have a value that nobody knows
	EmptyAnswer  Fault = "empty answer"  // a read answers with nothing in it
	Hang         Fault = "hang"          // no answer comes until the caller gives up. Nothing happened
	HungReply    Fault = "hung reply"    // it happened, and no answer comes until the caller gives up
)

// Hangs are the faults of a server that takes a call and never answers it.
func Hangs() []Fault { return []Fault{Hang, HungReply} }

// Faults lists all faults, for sweeps over every call of a scenario.
func Faults() []Fault {
	return append([]Fault{Throttle, ServerError, LostReply, StaleRead, AccessDenied, UnknownEnum, EmptyAnswer}, Hangs()...)
}

// At puts a fault on the call with the number n.
func At(n int, f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.N == n {
			return f
		}
		return NoFault
	}
}

// On puts a fault on every call of an operation.
func On(operation string, f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.Operation == operation {
			return f
		}
		return NoFault
	}
}

// Once puts a fault on the first call of an operation.
func Once(operation string, f Fault) func(Call) Fault {
	met, every := false, On(operation, f)
	return func(c Call) Fault {
		if met {
			return NoFault
		}
		got := every(c)
		met = got != NoFault
		return got
	}
}

// APIError is an error as AWS answers it, for handlers.
func APIError(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

var (
	errLost  = errors.New("awsfake: connection reset before the answer came")
	errHangs = errors.New("awsfake: no answer comes")
)

// hang waits until the caller gives up, and fails as the SDK's client for HTTP does then.
// Of a caller in another process nobody knows when that is: there it fails at once.
func hang(ctx context.Context) error {
	if ctx.Done() == nil {
		return errHangs
	}
	<-ctx.Done()
	return &smithy.CanceledError{Err: ctx.Err()}
}

// faulty does a call the way its fault says.
func (a *API) faulty(ctx context.Context, h handler, c Call) (any, error) {
	switch c.Fault {
	case Hang:
		return nil, errHangs
	case Throttle:
		return nil, APIError("ThrottlingException", "Rate exceeded")
	case ServerError:
		return nil, &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusInternalServerError}},
			Err:      &smithy.GenericAPIError{Code: "InternalFailure", Message: "try again", Fault: smithy.FaultServer},
		}
	case AccessDenied:
		return nil, APIError("AccessDeniedException", "User is not authorized to perform: "+c.Name())
	}
	out, err := h.do(ctx, Clone(c.In))
	out = Clone(out)
	switch {
	case c.Fault == HungReply:
		return nil, errHangs
	case c.Fault == LostReply:
		return nil, &smithyhttp.RequestSendError{Err: errLost}
	case err != nil:
		return nil, err
	case c.Fault == UnknownEnum:
		setEnums(reflect.ValueOf(out))
	case c.Fault == EmptyAnswer && reads(c.Operation):
		return h.empty(), nil
	case reads(c.Operation):
		return a.remember(h, c, out), nil
	}
	return out, nil
}

// reads reports whether an operation changes nothing.
func reads(operation string) bool {
	for _, verb := range []string{"Describe", "List", "Get", "Query", "Head"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// remember keeps an answer, and gives an older and different one to a stale read.
func (a *API) remember(h handler, c Call, out any) any {
	in, err := json.Marshal(c.In)
	if err != nil {
		return out // an input that is a stream: not read again
	}
	if a.answers == nil {
		a.answers = map[string][]any{}
	}
	key := c.Name() + string(in)
	old := a.answers[key]
	if c.Fault == StaleRead {
		for i := len(old) - 1; i >= 0; i-- {
			if !reflect.DeepEqual(old[i], out) {
				return own(old[i])
			}
		}
		return own(out)
	}
	if len(old) == 0 || !reflect.DeepEqual(old[len(old)-1], out) {
		a.answers[key] = append(old, out)
	}
	return own(out)
}

// own is a copy of an answer that is kept: the client writes into what it gets.
func own(answer any) any {
	v := reflect.New(reflect.TypeOf(answer).Elem())
	v.Elem().Set(reflect.ValueOf(answer).Elem())
	return v.Interface()
}

// setEnums gives every enumeration in an answer a value that no client knows. The
// SDK's enumerations are strings with a method that lists their values.
func setEnums(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			setEnums(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				setEnums(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			setEnums(v.Index(i))
		}
	case reflect.String:
		if _, enum := v.Type().MethodByName("Values"); enum && v.CanSet() && v.Len() > 0 {
			v.SetString("SOMETHING_NEW")
		}
	}
}
