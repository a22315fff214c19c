package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/target/iam"
)

// Scope is where resources are, in the partition aws. Empty fields mean any.
type Scope struct {
	Region, Account string
	// Bucket and Prefix are those of the [Bucket] that hosts fetch from; empty: none.
	Bucket, Prefix string
	// Roles are ARNs of the roles that launched instances get, for blue/green with
	// launch templates. Lifecycle hooks with a role need a statement of their own.
	Roles []string
}

func (s Scope) arn(service, resource string) string {
	any := func(text string) string {
		if text == "" {
			return "*"
		}
		return text
	}
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, any(s.Region), any(s.Account), resource)
}

// Policy is the IAM policy that a controller needs for deployments to the fleet, and no
// more: what is called, on what it is called. Calls that only describe cannot be
// limited to a resource. What is done to instances is limited by their tags, or by the
// Auto Scaling group that they are in, where the selection names a value for one key.
func (f *Fleet) Policy(s Scope, more ...iam.Statement) (string, error) {
	all, hosts := f.findStatements(s)
	all = append(all, f.groupStatements(s)...)
	all = append(all, f.Balancers.statements(s)...)
	if ssm, ok := f.Reach.(*SSM); ok {
		of, ok := f.members()
		all = append(all, onInstances("SendCommands", hosts, "ssm:resourceTag/", of, ok, "ssm:SendCommand")...)
		all = append(all, ssm.statements(s)...)
	}
	return iam.PolicyOf(append(all, more...)...).String(), nil
}

// findStatements allow to find the fleet's hosts, and name what these are.
func (f *Fleet) findStatements(s Scope) (all []iam.Statement, hosts []string) {
	h, hybrid := f.Instances.(*Hybrid)
	if !hybrid || h.EC2 != nil {
		all, hosts = append(all, iam.AllowOnAny("FindInstances", "ec2:DescribeInstances")), append(hosts, s.arn("ec2", "instance/*"))
	}
	if hybrid {
		machines := s.arn("ssm", "managed-instance/*")
		all, hosts = append(all, iam.AllowOnAny("FindMachines", "ssm:DescribeInstanceInformation"), iam.Allow("ReadMachineTags", []string{machines}, "ssm:ListTagsForResource")), append(hosts, machines)
	}
	return all, hosts
}

// Statements are what a process that runs the listener needs besides the policy of its
// fleet.
func (l *Listener) Statements(s Scope) []iam.Statement {
	var arns []string
	for _, name := range l.Groups {
		arns = append(arns, s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name), s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name+"-*"))
	}
	return []iam.Statement{iam.Allow("AnswerLaunches", arns, "autoscaling:PutLifecycleHook", "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:CompleteLifecycleAction")}
}

// groupARNs are the fleet's groups and their copies.
func (f *Fleet) groupARNs(s Scope) (arns []string) {
	for _, name := range f.Groups {
		arns = append(arns, s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name))
		if f.copies() {
			arns = append(arns, s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name+"-*"))
		}
	}
	return arns
}

// greenARNs are the groups of a green fleet that exists already.
func (f *Fleet) greenARNs(s Scope) (arns []string) {
	if f.Green == nil {
		return nil
	}
	for _, name := range f.Green.Groups {
		arns = append(arns, s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name))
	}
	return arns
}

func (f *Fleet) groupStatements(s Scope) []iam.Statement {
	_, ends := f.AutoScaling.(CopyClient)
	ends = ends && f.Green != nil
	var all []iam.Statement
	if len(f.Groups) > 0 || ends {
		all = append(all, iam.AllowOnAny("FindGroups", "autoscaling:DescribeAutoScalingGroups"))
	}
	if len(f.Groups) > 0 {
		all = append(all, iam.Allow("HoldGroups", append(f.groupARNs(s), f.greenARNs(s)...), scaling("SuspendProcesses", "ResumeProcesses", "CreateOrUpdateTags", "DeleteTags")...))
	}
	switch {
	case f.Green == nil:
		return all
	case len(f.Groups) > 0 && f.Green.empty():
		all = append(all, f.copyStatements(s)...)
	case ends:
		all = append(all, f.endStatements(s)...)
	}
	of, ok := f.originals()
	return append(all, onInstances("EndInstances", []string{s.arn("ec2", "instance/*")}, "aws:ResourceTag/", of, ok, "ec2:TerminateInstances")...)
}

// scaling are actions of Auto Scaling.
func scaling(verbs ...string) []string {
	actions := make([]string, len(verbs))
	for i, v := range verbs {
		actions[i] = "autoscaling:" + v
	}
	return actions
}

// endVerbs end a group, or some of its instances.
var endVerbs = []string{"UpdateAutoScalingGroup", "DeleteAutoScalingGroup", "TerminateInstanceInAutoScalingGroup"}

// balancerVerbs give the load balancers of a group to another.
var balancerVerbs = []string{"AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups", "AttachLoadBalancers", "DetachLoadBalancers"}

