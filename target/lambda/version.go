package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// How long Lambda may take.
const (
	activation = 5 * time.Minute  // until a version is active
	warmth     = 15 * time.Minute // until provisioned concurrency is ready
)

// provisioning is the provisioned concurrency that was found before a deployment.
type provisioning struct {
	Alias       int32 `json:"alias,omitempty"`
	Replacement int32 `json:"replacement,omitempty"`
	known       bool
}

func before(job *target.Job) (p provisioning, err error) {
	if job == nil || job.Before == nil || len(job.Before.Data) == 0 {
		return p, nil
	}
	err = json.Unmarshal(job.Before.Data, &p)
	p.known = err == nil
	return p, err
}

func (a *Alias) configuration(ctx context.Context, version string) (*lambda.GetFunctionConfigurationOutput, error) {
	return ask(ctx, a.Client.GetFunctionConfiguration, &lambda.GetFunctionConfigurationInput{FunctionName: &a.Spec.Function.Name, Qualifier: aws.String(version)})
}

// ready waits until the step's version can take calls. On the way back only what is sure
// to fail stops it: a version that is gone or broken.
func (a *Alias) ready(ctx context.Context, t target.Task, had provisioning) error {
	version, back := t.Step.Unit, t.Step.Unit == a.original()
	err := a.active(ctx, t.Step, version)
	if e, ok := err.(*lifecycle.Error); ok && back && e.Code != lifecycle.UnitLost && e.Code != lifecycle.TrafficUnhealthy {
		note(t, e.Code, "it is not known whether version "+version+" can take calls: "+e.Message)
		err = nil
	}
	if err != nil || back || a.Provisioned == 0 || had.Replacement > 0 {
		return err
	}
	return a.provision(ctx, t)
}

// active waits until Lambda says that a version is active. One that nobody calls is
// inactive, and wakes up when somebody does.
func (a *Alias) active(ctx context.Context, step lifecycle.Step, version string) error {
	name, gone := "version "+version+" of function "+a.Spec.Function.Name, 0
	var out *lambda.GetFunctionConfigurationOutput
	for began := time.Now(); time.Since(began) < activation; {
		var err error
		out, err = a.configuration(ctx, version)
		switch {
		case code(err) == notFound && gone < looks-1: // it may have been published a moment ago
			gone++
		case code(err) == notFound:
			return fail(step, lifecycle.UnitLost, "%s is gone: it was deleted; nothing can be sent there, deploy another version", name)
		case err != nil:
			return failed(ctx, step, "lambda:GetFunctionConfiguration", name, err)
		case out.State == types.StateActive || out.State == types.StateInactive:
			return nil
		case out.State == types.StateFailed:
			return fail(step, lifecycle.TrafficUnhealthy, "%s has failed and gets no calls: %s", name, or(aws.ToString(out.StateReason), "Lambda gives no reason"))
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	state := "nothing"
	if out != nil && out.State != "" {
		state = string(out.State)
	}
	return fail(step, lifecycle.TrafficUnhealthy, "%s is not active after %s and gets no calls: its state is %s", name, activation, state)
}

// provision gives the new version its provisioned concurrency and waits for it.
func (a *Alias) provision(ctx context.Context, t target.Task) error {
	version := t.Step.Unit
	resource := "version " + version + " of function " + a.Spec.Function.Name
	n, err := a.provisionedFor(ctx, version)
	if err != nil {
		return failed(ctx, t.Step, "lambda:GetProvisionedConcurrencyConfig", resource, err)
	}
	if n != a.Provisioned {
		_, err := ask(ctx, a.Client.PutProvisionedConcurrencyConfig, &lambda.PutProvisionedConcurrencyConfigInput{
			FunctionName: &a.Spec.Function.Name, Qualifier: aws.String(version), ProvisionedConcurrentExecutions: aws.Int32(a.Provisioned)})
		if err != nil {
			return failed(ctx, t.Step, "lambda:PutProvisionedConcurrencyConfig", resource, err)
		}
	}
	for began := time.Now(); time.Since(began) < warmth; {
		status, err := a.warm(ctx, t.Step, version)
		if err != nil || status == types.ProvisionedConcurrencyStatusEnumReady {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return fail(t.Step, lifecycle.TrafficUnhealthy, "the provisioned concurrency of %s is not ready after %s", resource, warmth)
}

// provisionedFor is how much provisioned concurrency there is; none is 0.
func (a *Alias) provisionedFor(ctx context.Context, qualifier string) (int32, error) {
	out, err := ask(ctx, a.Client.GetProvisionedConcurrencyConfig, &lambda.GetProvisionedConcurrencyConfigInput{
		FunctionName: &a.Spec.Function.Name, Qualifier: aws.String(qualifier)})
	if code(err) == notThere {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return aws.ToInt32(out.RequestedProvisionedConcurrentExecutions), nil
}

// warm says how provisioned concurrency is; empty: there is none.
func (a *Alias) warm(ctx context.Context, step lifecycle.Step, qualifier string) (types.ProvisionedConcurrencyStatusEnum, error) {
	resource := fmt.Sprintf("function %s:%s", a.Spec.Function.Name, qualifier)
	out, err := ask(ctx, a.Client.GetProvisionedConcurrencyConfig, &lambda.GetProvisionedConcurrencyConfigInput{
		FunctionName: &a.Spec.Function.Name, Qualifier: aws.String(qualifier)})
	switch {
	case code(err) == notThere:
		return "", nil
	case err != nil:
		return "", failed(ctx, step, "lambda:GetProvisionedConcurrencyConfig", resource, err)
	case out.Status == types.ProvisionedConcurrencyStatusEnumFailed:
		return "", fail(step, lifecycle.TrafficUnhealthy, "the provisioned concurrency of %s has failed: %s", resource, or(aws.ToString(out.StatusReason), "Lambda gives no reason"))
	case out.Status == "":
		return "unknown", nil
	}
	return out.Status, nil
}

// cool takes away, on the way back, the provisioned concurrency that the new version got
// from this deployment. A failure is told, and fails nothing.
func (a *Alias) cool(ctx context.Context, t target.Task, had provisioning) error {
	all := t.Step.Weight == 0 || t.Step.Weight == target.Full
	if t.Step.Unit != a.original() || !all || a.Provisioned == 0 || !had.known || had.Replacement > 0 {
		return nil
	}
	_, err := ask(ctx, a.Client.DeleteProvisionedConcurrencyConfig, &lambda.DeleteProvisionedConcurrencyConfigInput{
		FunctionName: &a.Spec.Function.Name, Qualifier: aws.String(a.replacement())})
	if err != nil && code(err) != notThere && code(err) != notFound {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		note(t, lifecycle.TargetFailed, fmt.Sprintf("version %s keeps its provisioned concurrency, which costs money: %v", a.replacement(), err))
	}
	return nil
}
