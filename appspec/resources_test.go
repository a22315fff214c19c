package appspec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/stretchr/testify/require"
)

// Rows R1 to R13 of the catalogue of bad inputs: the content for ECS and Lambda.

// ecsText is an AppSpec for ECS with other properties and hooks.
func ecsText(properties, rest string) string {
	return "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n" +
		indent(properties, "        ") + rest
}

func lambdaText(properties, rest string) string {
	return "version: 0.0\nResources:\n  - shop:\n      Type: AWS::Lambda::Function\n      Properties:\n" +
		indent(properties, "        ") + rest
}

func indent(text, by string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		b.WriteString(by + l)
	}
	return b.String()
}

const (
	okBalancer = "LoadBalancerInfo:\n  ContainerName: web\n  ContainerPort: 8080\n"
	okService  = "TaskDefinition: shop:7\n" + okBalancer
	okFunction = "Name: shop\nAlias: live\nCurrentVersion: \"3\"\nTargetVersion: 4\n"
	okNetwork  = "NetworkConfiguration:\n  AwsvpcConfiguration:\n    Subnets: [subnet-1, subnet-2]\n    SecurityGroups: [sg-1]\n    AssignPublicIp: ENABLED\n"
)

func TestECSWhole(t *testing.T) {
	spec := clean(t, ecsText(okService+"PlatformVersion: 1.4.0\n"+okNetwork+
		"CapacityProviderStrategy:\n  - {CapacityProvider: FARGATE, Base: 1, Weight: 2}\n  - {CapacityProvider: FARGATE_SPOT, Weight: 8}\n",
		"Hooks:\n  - BeforeInstall: check\n  - AfterAllowTraffic: arn:aws:lambda:eu-central-1:123456789012:function:check:live\n"))
	require.Equal(t, &Spec{
		Platform: lifecycle.ECS,
		Service: &Service{Name: "TargetService", TaskDefinition: "shop:7", ContainerName: "web", ContainerPort: 8080, PlatformVersion: "1.4.0",
			Network:  &Network{Subnets: []string{"subnet-1", "subnet-2"}, SecurityGroups: []string{"sg-1"}, AssignPublicIP: "ENABLED"},
			Capacity: []CapacityProvider{{"FARGATE", 1, 2}, {"FARGATE_SPOT", 0, 8}}, Pos: Pos{3, 5}},
		Functions: []FunctionHook{{lifecycle.BeforeInstall, "check", Pos{20, 5}},
			{lifecycle.AfterAllowTraffic, "arn:aws:lambda:eu-central-1:123456789012:function:check:live", Pos{21, 5}}},
	}, spec)
}

