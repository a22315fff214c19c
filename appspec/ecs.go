package appspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

var (
	serviceKeys  = []string{"TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy"}
	balancerKeys = []string{"ContainerName", "ContainerPort"}
	vpcKeys      = []string{"Subnets", "SecurityGroups", "AssignPublicIp"}
	capacityKeys = []string{"CapacityProvider", "Base", "Weight"}
)

// The limits of ECS.
const (
	maxSubnets   = 16
	maxGroups    = 5
	maxProviders = 20
	maxBase      = 100_000
	maxWeight    = 1000
)

var (
	reTaskDefinition = lazyregexp.New(`^(?:arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:task-definition/)?[A-Za-z0-9_-]{1,255}(?::[1-9]\d*)?$`)
	rePlatform       = lazyregexp.New(`^(?:LATEST|\d+\.\d+\.\d+)$`)
)

// service reads the properties of an ECS service.
func (p *parser) service(n *yaml.Node) *Service {
	var f [5]*yaml.Node
	p.fields(n, serviceKeys, f[:])
	s := &Service{}
	p.at("TaskDefinition", func() { s.TaskDefinition = p.taskDefinition(n, f[0]) })
	p.at("LoadBalancerInfo", func() { p.balancer(n, f[1], s) })
	p.at("PlatformVersion", func() { s.PlatformVersion = p.platformVersion(f[2]) })
	p.at("NetworkConfiguration", func() { s.Network = p.network(f[3]) })
	p.at("CapacityProviderStrategy", func() { s.Capacity = p.capacity(f[4]) })
	return s
}

func (p *parser) taskDefinition(owner, n *yaml.Node) string {
	const want = "the ARN of a task definition, or its family, with or without :revision"
	text, ok := p.required(owner, n, want)
	family, revision, _ := strings.Cut(text, ":")
	if short := simple(family, false) && simple(revision, true); ok && !short && !reTaskDefinition.MatchString(text) {
		pr := p.err(ErrTaskDefinition, n, "not the name of a task definition").found(text).allowed(want)
		if reLatest.MatchString(text) {
			pr.hint("a revision is a number; leave it out for the newest")
		}
	}
	return text
}

var reLatest = lazyregexp.New(`(?i):\$?latest$`)

func (p *parser) balancer(owner, n *yaml.Node, s *Service) {
	const want = "a mapping with ContainerName and ContainerPort"
	switch {
	case isNull(n):
		p.err(ErrMissingField, orElse(n, owner), "missing").allowed(want)
		return
	case n.Kind != yaml.MappingNode:
		pr := p.wrongType(n, want)
		if n.Kind == yaml.SequenceNode {
			pr.hint("write its members without dashes")
		}
		return
	}
	var f [2]*yaml.Node
	p.fields(n, balancerKeys, f[:])
	p.at("ContainerName", func() { s.ContainerName, _ = p.required(n, f[0], "the name of a container in the task definition") })
	p.at("ContainerPort", func() { s.ContainerPort, s.PortText = p.port(n, f[1]) })
}

func (p *parser) port(owner, n *yaml.Node) (port int, text string) {
	const want = "a whole number from 1 to 65535"
	text, ok := p.required(owner, n, want)
	switch {
	case ok:
	case text != "":
		return 0, text // a template's variable
	default:
		return 0, ""
	}
	port, ok = decimal(text, 65535)
	if !ok || port == 0 {
		pr := p.err(ErrPort, n, "not a port").allowed(want)
		pr.Found = describe(n)
	}
	return port, ""
}

// decimal reads digits as they are written, without leading zeros.
func decimal(text string, limit int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= limit && strconv.Itoa(n) == text
}

func (p *parser) platformVersion(n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	const want = "LATEST or a version of Fargate such as 1.4.0"
	text, ok := p.property(n, want)
	switch {
	case !ok:
	case text == "":
		p.warn(ErrEnum, n, "blank").allowed(want).hint("leave the key out for LATEST")
	case text != "LATEST" && !rePlatform.MatchString(text):
		pr := p.err(ErrEnum, n, "not a platform version").allowed(want)
		pr.Found = describe(n)
		pr.nearest(nearest(text, []string{"LATEST"}))
	}
	return text
}

// network reads NetworkConfiguration, which holds one mapping and nothing else.
func (p *parser) network(n *yaml.Node) (out *Network) {
	if isNull(n) {
		return nil
	}
	const want = "a mapping with AwsvpcConfiguration"
	if n.Kind != yaml.MappingNode {
		p.wrongType(n, want)
		return nil
	}
	if isNull(section(n, "AwsvpcConfiguration")) && hasAny(n, vpcKeys) {
		p.err(ErrIndentation, n, "AwsvpcConfiguration is missing between NetworkConfiguration and this").
			hint("put AwsvpcConfiguration: above it, and indent what belongs to it by two spaces more")
		n = wrapped("AwsvpcConfiguration", n)
	}
	var f [1]*yaml.Node
	p.fields(n, []string{"AwsvpcConfiguration"}, f[:])
	p.at("AwsvpcConfiguration", func() {
		switch m := f[0]; {
		case isNull(m):
			p.err(ErrMissingField, orElse(m, n), "missing").allowed("a mapping with Subnets, SecurityGroups and AssignPublicIp").
				hint("without NetworkConfiguration the service keeps its own")
		case m.Kind != yaml.MappingNode:
			p.wrongType(m, "a mapping with Subnets, SecurityGroups and AssignPublicIp")
		default:
			out = p.vpc(m)
		}
	})
	return out
}

