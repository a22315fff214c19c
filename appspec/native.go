package appspec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Group is what CodeDeploy's deployment group and deployment configuration say
// about an ECS deployment, beside the AppSpec.
type Group struct {
	// Config names a deployment configuration, CodeDeploy's or one in the same
	// form, such as CodeDeployDefault.ECSCanary10Percent5Minutes. Empty: all at once.
	Config string
	// Bake is how long the original task set stays after the traffic has moved.
	// Zero: not at all.
	Bake time.Duration
	// Approval is how long somebody has to let the traffic move. Zero: nobody has to.
	Approval time.Duration
	// Rollback says that a failed deployment is rolled back. False: it stays.
	Rollback bool
	// Alarms roll the deployment back, or fail it without Rollback. Empty: none.
	Alarms []string
	// TargetGroups are the ARNs of the two target groups, the serving one first,
	// Listener and TestListener those of the listener rules, Role that of the role
	// that ECS changes them with and calls functions with. Empty: to be filled in,
	// of which a warning tells.
	TargetGroups           [2]string
	Listener, TestListener string
	Role                   string
}

// NativeService is the same deployment without CodeDeploy: as JSON, these are
// members of the input of ECS's UpdateService.
type NativeService struct {
	TaskDefinition           string           `json:"taskDefinition"`
	PlatformVersion          string           `json:"platformVersion,omitempty"`
	NetworkConfiguration     *NativeNetwork   `json:"networkConfiguration,omitempty"`
	CapacityProviderStrategy []NativeCapacity `json:"capacityProviderStrategy,omitempty"`
	LoadBalancers            []NativeBalancer `json:"loadBalancers"`
	DeploymentController     struct {
		Type string `json:"type"`
	} `json:"deploymentController"`
	DeploymentConfiguration NativeConfiguration `json:"deploymentConfiguration"`
}

// NativeNetwork is a network configuration in ECS's own words.
type NativeNetwork struct {
	Awsvpc struct {
		Subnets        []string `json:"subnets"`
		SecurityGroups []string `json:"securityGroups"`
		AssignPublicIP string   `json:"assignPublicIp"`
	} `json:"awsvpcConfiguration"`
}

// NativeCapacity is an entry of a capacity provider strategy in ECS's own words.
type NativeCapacity struct {
	CapacityProvider string `json:"capacityProvider"`
	Base             int    `json:"base"`
	Weight           int    `json:"weight"`
}

// NativeBalancer ties a container to two target groups.
type NativeBalancer struct {
	TargetGroup   string          `json:"targetGroupArn"`
	ContainerName string          `json:"containerName"`
	ContainerPort int             `json:"containerPort"`
	Advanced      *NativeAdvanced `json:"advancedConfiguration"`
}

// NativeAdvanced names the other target group and the rules that move traffic.
type NativeAdvanced struct {
	AlternateTargetGroup string `json:"alternateTargetGroupArn"`
	ProductionRule       string `json:"productionListenerRule"`
	TestRule             string `json:"testListenerRule,omitempty"`
	Role                 string `json:"roleArn"`
}

// NativeConfiguration says how the traffic moves.
type NativeConfiguration struct {
	Strategy       string         `json:"strategy"` // BLUE_GREEN, CANARY or LINEAR
	BakeMinutes    int            `json:"bakeTimeInMinutes"`
	Canary         *NativeCanary  `json:"canaryConfiguration,omitempty"`
	Linear         *NativeLinear  `json:"linearConfiguration,omitempty"`
	LifecycleHooks []NativeHook   `json:"lifecycleHooks,omitempty"`
	Alarms         *NativeAlarms  `json:"alarms,omitempty"`
	CircuitBreaker *NativeBreaker `json:"deploymentCircuitBreaker,omitempty"`
}

// NativeCanary is one small step, a wait, and the rest.
type NativeCanary struct {
	Percent float64 `json:"canaryPercent"`
	Minutes int     `json:"canaryBakeTimeInMinutes"`
}

// NativeLinear is equal steps with a wait after each.
type NativeLinear struct {
	Percent float64 `json:"stepPercent"`
	Minutes int     `json:"stepBakeTimeInMinutes"`
}

// NativeHook is a function that ECS calls, or a pause.
type NativeHook struct {
	Target  string         `json:"hookTargetArn,omitempty"`
	Role    string         `json:"roleArn,omitempty"`
	Stages  []string       `json:"lifecycleStages"`
	Type    string         `json:"targetType"` // AWS_LAMBDA or PAUSE
	Timeout *NativeTimeout `json:"timeoutConfiguration,omitempty"`
}

// NativeTimeout ends a pause.
type NativeTimeout struct {
	Minutes int    `json:"timeoutInMinutes"`
	Action  string `json:"action"` // CONTINUE or ROLLBACK
}

