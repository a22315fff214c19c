package throttle

import "strings"

// Family is a set of operations that share a bucket of tokens, in each region.
type Family struct {
	Name    string
	Service string // the service's id in the SDK, such as "Elastic Load Balancing v2"
	// Operations are names, or beginnings of names with a * behind; empty: all. Except
	// takes some out again.
	Operations, Except []string
	Burst              int     // tokens in a full bucket
	PerSecond          float64 // tokens that come back in a second
	Source             string  // where the figures are from
}

// Where the figures are from.
const (
	ecsPage    = "AWS: ECS API request throttling"
	elbPage    = "AWS: ELB API request throttling"
	lambdaPage = "AWS: Lambda quotas"
	ours       = "not published; a cautious rate of our own"
)

// Families returns the table: facts that AWS publishes, and guesses that say so. An
// operation that is in several families takes a token from each: ELB counts all calls
// of an account together, and those of a kind once more. The slice is the caller's own.
func Families() []Family {
	const ecs, elb, elb2, lambda = "ECS", "Elastic Load Balancing", "Elastic Load Balancing v2", "Lambda"
	register := []string{"RegisterTargets", "DeregisterTargets", "RegisterInstances*", "DeregisterInstances*"}
	taskSets := []string{"CreateTaskSet", "UpdateTaskSet", "DeleteTaskSet", "UpdateServicePrimaryTaskSet", "StopServiceDeployment", "ContinueServiceDeployment"}
	service := []string{"CreateService", "UpdateService", "DeleteService"}
	revisions := []string{"DescribeServiceDeployments", "ListServiceDeployments", "DescribeServiceRevisions"}
	families := []Family{
		{"ECS service modify", ecs, service, nil, 50, 5, ecsPage},
		{"ECS service read", ecs, []string{"DescribeServices", "ListServices*"}, nil, 100, 20, ecsPage},
		{"ECS service deployment read", ecs, revisions, nil, 50, 20, ecsPage},
		{"ECS task definition modify", ecs, []string{"RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"}, nil, 20, 1, ecsPage},
		{"ECS task definition read", ecs, []string{"DescribeTaskDefinition", "ListTaskDefinition*"}, nil, 50, 20, ecsPage},
		{"ECS task set", ecs, taskSets, nil, 50, 5, ours},
		{"ECS cluster resource read", ecs, []string{"Describe*", "List*"}, append(revisions, "DescribeServices", "ListServices*", "DescribeTaskDefinition", "ListTaskDefinition*"), 100, 20, ecsPage},
		{"ECS cluster resource modify", ecs, nil, append(append(append([]string{"Describe*", "List*", "RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"}, revisions...), service...), taskSets...), 100, 40, ecsPage},
		{"Lambda control", lambda, nil, []string{"Invoke*", "GetFunction", "GetPolicy"}, 15, 15, lambdaPage},
		{"Lambda GetFunction", lambda, []string{"GetFunction"}, nil, 100, 100, lambdaPage},
		{"Lambda GetPolicy", lambda, []string{"GetPolicy"}, nil, 15, 15, lambdaPage},
		{"CloudWatch alarms", "CloudWatch", []string{"DescribeAlarms*"}, nil, 9, 3, ours},
		{"Auto Scaling", "Auto Scaling", nil, nil, 20, 10, ours},
		{"Application Auto Scaling", "Application Auto Scaling", nil, nil, 20, 10, ours},
		{"SSM", "SSM", nil, nil, 20, 10, ours},
		{"EC2 read", "EC2", []string{"Describe*"}, nil, 50, 20, ours},
		{"EC2 modify", "EC2", nil, []string{"Describe*"}, 20, 5, ours},
		{"CodeDeploy", "CodeDeploy", nil, nil, 10, 5, ours},
	}
	for _, s := range []string{elb, elb2} {
		families = append(families,
			Family{s + " all", s, nil, nil, 40, 10, elbPage},
			Family{s + " registration", s, register, nil, 20, 4, elbPage},
			Family{s + " read", s, []string{"Describe*"}, nil, 40, 10, elbPage},
			Family{s + " modify", s, nil, append([]string{"Describe*"}, register...), 20, 3, elbPage})
	}
	return families
}

// has reports whether an operation is of the family.
func (f Family) has(service, operation string) bool {
	return service == f.Service && (len(f.Operations) == 0 || matches(f.Operations, operation)) && !matches(f.Except, operation)
}

func matches(patterns []string, operation string) bool {
	for _, p := range patterns {
		if start, open := strings.CutSuffix(p, "*"); p == operation || open && strings.HasPrefix(operation, start) {
			return true
		}
	}
	return false
}
