package lambda

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/function"
)

// Client is what an [Alias] calls, and no more; the last three are for provisioned
// concurrency. A *lambda.Client of the SDK is one.
type Client interface {
	GetAlias(context.Context, *lambda.GetAliasInput, ...func(*lambda.Options)) (*lambda.GetAliasOutput, error)
	UpdateAlias(context.Context, *lambda.UpdateAliasInput, ...func(*lambda.Options)) (*lambda.UpdateAliasOutput, error)
	GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error)
	GetProvisionedConcurrencyConfig(context.Context, *lambda.GetProvisionedConcurrencyConfigInput, ...func(*lambda.Options)) (*lambda.GetProvisionedConcurrencyConfigOutput, error)
	PutProvisionedConcurrencyConfig(context.Context, *lambda.PutProvisionedConcurrencyConfigInput, ...func(*lambda.Options)) (*lambda.PutProvisionedConcurrencyConfigOutput, error)
	DeleteProvisionedConcurrencyConfig(context.Context, *lambda.DeleteProvisionedConcurrencyConfigInput, ...func(*lambda.Options)) (*lambda.DeleteProvisionedConcurrencyConfigOutput, error)
}

// Alias is a [target.Target]: an alias of a Lambda function. Set the fields before first
// use and leave them; then it may be used from many goroutines.
type Alias struct {
	Client Client        // required
	Spec   *appspec.Spec // an AppSpec for Lambda. Required
	// Hooks runs the functions that the AppSpec names. Nil: an AppSpec that names some is refused.
	Hooks *function.Hooks

	// Provisioned is the provisioned concurrency that the new version gets before it
	// gets calls, and that is waited for. A rollback takes it away again; that of the
	// old version is left alone. Zero: none is made.
	Provisioned int32
	// TakeLeftover deploys although the alias has weights that an earlier deployment
	// has left, as long as it leads to CurrentVersion. They go with the first shift;
	// a rollback gives all calls to CurrentVersion. The engine has to be told as well:
	// Deployment.OnForeignChange is OverwriteForeign. Zero: refused.
	TakeLeftover bool
}

var (
	_ target.Target      = (*Alias)(nil)
	_ target.Checker     = (*Alias)(nil)
	_ target.Snapshotter = (*Alias)(nil)
)

// valid refuses what cannot be worked with.
func (a *Alias) valid() error {
	why := ""
	switch {
	case a.Client == nil:
		why = "Alias.Client is nil: give it a client of AWS Lambda"
	case a.Spec == nil || a.Spec.Function == nil:
		why = "Alias.Spec is no AppSpec for Lambda: parse one with package appspec"
	case a.original() == a.replacement():
		why = fmt.Sprintf("CurrentVersion and TargetVersion are both %s: there is nothing to deploy; publish a version first", a.original())
	case len(a.Spec.Functions) > 0 && a.Hooks == nil:
		why = fmt.Sprintf("the AppSpec names %s for %s, and Alias.Hooks is nil: nobody could call it", a.Spec.Functions[0].Function, a.Spec.Functions[0].Event)
	default:
		return nil
	}
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.AppSpecInvalid, Message: why}}
}

func (a *Alias) original() string    { return a.Spec.Function.CurrentVersion }
func (a *Alias) replacement() string { return a.Spec.Function.TargetVersion }

// String names the alias as people do.
func (a *Alias) String() string {
	return fmt.Sprintf("alias %s of function %s", a.Spec.Function.Alias, a.Spec.Function.Name)
}

// Units lists the two versions. One that Lambda does not have is lost. What cannot be
// asked is taken as there: [Alias.Snapshot] finds out before anything is touched, and a
// way back must not depend on it.
func (a *Alias) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := a.valid(); err != nil {
		return nil, err
	}
	units := []lifecycle.Unit{
		{ID: a.original(), Role: lifecycle.OriginalRole},
		{ID: a.replacement(), Role: lifecycle.ReplacementRole},
	}
	for i, u := range units {
		_, err := a.configuration(ctx, u.ID)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case code(err) == notFound:
			units[i].Lost = fmt.Sprintf("function %s has no version %s", a.Spec.Function.Name, u.ID)
		}
	}
	return units, nil
}

// Perform does one step. AllowTraffic gives a version its share of the calls and the
// other one the rest; weight 0 in the step means all of them. The events before and
// after it run the hooks of the AppSpec.
func (a *Alias) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := a.valid(); err != nil {
		return err
	}
	if t.Step.Unit != a.original() && t.Step.Unit != a.replacement() {
		return fail(t.Step, lifecycle.UnitLost, "the AppSpec deploys versions %s and %s, not %s; deploy anew", a.original(), a.replacement(), t.Step.Unit)
	}
	switch t.Step.Event {
	case lifecycle.AllowTraffic:
		return a.allow(ctx, t)
	case lifecycle.BeforeAllowTraffic, lifecycle.AfterAllowTraffic:
		return a.Hooks.Run(ctx, t, a.hook(t.Step.Event))
	}
	return fail(t.Step, lifecycle.Unsupported, "an alias has no event %s: its events are BeforeAllowTraffic, AllowTraffic and AfterAllowTraffic", t.Step.Event)
}

// hook is the function that the AppSpec names for an event; empty: none.
func (a *Alias) hook(e lifecycle.Event) string {
	for _, h := range a.Spec.Functions {
		if h.Event == e {
			return h.Function
		}
	}
	return ""
}

// arn names the function, one of its versions or its alias in messages and policies.
func (a *Alias) arn(s Scope, qualifier string) string { return s.arn(a.Spec.Function.Name, qualifier) }

// Scope is where things live, for policies.
type Scope struct {
	Partition string // empty: aws
	Region    string // empty: any
	Account   string // empty: any
}

// arn of a function; one that is written as an ARN has its own region and account.
func (s Scope) arn(name, qualifier string) string {
	arn := name
	switch {
	case strings.HasPrefix(name, "arn:"):
	case strings.Contains(name, ":function:"): // with the account
		arn = fmt.Sprintf("arn:%s:lambda:%s:%s", or(s.Partition, "aws"), or(s.Region, "*"), name)
	default:
		arn = fmt.Sprintf("arn:%s:lambda:%s:%s:function:%s", or(s.Partition, "aws"), or(s.Region, "*"), or(s.Account, "*"), name)
	}
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
