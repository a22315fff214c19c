package function

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// callbackTarget is how the AWS JSON protocol names the one operation that there is.
const callbackTarget = "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus"

// callback is the operation's input.
type callback struct {
	Deployment string `json:"deploymentId"`
	Execution  string `json:"lifecycleEventHookExecutionId"`
	Status     string `json:"status"`
}

// Callbacks answers PutLifecycleEventHookExecutionStatus as CodeDeploy does, in the
// AWS JSON 1.1 protocol, for functions whose CodeDeploy client has this handler as its
// endpoint. Any path will do. The id of the execution is what authenticates a request;
// its AWS signature is not looked at. So serve it where nobody listens in: by TLS, or
// in a private network.
//
// A callback counts once it is in the ledger, and is answered then. Said again it is
// answered as before; a different or a late one with LifecycleEventAlreadyCompletedException,
// and nothing changes.
func (h *Hooks) Callbacks() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		in, err := readCallback(w, req)
		if err == nil {
			err = h.accept(req, in)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if err == nil {
			_ = json.NewEncoder(w).Encode(map[string]string{"lifecycleEventHookExecutionId": in.Execution})
			return
		}
		e, ok := errors.AsType[*exception](err)
		if !ok {
			e = &exception{"InternalFailure", err.Error()}
		}
		w.Header().Set("X-Amzn-Errortype", e.Type)
		w.WriteHeader(e.status())
		_ = json.NewEncoder(w).Encode(e)
	})
}

// exception is an error as AWS answers it.
type exception struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

// Error is type and message.
func (e *exception) Error() string { return e.Type + ": " + e.Message }

func (e *exception) status() int {
	if e.Type == "InternalFailure" {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func refuse(kind, format string, args ...any) error {
	return &exception{kind, fmt.Sprintf(format, args...)}
}

// maxCallback bounds the size of a request.
const maxCallback = 64 << 10

func readCallback(w http.ResponseWriter, req *http.Request) (in callback, err error) {
	if got := req.Header.Get("X-Amz-Target"); req.Method != http.MethodPost || got != callbackTarget {
		return in, refuse("UnknownOperationException", "only %s is answered here, and by POST; this is %s %q", callbackTarget, req.Method, got)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxCallback))
	if err != nil {
		return in, refuse("SerializationException", "the request cannot be read: %v", err)
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, refuse("SerializationException", "the request is not what the operation takes: %v", err)
	}
	return in, nil
}

// accept lets a callback decide its step, if nothing has decided it yet.
func (h *Hooks) accept(req *http.Request, in callback) error {
	step, err := h.authentic(in)
	if err != nil {
		return err
	}
	if in.Status != "Succeeded" && in.Status != "Failed" {
		return refuse("InvalidLifecycleEventHookExecutionStatusException", "the status is %q: Succeeded and Failed can be said", in.Status)
	}
	first, key := false, step.Key()
	e, err := h.update(req.Context(), key, func(e *Execution) {
		first = true
		e.decide(step, in.Status == "Succeeded")
	})
	switch {
	case err != nil:
		return err
	case first, e.Callback && (e.Failure == nil) == (in.Status == "Succeeded"):
		return nil
	}
	h.audit("%s was said to have %s by a callback, and that was decided before; nothing has changed", step, strings.ToLower(in.Status))
	return refuse("LifecycleEventAlreadyCompletedException", "%s of deployment %s is over: it was decided before, or had to be by now", step.Event, step.Deployment)
}

// decide ends an execution as its callback says.
func (e *Execution) decide(step lifecycle.Step, well bool) {
	e.Step, e.Phase, e.Callback = step, Ended, true
	if e.Began.IsZero() {
		e.Began = time.Now().UTC()
	}
	if well {
		return
	}
	who := "the function " + e.Function
	if e.Function == "" { // it was called by a process that has ended
		who = "the hook's function"
	}
	e.Failure = &lifecycle.Failure{Code: lifecycle.HookFailed, Message: who + " called back that it is not well (status Failed)"}
}

// authentic returns the step that an execution's id was made for.
func (h *Hooks) authentic(in callback) (step lifecycle.Step, err error) {
	if in.Deployment == "" {
		return step, refuse("DeploymentIdRequiredException", "deploymentId is missing")
	}
	text, sum, _ := strings.Cut(in.Execution, ".")
	data, err1 := base64.RawURLEncoding.DecodeString(text)
	got, err2 := base64.RawURLEncoding.DecodeString(sum)
	if len(h.Secret) < minSecret || err1 != nil || err2 != nil || !hmac.Equal(got, h.sign(data)) || json.Unmarshal(data, &step) != nil {
		h.audit("a callback came with an execution id that was not given out here; it was refused")
		return step, refuse("InvalidLifecycleEventHookExecutionIdException", "the id of the execution is not one that was given out here; send it as it came")
	}
	if step.Deployment != in.Deployment {
		return step, refuse("DeploymentDoesNotExistException", "the execution does not belong to deployment %s", in.Deployment)
	}
	return step, nil
}

// executionID names the execution of a step. It is the same in every process with the
// same secret, and nobody without that can make it.
func (h *Hooks) executionID(step lifecycle.Step) string {
	data, _ := json.Marshal(step) // plain fields always marshal
	return base64.RawURLEncoding.EncodeToString(data) + "." + base64.RawURLEncoding.EncodeToString(h.sign(data))
}

func (h *Hooks) sign(data []byte) []byte {
	mac := hmac.New(sha256.New, h.Secret)
	mac.Write(data)
	return mac.Sum(nil)[:24]
}

func (h *Hooks) audit(format string, args ...any) {
	if h.Note != nil {
		h.Note(lifecycle.Note{Text: fmt.Sprintf(format, args...)})
	}
}