// endStatements allow to end originals that a green fleet replaces, in whichever group
// they are, and to give its load balancers to the green groups.
func (f *Fleet) endStatements(s Scope) []iam.Statement {
	arns := f.groupARNs(s)
	if !f.Tags.Empty() {
		arns = []string{s.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")}
	}
	all := []iam.Statement{iam.Allow("EndGroups", arns, scaling(endVerbs...)...)}
	if len(f.Groups) > 0 {
		all = append(all, iam.Allow("GiveBalancers", append(arns, f.greenARNs(s)...), scaling(balancerVerbs...)...))
	}
	return all
}

// copyStatements allow to copy a group and to end one. Auto Scaling launches instances
// of a launch template in the name of whoever made the group.
func (f *Fleet) copyStatements(s Scope) []iam.Statement {
	verbs := slices.Concat([]string{"CreateAutoScalingGroup", "PutScalingPolicy", "PutScheduledUpdateGroupAction", "PutNotificationConfiguration",
		"EnableMetricsCollection", "PutLifecycleHook", "PutWarmPool"}, endVerbs, balancerVerbs)
	run, roles := iam.AllowOnAny("LaunchByTemplate", "ec2:RunInstances"), s.Roles
	if s.Region != "" {
		run = run.When("StringEquals", "aws:RequestedRegion", s.Region)
	}
	if len(roles) == 0 {
		roles = []string{strings.Replace(Scope{Account: s.Account}.arn("iam", "role/*"), "iam:*:", "iam::", 1)} // roles have no region
	}
	all := []iam.Statement{
		iam.AllowOnAny("ReadGroups", scaling("DescribeLifecycleHooks", "DescribeNotificationConfigurations", "DescribePolicies", "DescribeScalingActivities", "DescribeScheduledActions")...),
		iam.Allow("CopyGroups", f.groupARNs(s), scaling(verbs...)...),
		run,
		iam.Allow("TagWhatIsLaunched", []string{s.arn("ec2", "*/*")}, "ec2:CreateTags").When("StringEquals", "ec2:CreateAction", "RunInstances"),
		iam.Allow("PassInstanceRoles", roles, "iam:PassRole").When("StringEquals", "iam:PassedToService", "ec2.amazonaws.com"),
	}
	return all
}

func (b *Balancers) statements(s Scope) []iam.Statement {
	if b == nil {
		return nil
	}
	var all []iam.Statement
	read := iam.AllowOnAny("ReadBalancers")
	if len(b.TargetGroups) > 0 {
		read.Action = append(read.Action, "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetHealth")
		var arns []string
		for _, g := range b.TargetGroups {
			if !strings.HasPrefix(g, "arn:") {
				g = s.arn("elasticloadbalancing", "targetgroup/"+g+"/*")
			}
			arns = append(arns, g)
		}
		all = append(all, iam.Allow("ShiftTargets", arns, "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"))
	}
	if len(b.Classic) > 0 {
		read.Action = append(read.Action, "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeInstanceHealth")
		var arns []string
		for _, name := range b.Classic {
			arns = append(arns, s.arn("elasticloadbalancing", "loadbalancer/"+name))
		}
		all = append(all, iam.Allow("ShiftInstances", arns, "elasticloadbalancing:RegisterInstancesWithLoadBalancer", "elasticloadbalancing:DeregisterInstancesFromLoadBalancer"))
	}
	if len(read.Action) == 0 {
		return nil // no load balancer is named
	}
	return append([]iam.Statement{read}, all...)
}

func (m *SSM) statements(s Scope) []iam.Statement {
	document := Scope{Region: s.Region}.arn("ssm", "document/"+m.document())
	if m.document() == "AWS-RunShellScript" {
		document = strings.Replace(document, ":*:document", "::document", 1) // it is Amazon's
	}
	all := []iam.Statement{
		iam.Allow("UseDocument", []string{document}, "ssm:SendCommand"),
		iam.AllowOnAny("ReadCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation", "ssm:DescribeInstanceInformation"),
	}
	if s.Bucket != "" {
		all = append(all, iam.Allow("PutWhatHostsFetch", []string{"arn:aws:s3:::" + s.Bucket + "/" + s.Prefix + "*"}, "s3:GetObject", "s3:PutObject"))
	}
	return all
}

// HostPolicy is the IAM policy that hosts need to be reached by [SSM]: what the SSM agent
// does, and nothing of ours. What hosts fetch they fetch by presigned addresses.
func HostPolicy() string {
	return iam.PolicyOf(iam.AllowOnAny("SystemsManagerAgent",
		"ssm:UpdateInstanceInformation", "ssm:ListAssociations", "ssm:ListInstanceAssociations",
		"ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage", "ec2messages:GetEndpoint", "ec2messages:GetMessages", "ec2messages:SendReply",
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel")).String()
}
