package ecs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/iam"
)

// scope is where resources are, taken from the ARN of one of them.
type scope struct{ partition, region, account string }

func scopeOf(arn string) scope {
	parts := append(strings.SplitN(arn, ":", 6), make([]string, 5)...)
	return scope{partition: parts[1], region: parts[3], account: parts[4]}
}

func (sc scope) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", sc.partition, service, sc.region, sc.account, resource)
}

// Policy is the IAM policy that deployments to the service need, and no more: what is called,
// on what it is called. Spec is the AppSpec whose functions are invoked; nil: none are. Roles
// are the ARNs of the task role and the execution role of the task definition, which ECS
// takes only from who may pass them.
//
// Some calls cannot be limited to a resource. Those that change something are limited to the
// cluster by a condition.
func (s *Service) Policy(spec *appspec.Spec, roles []string, more ...iam.Statement) (string, error) {
	if err := s.valid(); err != nil {
		return "", err
	}
	sc := scopeOf(s.TargetGroups[0])
	cluster, name := sc.arn("ecs", "cluster/"+short(s.Cluster)), short(s.Cluster)+"/"+short(s.Name)
	service := []string{sc.arn("ecs", "service/"+name)}
	all := []iam.Statement{
		iam.Allow("Service", service, "ecs:DescribeServices", "ecs:UpdateServicePrimaryTaskSet"),
		iam.AllowOnAny("MakeTaskSets", "ecs:CreateTaskSet").When("ArnEquals", "ecs:cluster", cluster),
		iam.Allow("DeleteTaskSets", []string{sc.arn("ecs", "task-set/"+name+"/*")}, "ecs:DeleteTaskSet"),
		iam.AllowOnAny("FindTasks", "ecs:ListTasks").When("ArnEquals", "ecs:cluster", cluster),
		iam.Allow("Tasks", []string{sc.arn("ecs", "task/"+short(s.Cluster)+"/*")}, "ecs:DescribeTasks"),
		s.reading(),
	}
	all = append(all, s.routes()...)
	if s.Scaling != nil {
		all = append(all, iam.Allow("AutoScaling", []string{sc.arn("application-autoscaling", "scalable-target/*")}, "application-autoscaling:RegisterScalableTarget"))
	}
	all = append(all, passing("PassTaskRoles", roles, "ecs-tasks.amazonaws.com")...)
	return iam.PolicyOf(append(append(all, functions(sc, spec)...), more...)...).String(), nil
}

// reading are the calls that take no resource.
func (s *Service) reading() iam.Statement {
	actions := []string{"ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"}
	all := append(slices.Clone(s.Production), s.Test...)
	if slices.ContainsFunc(all, func(arn string) bool { return !isRule(arn) }) {
		actions = append(actions, "elasticloadbalancing:DescribeListeners")
	}
	if slices.ContainsFunc(all, isRule) {
		actions = append(actions, "elasticloadbalancing:DescribeRules")
	}
	if s.Scaling != nil {
		actions = append(actions, "application-autoscaling:DescribeScalableTargets")
	}
	return iam.AllowOnAny("Read", actions...)
}

// routes allow to change the listeners and rules that are named, and no others.
func (s *Service) routes() (out []iam.Statement) {
	all := append(slices.Clone(s.Production), s.Test...)
	if listeners := slices.DeleteFunc(slices.Clone(all), isRule); len(listeners) > 0 {
		out = append(out, iam.Allow("ShiftByListener", listeners, "elasticloadbalancing:ModifyListener"))
	}
	if rules := slices.DeleteFunc(slices.Clone(all), func(arn string) bool { return !isRule(arn) }); len(rules) > 0 {
		out = append(out, iam.Allow("ShiftByRule", rules, "elasticloadbalancing:ModifyRule"))
	}
	return out
}

func passing(sid string, roles []string, to string) []iam.Statement {
	roles = slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return r == "" })
	slices.Sort(roles)
	if len(roles) == 0 {
		return nil
	}
	return []iam.Statement{iam.Allow(sid, slices.Compact(roles), "iam:PassRole").When("StringEquals", "iam:PassedToService", to)}
}

// functions allow to invoke what the AppSpec names.
func functions(sc scope, spec *appspec.Spec) []iam.Statement {
	if spec == nil || len(spec.Functions) == 0 {
		return nil
	}
	var arns []string
	for _, h := range spec.Functions {
		switch account, name, partial := strings.Cut(h.Function, ":function:"); {
		case strings.HasPrefix(h.Function, "arn:"):
			arns = append(arns, h.Function)
		case partial: // a partial ARN, of an account of its own
			arns = append(arns, scope{sc.partition, sc.region, account}.arn("lambda", "function:"+name))
		default:
			arns = append(arns, sc.arn("lambda", "function:"+h.Function))
		}
	}
	slices.Sort(arns)
	return []iam.Statement{iam.Allow("Hooks", slices.Compact(arns), "lambda:InvokeFunction")}
}

// Policy is the IAM policy that deployments to the service need. Roles are those of the task
// definition. Functions are invoked by ECS, with Group.Role, which must be passed to it.
func (n *Native) Policy(roles []string, more ...iam.Statement) (string, error) {
	if err := n.valid(); err != nil {
		return "", err
	}
	arn := strings.Join([]string{n.Group.TargetGroups[0], n.Cluster, n.Name}, "")
	if !strings.HasPrefix(arn, "arn:") {
		return "", fail(lifecycle.TargetFailed, "ecs.Native: the policy needs to know the account and the region: give the ARN of a target group, or of the cluster")
	}
	sc, name := scopeOf(arn), short(n.Cluster)+"/"+short(n.Name)
	all := []iam.Statement{
		iam.Allow("Service", []string{sc.arn("ecs", "service/"+name)}, "ecs:DescribeServices", "ecs:UpdateService", "ecs:ListServiceDeployments"),
		iam.Allow("Deployments", []string{sc.arn("ecs", "service-deployment/"+name+"/*")}, "ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment", "ecs:ContinueServiceDeployment"),
		iam.Allow("Revisions", []string{sc.arn("ecs", "service-revision/"+name+"/*")}, "ecs:DescribeServiceRevisions"),
		iam.AllowOnAny("Read", "ecs:DescribeTaskDefinition"),
	}
	all = append(all, passing("PassTaskRoles", roles, "ecs-tasks.amazonaws.com")...)
	all = append(all, passing("PassRole", []string{n.Group.Role}, "ecs.amazonaws.com")...)
	return iam.PolicyOf(append(all, more...)...).String(), nil
}
