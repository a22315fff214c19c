package lambda

import (
	"encoding/json"

	"github.com/cutover-deploy/cutover/target/function"
)

// Statement is one of an IAM policy: actions that are allowed on resources.
type Statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// Allow makes a statement.
func Allow(sid string, resources []string, actions ...string) Statement {
	return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

// Policy is the IAM policy that a deployment needs, and no more: what it calls, on the
// function, versions and alias that it calls it on. More adds statements, such as those
// for alarms. Hooks that are Go code or web addresses need nothing.
func (a *Alias) Policy(s Scope, more ...Statement) (string, error) {
	if err := a.valid(); err != nil {
		return "", err
	}
	old, next, alias := a.arn(s, a.original()), a.arn(s, a.replacement()), a.arn(s, a.Spec.Function.Alias)
	all := []Statement{
		Allow("Shift", []string{a.arn(s, ""), alias}, "lambda:GetAlias", "lambda:UpdateAlias"),
		Allow("Versions", []string{old, next}, "lambda:GetFunctionConfiguration"),
		Allow("Warmth", []string{alias, next}, "lambda:GetProvisionedConcurrencyConfig"),
	}
	if a.Provisioned > 0 {
		all = append(all, Allow("Warm", []string{next}, "lambda:PutProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig"))
	}
	if hooks := a.invoked(s); len(hooks) > 0 {
		all = append(all, Allow("Hooks", hooks, "lambda:InvokeFunction"))
	}
	data, err := json.MarshalIndent(struct {
		Version   string
		Statement []Statement
	}{"2012-10-17", append(all, more...)}, "", "  ")
	return string(data), err
}

// invoked lists the functions of AWS Lambda that are called as hooks.
func (a *Alias) invoked(s Scope) []string {
	if len(a.Spec.Functions) == 0 {
		return nil
	}
	var arns []string
	names, _ := a.Hooks.Caller.(*function.Names)
	for _, h := range a.Spec.Functions {
		if names == nil || names.Named[h.Function] == nil {
			arns = append(arns, s.arn(h.Function, ""))
		}
	}
	return arns
}

// PublishStatement is what [Publish] needs.
func PublishStatement(s Scope, name string) Statement {
	return Allow("Publish", []string{s.arn(name, "")}, "lambda:GetFunctionConfiguration", "lambda:UpdateFunctionCode", "lambda:PublishVersion")
}