// NativeAlarms end a deployment.
type NativeAlarms struct {
	Names    []string `json:"alarmNames"`
	Enable   bool     `json:"enable"`
	Rollback bool     `json:"rollback"`
}

// NativeBreaker ends a deployment whose tasks do not start.
type NativeBreaker struct {
	Enable   bool `json:"enable"`
	Rollback bool `json:"rollback"`
}

// Native converts an ECS AppSpec and what the deployment group says into the
// configuration of ECS's own blue/green deployments. The warnings, of code
// [ErrNotCarriedOver], say what has no equal there or has to be added by hand. It
// fails for a Spec of another platform, for one with variables left in, and for a
// deployment configuration it cannot read.
func Native(s *Spec, g Group) (*NativeService, []*Problem, error) {
	switch {
	case s.Platform != lifecycle.ECS || s.Service == nil:
		return nil, nil, &Problem{Severity: Error, Code: ErrPlatformMismatch, Why: "only an AppSpec for ECS can be converted"}
	case s.Service.PortText != "":
		return nil, nil, (&Problem{Severity: Error, Code: ErrPlaceholder, Why: "the template is not filled in"}).found(s.Service.PortText)
	}
	c := &nativeConverter{spec: s, group: g}
	n := c.service()
	if err := c.traffic(&n.DeploymentConfiguration); err != nil {
		return nil, nil, err
	}
	c.hooks(&n.DeploymentConfiguration)
	c.endings(&n.DeploymentConfiguration)
	return n, c.notes, nil
}

// nativeConverter gathers what does not carry over.
type nativeConverter struct {
	spec  *Spec
	group Group
	notes []*Problem
}

func (c *nativeConverter) note(pos Pos, path, why, hint string) {
	c.notes = append(c.notes, &Problem{Line: pos.Line, Col: pos.Col, Path: path, Severity: Warning, Code: ErrNotCarriedOver, Why: why, Hint: hint})
}

func (c *nativeConverter) service() *NativeService {
	s, g := c.spec.Service, c.group
	n := &NativeService{TaskDefinition: s.TaskDefinition, PlatformVersion: s.PlatformVersion}
	n.DeploymentController.Type = "ECS"
	if s.Network != nil {
		n.NetworkConfiguration = &NativeNetwork{}
		v := &n.NetworkConfiguration.Awsvpc
		v.Subnets, v.SecurityGroups, v.AssignPublicIP = s.Network.Subnets, s.Network.SecurityGroups, s.Network.AssignPublicIP
	}
	for _, p := range s.Capacity {
		n.CapacityProviderStrategy = append(n.CapacityProviderStrategy, NativeCapacity{p.Name, p.Base, p.Weight})
	}
	n.LoadBalancers = []NativeBalancer{{TargetGroup: g.TargetGroups[0], ContainerName: s.ContainerName, ContainerPort: s.ContainerPort,
		Advanced: &NativeAdvanced{AlternateTargetGroup: g.TargetGroups[1], ProductionRule: g.Listener, TestRule: g.TestListener, Role: g.Role}}}
	if g.TargetGroups[0] == "" || g.TargetGroups[1] == "" || g.Listener == "" || g.Role == "" {
		c.note(s.Pos, "", "an AppSpec does not name the target groups, the listener rule and the role that ECS needs",
			"take them from the deployment group; the rule must hold both groups, with weights 1 and 0")
	}
	c.note(Pos{}, "", "a service of the CodeDeploy controller has to be moved to the ECS controller first",
		"set the deployment controller with UpdateService while no deployment runs")
	return n
}

var reConfig = lazyregexp.New(`^(?:CodeDeployDefault\.)?(?:ECS)?(?:(AllAtOnce)|(Canary)(\d{1,2})Percent(\d{1,4})Minutes?|(Linear)(\d{1,2})PercentEvery(\d{1,4})Minutes?)$`)

// The limits of ECS's own strategies.
const (
	minStep     = 3
	maxMinutes  = 1440
	maxPause    = 20160
	maxBakeDays = 30
)

