package lambda

import (
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/iam"
)

// Policy is the IAM policy that a deployment needs, and no more: what it calls, on the
// function, versions and alias that it calls it on. More adds statements, such as those
// for alarms. Hooks that are Go code or web addresses need nothing.
func (a *Alias) Policy(s Scope, more ...iam.Statement) (string, error) {
	if err := a.valid(); err != nil {
		return "", err
	}
	old, next, alias := a.arn(s, a.original()), a.arn(s, a.replacement()), a.arn(s, a.Spec.Function.Alias)
	all := []iam.Statement{
		iam.Allow("Shift", []string{a.arn(s, ""), alias}, "lambda:GetAlias", "lambda:UpdateAlias"),
		iam.Allow("Versions", []string{old, next}, "lambda:GetFunctionConfiguration"),
		iam.Allow("Warmth", []string{alias, next}, "lambda:GetProvisionedConcurrencyConfig"),
	}
	if a.Provisioned > 0 {
		all = append(all, iam.Allow("Warm", []string{next}, "lambda:PutProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig"))
	}
	if hooks := a.invoked(s); len(hooks) > 0 {
		all = append(all, iam.Allow("Hooks", hooks, "lambda:InvokeFunction"))
	}
	return iam.PolicyOf(append(all, more...)...).String(), nil
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
func PublishStatement(s Scope, name string) iam.Statement {
	return iam.Allow("Publish", []string{s.arn(name, "")}, "lambda:GetFunctionConfiguration", "lambda:UpdateFunctionCode", "lambda:PublishVersion")
}