func TestLambdaWhole(t *testing.T) {
	spec := clean(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: check\n"))
	require.Equal(t, &Function{Label: "shop", Name: "shop", Alias: "live", CurrentVersion: "3", TargetVersion: "4", Pos: Pos{3, 5}}, spec.Function)
	require.Nil(t, spec.Service)
	require.Equal(t, lifecycle.Lambda, spec.Platform)
}

func TestSameSpecFromJSON(t *testing.T) {
	strip := func(s *Spec) *Spec {
		s.Function.Pos = Pos{}
		s.Functions[0].Pos = Pos{}
		return s
	}
	one := clean(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: check\n"))
	two := clean(t, `{"version": 0.0, "Resources": [{"shop": {"Type": "AWS::Lambda::Function", "Properties":
		{"Name": "shop", "Alias": "live", "CurrentVersion": "3", "TargetVersion": "4"}}}], "Hooks": [{"BeforeAllowTraffic": "check"}]}`)
	require.Equal(t, strip(one), strip(two))
}

func TestR1_Resources(t *testing.T) {
	ecs := Options{Platform: lifecycle.ECS}
	for _, text := range []string{"version: 0.0\n", "version: 0.0\nResources:\n", "version: 0.0\nResources: []\n"} {
		_, errs, _ := check(t, text, ecs)
		require.Len(t, errs, 1, lines(errs))
		with(t, errs, ErrResources)
	}
	refused(t, "version: 0.0\nResources: []\n", ErrResources)
	two := lambdaText(okFunction, indent("- second:\n    Type: AWS::Lambda::Function\n    Properties: {Name: a, Alias: b, CurrentVersion: 1, TargetVersion: 2}\n", "  "))
	p := refused(t, two, ErrResources)
	require.Equal(t, [2]int{10, 5}, [2]int{p.Line, p.Col})
	p = refused(t, "version: 0.0\nResources:\n  shop:\n    Type: AWS::ECS::Service\n    Properties: {TaskDefinition: a, LoadBalancerInfo: {ContainerName: a, ContainerPort: 1}}\n", ErrType)
	require.Contains(t, p.Hint, "dash")
}

func TestR1_ResourceAtTheWrongIndentation(t *testing.T) {
	p := refused(t, "version: 0.0\nResources:\n  - TargetService:\n    Type: AWS::ECS::Service\n    Properties:\n"+indent(okService, "      "), ErrIndentation)
	require.Equal(t, [2]int{3, 5}, [2]int{p.Line, p.Col})
	require.Equal(t, "Resources[0].TargetService", p.Path)
	refused(t, "version: 0.0\nResources:\n  - Type: AWS::ECS::Service\n    Properties:\n"+indent(okService, "      "), ErrIndentation)
	refused(t, "version: 0.0\nResources:\n  - shop\n", ErrResources)
	_, errs, _ := check(t, "version: 0.0\nResources:\n  - shop\n", Options{Platform: lifecycle.Lambda})
	with(t, errs, ErrType)
}

func TestR2_Type(t *testing.T) {
	for text, near := range map[string]string{"AWS::ECS::Services": typeECS, "AWS::EKS::Service": typeECS, "aws::ecs::service": typeECS,
		"AWS::Serverless::Function": "", "AWS::Lambda::Funktion": typeLambda} {
		properties := okService
		if strings.Contains(text, "Fun") {
			properties = okFunction
		}
		p := refused(t, strings.Replace(ecsText(properties, ""), "AWS::ECS::Service", text, 1), ErrEnum)
		require.Equal(t, near, p.Nearest, text)
		require.Equal(t, "Resources[0].TargetService.Type", p.Path)
	}
	refused(t, strings.Replace(ecsText(okService, ""), "      Type: AWS::ECS::Service\n", "", 1), ErrMissingField)
}

func TestR3_TaskDefinition(t *testing.T) {
	for _, v := range []string{"shop:latest", "'shop def'", "shop:0", "arn:aws:ecs:eu-central-1:1:task-definition/a", "task.json", "arn:aws:s3:::bucket/key"} {
		p := refused(t, ecsText("TaskDefinition: "+v+"\n"+okBalancer, ""), ErrTaskDefinition)
		require.Equal(t, [2]int{6, 25}, [2]int{p.Line, p.Col})
	}
	for _, v := range []string{"shop", "shop:7", "arn:aws:ecs:eu-central-1:123456789012:task-definition/shop", "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/shop:12", "12"} {
		clean(t, ecsText("TaskDefinition: "+v+"\n"+okBalancer, ""))
	}
	refused(t, ecsText(okBalancer, ""), ErrMissingField)
	refused(t, ecsText("TaskDefinition: ''\n"+okBalancer, ""), ErrMissingField)
	refused(t, ecsText("TaskDefinition: [a]\n"+okBalancer, ""), ErrType)
	refused(t, ecsText("TaskDefinition: yes\n"+okBalancer, ""), ErrType)
}

func TestR4_Container(t *testing.T) {
	balancer := func(port string) string {
		return ecsText("TaskDefinition: a\nLoadBalancerInfo:\n  ContainerName: web\n  ContainerPort: "+port+"\n", "")
	}
	for _, v := range []string{"0", "-1", "70000", "080", "0x50", "80.0", "http", "1e2", "'80 81'"} {
		p := refused(t, balancer(v), ErrPort)
		require.Equal(t, "Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort", p.Path)
	}
	require.Equal(t, 80, clean(t, balancer("'80'")).Service.ContainerPort)
	require.Equal(t, 65535, clean(t, balancer("65535")).Service.ContainerPort)
	refused(t, balancer(""), ErrMissingField)
	require.Contains(t, refused(t, ecsText("TaskDefinition: a\nLoadBalancerInfo:\n  - ContainerName: a\n  - ContainerPort: 80\n", ""), ErrType).Hint, "without dashes")
	refused(t, ecsText("TaskDefinition: a\n", ""), ErrMissingField)
}

func TestR5_Words(t *testing.T) {
	for _, v := range []string{"latest", "1.4", "fargate"} {
		refused(t, ecsText(okService+"PlatformVersion: "+v+"\n", ""), ErrEnum)
	}
	warned(t, ecsText(okService+"PlatformVersion: ''\n", ""), ErrEnum)
	clean(t, ecsText(okService+"PlatformVersion: LATEST\n", ""))
	p := refused(t, ecsText(okService+strings.Replace(okNetwork, "ENABLED", "enabled", 1), ""), ErrEnum)
	require.Equal(t, "ENABLED", p.Nearest)
}

func TestR6_Network(t *testing.T) {
	refused(t, ecsText(okService+strings.Replace(okNetwork, "[sg-1]", "[]", 1), ""), ErrNetwork)
	refused(t, ecsText(okService+strings.Replace(okNetwork, "[sg-1]", "[a, b, c, d, e, f]", 1), ""), ErrNetwork)
	refused(t, ecsText(okService+strings.Replace(okNetwork, "[sg-1]", "['']", 1), ""), ErrMissingField)
	require.Contains(t, refused(t, ecsText(okService+strings.Replace(okNetwork, "[sg-1]", "sg-1", 1), ""), ErrType).Hint, "[sg-1]")
	refused(t, ecsText(okService+strings.Replace(okNetwork, "    SecurityGroups: [sg-1]\n", "", 1), ""), ErrMissingField)
	refused(t, ecsText(okService+"NetworkConfiguration: {}\n", ""), ErrMissingField)
	clean(t, ecsText(okService+"NetworkConfiguration:\n", ""))
}

func TestR7_CapacityProviders(t *testing.T) {
	for _, list := range []string{"[{CapacityProvider: a, Weight: -1}]", "[{CapacityProvider: a, Weight: 1, Base: 1}, {CapacityProvider: b, Base: 2}]",
		"[{CapacityProvider: a}]", "[{CapacityProvider: a, Weight: 1001}]", "[{CapacityProvider: a, Weight: 1, Base: 1.5}]"} {
		_, errs, _ := check(t, ecsText(okService+"CapacityProviderStrategy: "+list+"\n", ""), Options{})
		with(t, errs, ErrCapacityProvider)
	}
	refused(t, ecsText(okService+"CapacityProviderStrategy: [{Weight: 1}]\n", ""), ErrMissingField)
	refused(t, ecsText(okService+"CapacityProviderStrategy: ["+strings.Repeat("{CapacityProvider: a, Weight: 1}, ", 21)+"]\n", ""), ErrCapacityProvider)
}

func TestR8_NothingToDeploy(t *testing.T) {
	warned(t, lambdaText("Name: a\nAlias: b\nCurrentVersion: '4'\nTargetVersion: 4\n", ""), ErrNothingToDeploy)
}

func TestR9_LambdaVersion(t *testing.T) {
	for _, v := range []string{"$LATEST", "'$Latest'", "live", "0", "-1", "1.0", "03", "'1 '''"} {
		p := refused(t, lambdaText("Name: a\nAlias: b\nCurrentVersion: 4\nTargetVersion: "+v+"\n", ""), ErrLambdaVersion)
		require.Equal(t, "Resources[0].shop.Properties.TargetVersion", p.Path)
	}
	refused(t, lambdaText("Name: a\nAlias: b\nCurrentVersion: 4\n", ""), ErrMissingField)
}

func TestR10_Alias(t *testing.T) {
	refused(t, lambdaText("Name: a\nCurrentVersion: 4\nTargetVersion: 5\n", ""), ErrMissingField)
	for _, v := range []string{"a b", "7", "a:b"} {
		refused(t, lambdaText("Name: a\nAlias: '"+v+"'\nCurrentVersion: 4\nTargetVersion: 5\n", ""), ErrBadName)
	}
}

func TestR11_HookFunction(t *testing.T) {
	for _, v := range []string{"a b", "scripts/check.sh", "arn:aws:sns:eu-central-1:123456789012:x", "a:b:c"} {
		p := refused(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: '"+v+"'\n"), ErrHookFunction)
		require.Equal(t, "Hooks[0].BeforeAllowTraffic", p.Path)
	}
	refused(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic:\n"), ErrMissingField)
	refused(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: [a]\n"), ErrType)
	warned(t, lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: 12\n"), ErrType)
	clean(t, lambdaText(okFunction, "Hooks:\n"))
	p := refused(t, lambdaText(okFunction, "Hooks:\n  BeforeAllowTraffic: a\n"), ErrType)
	require.Contains(t, p.Hint, "dash")
	_, errs, _ := check(t, lambdaText(okFunction, "Hooks:\n  BeforeAllowTraffic:\n    - location: a.sh\n"), Options{})
	require.Contains(t, errs[0].Hint, "form for servers")
}

func TestR12_UnknownEvent(t *testing.T) {
	for platform, bad := range map[string][]string{
		"lambda": {"ApplicationStop", "AfterInstall", "AllowTraffic", "BeforeAlowTraffic"},
		"ecs":    {"ApplicationStart", "AllowTestTraffic", "Install", "AfterAllowTestTrafic"},
	} {
		for _, event := range bad {
			text := ecsText(okService, "Hooks:\n  - "+event+": check\n")
			if platform == "lambda" {
				text = lambdaText(okFunction, "Hooks:\n  - "+event+": check\n")
			}
			p := refused(t, text, ErrUnknownEvent)
			require.Contains(t, p.Allowed, "BeforeAllowTraffic, AfterAllowTraffic")
		}
	}
	refused(t, ecsText(okService, "Hooks:\n  - BeforeInstall: a\n  - BeforeInstall: b\n"), ErrDuplicateKey)
	_, p := warned(t, lambdaText(okFunction, "BeforeAllowTraffic: a\n"), ErrUnknownField)
	require.Contains(t, p.Hint, "under Hooks")
}

func TestR13_PlatformMismatch(t *testing.T) {
	ecs, lambda := ecsText(okService, ""), lambdaText(okFunction, "")
	for _, c := range []struct {
		text string
		opt  Options
		ok   bool
	}{
		{head, Options{Platform: lifecycle.ECS}, false},
		{head, Options{Platform: lifecycle.Server}, true},
		{ecs, Options{Platform: lifecycle.Server}, false},
		{ecs, Options{OS: "linux"}, false},
		{ecs, Options{Platform: lifecycle.Lambda}, false},
		{ecs, Options{Platform: lifecycle.ECS}, true},
		{lambda, Options{Platform: lifecycle.ECS}, false},
		{lambda, Options{Platform: lifecycle.Lambda}, true},
	} {
		_, errs, _ := check(t, c.text, c.opt)
		require.Equal(t, c.ok, len(errs) == 0, "%v %s", c.opt, c.text)
		if !c.ok {
			with(t, errs, ErrPlatformMismatch)
		}
	}
}

func TestOtherProductsFiles(t *testing.T) {
	for _, text := range []string{"AWSTemplateFormatVersion: '2010-09-09'\nResources: {}\n", "Transform: AWS::Serverless-2016-10-31\nResources: {f: {Type: 'AWS::Serverless::Function'}}\n",
		"Resources:\n  S:\n    Type: AWS::ECS::Service\n"} {
		p := refused(t, text, ErrPlatform)
		require.Contains(t, p.Why, "CloudFormation")
		require.Empty(t, Detect([]byte(text)))
	}
}

func TestMixedPlatforms(t *testing.T) {
	text := head + "Resources:\n  - s:\n      Type: AWS::ECS::Service\n      Properties: {TaskDefinition: a, LoadBalancerInfo: {ContainerName: a, ContainerPort: 1}}\n"
	spec, _ := warned(t, text, ErrMixedPlatforms)
	require.Equal(t, lifecycle.ECS, spec.Platform)
	spec, errs, warnings := check(t, text, Options{OS: "linux"})
	require.Empty(t, errs)
	with(t, warnings, ErrMixedPlatforms)
	require.Equal(t, lifecycle.Server, spec.Platform)
}

func TestVersionAsText(t *testing.T) {
	for _, v := range []string{"'0.0'", `"0.0"`} {
		warned(t, strings.Replace(ecsText(okService, ""), "0.0", v, 1), ErrVersion)
	}
	for _, v := range []string{"1", "'1.0'", "0.1", ""} {
		refused(t, strings.Replace(ecsText(okService, ""), "0.0", v, 1), ErrVersion)
	}
}

func TestKeysInOtherLetters(t *testing.T) {
	text := lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: check\n")
	for _, k := range []string{"Resources", "Type", "Properties", "Name", "Alias", "CurrentVersion", "Hooks"} {
		spec, p := warned(t, strings.Replace(text, k+":", strings.ToLower(k)+":", 1), ErrKeyCase)
		require.Contains(t, p.Why, k)
		require.Equal(t, "check", spec.Functions[0].Function)
		require.Equal(t, "3", spec.Function.CurrentVersion)
	}
	refused(t, strings.Replace(text, "Hooks:", "hooks: []\nHooks:", 1), ErrDuplicateKey)
	// Servers have one case, and the agent knows no other.
	_, errs, _ := check(t, "Version: 0.0\nos: linux\n", Options{})
	with(t, errs, ErrVersion)
}

func TestUnknownProperty(t *testing.T) {
	for key, hint := range map[string]string{"ServiceName": "deployment group", "TargetGroupArn": "deployment group", "HostPort": "ContainerPort",
		"Subnets": "AwsvpcConfiguration", "ContainerName": "LoadBalancerInfo"} {
		_, p := warned(t, ecsText(okService+key+": x\n", ""), ErrUnknownField)
		require.Contains(t, p.Hint, hint)
		require.Equal(t, [2]int{10, 9}, [2]int{p.Line, p.Col})
	}
}

func TestY20_PlaceholdersOfECSAndLambda(t *testing.T) {
	for _, v := range []string{"<TASK_DEFINITION>", "${TASK}", "$TASK", "'{{TASK}}'", "TASK_DEFINITION_ARN", "'[Your ARN]'", "arn:aws:ecs:<region>:1:x",
		"{{TASK}}", "{{ TASK }}"} {
		spec, p := warned(t, ecsText("TaskDefinition: "+v+"\n"+okBalancer, ""), ErrPlaceholder)
		require.Equal(t, "Resources[0].TargetService.Properties.TaskDefinition", p.Path)
		require.NotEmpty(t, spec.Service.TaskDefinition)
	}
	spec, _ := warned(t, ecsText("TaskDefinition: a\nLoadBalancerInfo: {ContainerName: a, ContainerPort: $PORT}\n", ""), ErrPlaceholder)
	require.Equal(t, "$PORT", spec.Service.PortText)
	warned(t, lambdaText("Name: a\nAlias: b\nCurrentVersion: CURRENT_VERSION\nTargetVersion: '{{TARGET}}'\n", ""), ErrPlaceholder)
}

// A Spec of any platform survives JSON, as agents and journals keep it.
func TestSpecSurvivesJSON(t *testing.T) {
	for _, text := range []string{fullExample, ecsText(okService+okNetwork, "Hooks: [{BeforeInstall: a}]\n"), lambdaText(okFunction, "")} {
		spec := clean(t, text)
		data, err := json.Marshal(spec)
		require.NoError(t, err)
		var back Spec
		require.NoError(t, json.Unmarshal(data, &back))
		again, err := json.Marshal(&back)
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	}
}

// The name of the section is wrong, or it is missing: the rest says what it is for.
func TestResourcesMissingOrMisspelt(t *testing.T) {
	for _, name := range []string{"resource", "Resource", "Ressources"} {
		text := strings.Replace(ecsText(okService, ""), "Resources:", name+":", 1)
		require.Equal(t, lifecycle.ECS, Detect([]byte(text)))
		_, errs, warnings := check(t, text, Options{})
		require.Len(t, errs, 1)
		with(t, errs, ErrResources)
		require.Equal(t, "Resources", with(t, warnings, ErrUnknownField).Nearest)
	}
	refused(t, "version: 0.0\nHooks:\n  - BeforeInstall: f\n", ErrResources)
}

// A level that is missing is one mistake, and what stands below it is read.
func TestLevelMissing(t *testing.T) {
	for what, text := range map[string]string{
		"AwsvpcConfiguration": ecsText(okService+"NetworkConfiguration:\n  Subnets: [a]\n  SecurityGroups: [b]\n  AssignPublicIp: ENABLED\n", ""),
		"Properties":          "version: 0.0\nResources:\n  - s:\n      Type: AWS::Lambda::Function\n      Name: f\n      Alias: live\n      CurrentVersion: 1\n      TargetVersion: 2\n",
	} {
		_, errs, warnings := check(t, text, Options{})
		require.Len(t, append(errs, warnings...), 1, lines(errs))
		require.Contains(t, with(t, errs, ErrIndentation).Error(), what)
	}
	_, errs, _ := check(t, ecsText(okService+"NetworkConfiguration:\n  Subnets: [a]\n", ""), Options{})
	require.Len(t, errs, 3) // the level, and what is missing below it
}