// traffic converts the deployment configuration.
func (c *nativeConverter) traffic(n *NativeConfiguration) error {
	name := c.group.Config
	if name == "" {
		name = "AllAtOnce"
	}
	m := reConfig.FindStringSubmatch(name)
	if m == nil {
		return (&Problem{Severity: Error, Code: ErrEnum, Why: "not a deployment configuration of ECS"}).found(name).
			allowed("such as CodeDeployDefault.ECSAllAtOnce, ECSCanary10Percent5Minutes or ECSLinear10PercentEvery3Minutes")
	}
	num := func(s string) int { v, _ := strconv.Atoi(s); return v }
	switch {
	case m[1] != "":
		n.Strategy = "BLUE_GREEN"
	case m[2] != "":
		n.Strategy = "CANARY"
		n.Canary = &NativeCanary{Percent: float64(num(m[3])), Minutes: c.minutes(num(m[4]))}
	default:
		n.Strategy = "LINEAR"
		step := num(m[6])
		if step < minStep {
			c.note(Pos{}, "", fmt.Sprintf("steps of %d percent become steps of %d, the smallest that ECS has", step, minStep), "")
		}
		n.Linear = &NativeLinear{Percent: float64(max(step, minStep)), Minutes: c.minutes(num(m[7]))}
	}
	if num(m[3]) == 0 && m[2] != "" || num(m[6]) == 0 && m[5] != "" {
		return (&Problem{Severity: Error, Code: ErrEnum, Why: "a share of 0 percent moves nothing"}).found(name)
	}
	if n.Strategy != "BLUE_GREEN" {
		c.note(Pos{}, "", n.Strategy+" needs an Application Load Balancer or Service Connect", "with a Network Load Balancer use all at once")
	}
	n.BakeMinutes = c.bake()
	return nil
}

func (c *nativeConverter) minutes(m int) int {
	if m > maxMinutes {
		c.note(Pos{}, "", fmt.Sprintf("a wait of %d minutes between steps becomes %d, the longest that ECS has", m, maxMinutes), "")
	}
	return min(m, maxMinutes)
}

func (c *nativeConverter) bake() int {
	m := wholeMinutes(c.group.Bake)
	if limit := maxBakeDays * 24 * 60; m > limit {
		c.note(Pos{}, "", "the wait before the original tasks end becomes 30 days, the longest that ECS has", "")
		m = limit
	}
	return m
}

// wholeMinutes rounds up: a wait must not become shorter.
func wholeMinutes(d time.Duration) int { return int((max(d, 0) + time.Minute - 1) / time.Minute) }

// nativeStages are the stages in which ECS calls what CodeDeploy calls at an event.
var nativeStages = map[lifecycle.Event]string{
	lifecycle.BeforeInstall:         "PRE_SCALE_UP",
	lifecycle.AfterInstall:          "POST_SCALE_UP",
	lifecycle.AfterAllowTestTraffic: "POST_TEST_TRAFFIC_SHIFT",
	lifecycle.BeforeAllowTraffic:    "PRE_PRODUCTION_TRAFFIC_SHIFT",
	lifecycle.AfterAllowTraffic:     "POST_PRODUCTION_TRAFFIC_SHIFT",
}

func (c *nativeConverter) hooks(n *NativeConfiguration) {
	for i, h := range c.spec.Functions {
		path := fmt.Sprintf("Hooks[%d].%s", i, h.Event)
		n.LifecycleHooks = append(n.LifecycleHooks, NativeHook{Target: h.Function, Role: c.group.Role, Stages: []string{nativeStages[h.Event]}, Type: "AWS_LAMBDA"})
		if !strings.HasPrefix(h.Function, "arn:") {
			c.note(h.Pos, path, "ECS takes the ARN of a function, not its name", "write the ARN")
		}
	}
	if len(c.spec.Functions) > 0 {
		c.note(c.spec.Functions[0].Pos, "Hooks", "a function must return hookStatus SUCCEEDED or FAILED, and gets another event: its call of PutLifecycleEventHookExecutionStatus no longer counts",
			"change the functions: a function that returns nothing rolls the deployment back")
		c.note(c.spec.Functions[0].Pos, "Hooks", "CodeDeploy's limit of one hour for a function is gone: a stage may take 24 hours", "let the function give up by itself")
	}
	if c.group.Approval > 0 {
		m := max(1, min(wholeMinutes(c.group.Approval), maxPause))
		n.LifecycleHooks = append(n.LifecycleHooks, NativeHook{Stages: []string{"PRE_PRODUCTION_TRAFFIC_SHIFT"}, Type: "PAUSE",
			Timeout: &NativeTimeout{Minutes: m, Action: "ROLLBACK"}})
		c.note(Pos{}, "", "approval is a pause before the traffic moves: ContinueServiceDeployment goes on, and without it ECS rolls back",
			"CodeDeploy would only stop")
	}
}

// endings converts what ends a deployment early.
func (c *nativeConverter) endings(n *NativeConfiguration) {
	if len(c.group.Alarms) > 0 {
		n.Alarms = &NativeAlarms{Names: c.group.Alarms, Enable: true, Rollback: c.group.Rollback}
	}
	n.CircuitBreaker = &NativeBreaker{Enable: true, Rollback: c.group.Rollback}
	if !c.group.Rollback {
		c.note(Pos{}, "", "a failing function rolls the deployment back in any case", "")
	}
	c.note(Pos{}, "", "the history, the notifications and the revisions of the deployment group stay behind in CodeDeploy",
		"watch the service's deployments and their events instead")
}
