package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/function"
)

// Invoker is what [Functions] calls. A *lambda.Client of the SDK is one.
type Invoker interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Functions is a [function.Caller] for functions of AWS Lambda, by name or ARN. It waits
// for their answers, which takes up to 15 minutes, and does not try again what may have
// run.
type Functions struct{ Client Invoker }

var (
	_ function.Caller = (*Functions)(nil)
	_ function.Prober = (*Functions)(nil)
)

// running is how long an answer is waited for: functions run for 15 minutes at most.
const running = 16 * time.Minute

// Call invokes the function once.
func (f *Functions) Call(ctx context.Context, in function.Invocation) (json.RawMessage, error) {
	out, err := awserror.AskFor(ctx, running, f.Client.Invoke, &lambda.InvokeInput{
		FunctionName: aws.String(in.Function), Payload: in.Payload,
		InvocationType: types.InvocationTypeRequestResponse, LogType: types.LogTypeTail,
	}, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		err = failed(ctx, in.Step, "lambda:InvokeFunction", in.Function, err)
		if e, ok := errors.AsType[*lifecycle.Error](err); ok && e.Code == lifecycle.UnitLost {
			e.Code = lifecycle.TargetFailed // it is no unit
		}
		return nil, err
	}
	if out.FunctionError != nil {
		return nil, functionError(out)
	}
	return out.Payload, nil
}

// Probe asks Lambda whether the function could be called, without running it.
func (f *Functions) Probe(ctx context.Context, name string) error {
	_, err := ask(ctx, f.Client.Invoke, &lambda.InvokeInput{FunctionName: aws.String(name), InvocationType: types.InvocationTypeDryRun})
	if err == nil {
		return nil
	}
	err = failed(ctx, noStep, "lambda:InvokeFunction", name, err)
	if e, ok := errors.AsType[*lifecycle.Error](err); ok && e.Code == lifecycle.UnitLost {
		e.Code = lifecycle.AppSpecInvalid
		e.Message = "the AppSpec names the function " + name + " as a hook, and there is none: correct the name, or create it first"
	}
	return err
}

// functionError is what the function threw.
func functionError(out *lambda.InvokeOutput) error {
	e := &function.Error{Type: aws.ToString(out.FunctionError), Message: string(out.Payload)}
	var said struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(out.Payload, &said) == nil && said.Message != "" {
		e.Type, e.Message = or(said.Type, e.Type), said.Message
	}
	if log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)); err == nil {
		e.Log = string(log)
	}
	return e
}