func (p *parser) vpc(n *yaml.Node) *Network {
	var f [3]*yaml.Node
	p.fields(n, vpcKeys, f[:])
	out := &Network{}
	p.at("Subnets", func() { out.Subnets = p.ids(n, f[0], "a list of 1 to 16 subnets", "the id of a subnet", maxSubnets) })
	p.at("SecurityGroups", func() {
		out.SecurityGroups = p.ids(n, f[1], "a list of 1 to 5 security groups", "the id of a security group", maxGroups)
	})
	p.at("AssignPublicIp", func() {
		const want = "ENABLED or DISABLED"
		text, ok := p.required(n, f[2], want)
		if known := []string{"ENABLED", "DISABLED"}; ok && !slices.Contains(known, text) {
			p.err(ErrEnum, f[2], "not a known word").found(text).allowed(want).nearest(nearest(text, known))
		}
		out.AssignPublicIP = text
	})
	return out
}

// ids reads a list of names that must not be empty.
func (p *parser) ids(owner, n *yaml.Node, want, item string, limit int) []string {
	switch {
	case isNull(n):
		p.err(ErrMissingField, orElse(n, owner), "missing").allowed(want)
		return nil
	case n.Kind != yaml.SequenceNode:
		if v := variable(n); v != "" {
			p.property(n, want)
			return []string{v}
		}
		pr := p.wrongType(n, want)
		if n.Kind == yaml.ScalarNode {
			pr.hint("write it as a list: [" + strings.Join(strings.FieldsFunc(n.Value, func(r rune) bool { return r == ',' || r == ' ' }), ", ") + "]")
		}
		return nil
	case len(n.Content) == 0 || len(n.Content) > limit:
		p.err(ErrNetwork, n, fmt.Sprintf("%d entries", len(n.Content))).allowed(want)
	}
	out := make([]string, 0, len(n.Content))
	for i, m := range items(n) {
		p.pushIndex(i)
		text, _ := p.required(m, m, item)
		out = append(out, text)
		p.pop()
	}
	return out
}

func (p *parser) capacity(n *yaml.Node) []CapacityProvider {
	const want = "a list of entries with CapacityProvider, Base and Weight"
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		pr := p.wrongType(n, want)
		if n.Kind == yaml.MappingNode {
			pr.hint("put a dash before each entry")
		}
		return nil
	}
	out := make([]CapacityProvider, 0, len(n.Content))
	p.mappings(items(n), capacityKeys, "a mapping with CapacityProvider", func(m *yaml.Node) {
		var f [3]*yaml.Node
		p.fields(m, capacityKeys, f[:])
		c := CapacityProvider{}
		p.at("CapacityProvider", func() {
			c.Name, _ = p.required(m, f[0], "FARGATE, FARGATE_SPOT or the name of a capacity provider")
		})
		p.at("Base", func() { c.Base = p.amount(f[1], maxBase) })
		p.at("Weight", func() { c.Weight = p.amount(f[2], maxWeight) })
		out = append(out, c)
	})
	p.strategy(n, out)
	return out
}

func (p *parser) amount(n *yaml.Node, limit int) int {
	if isNull(n) {
		return 0
	}
	if n.Kind == yaml.ScalarNode {
		if v, ok := decimal(strip(n.Value), limit); ok {
			return v
		}
	}
	pr := p.err(ErrCapacityProvider, n, "not an amount").allowed(fmt.Sprintf("a whole number from 0 to %d", limit))
	pr.Found = describe(n)
	return 0
}

// strategy checks what holds for the entries together.
func (p *parser) strategy(n *yaml.Node, list []CapacityProvider) {
	bases, weights := 0, 0
	for _, c := range list {
		bases += min(c.Base, 1)
		weights += c.Weight
	}
	switch {
	case len(list) > maxProviders:
		p.err(ErrCapacityProvider, n, fmt.Sprintf("%d entries", len(list))).allowed(fmt.Sprintf("at most %d", maxProviders))
	case bases > 1:
		p.err(ErrCapacityProvider, n, "more than one entry has a Base").allowed("a Base above 0 in one entry only")
	case len(list) > 0 && weights == 0:
		p.err(ErrCapacityProvider, n, "no entry has a Weight above 0, so no task may run anywhere").allowed("a Weight of 1 to 1000 in at least one entry")
	}
}
