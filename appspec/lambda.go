package appspec

import (
	"strings"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

var functionKeys = []string{"Name", "Alias", "CurrentVersion", "TargetVersion"}

var (
	reFunctionName = lazyregexp.New(`^(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:|\d{12}:function:)?[A-Za-z0-9_-]{1,140}$`)
	reHookFunction = lazyregexp.New(`^(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:|\d{12}:function:)?[A-Za-z0-9_-]{1,140}(?::(?:\$LATEST|[A-Za-z0-9_-]{1,128}))?$`)
	reAlias        = lazyregexp.New(`^[A-Za-z0-9_-]{1,128}$`)
	reVersion      = lazyregexp.New(`^[1-9]\d{0,18}$`)
	reDigits       = lazyregexp.New(`^\d+$`)
)

// function reads the properties of a Lambda function.
func (p *parser) function(n *yaml.Node) *Function {
	var f [4]*yaml.Node
	p.fields(n, functionKeys, f[:])
	out := &Function{}
	p.at("Name", func() {
		out.Name = p.matching(n, f[0], reFunctionName, ErrHookFunction, "not the name of a function", "the name or ARN of a function, without a version")
	})
	p.at("Alias", func() {
		out.Alias = p.matching(n, f[1], reAlias, ErrBadName, "not the name of an alias", "the name of an alias, of letters, digits, _ and -")
		if simple(out.Alias, true) || reDigits.MatchString(out.Alias) {
			p.err(ErrBadName, f[1], "an alias cannot be a number").found(out.Alias).allowed("the name of an alias")
		}
	})
	p.at("CurrentVersion", func() { out.CurrentVersion = p.functionVersion(n, f[2]) })
	p.at("TargetVersion", func() { out.TargetVersion = p.functionVersion(n, f[3]) })
	if out.CurrentVersion == out.TargetVersion && reVersion.MatchString(out.TargetVersion) {
		p.at("TargetVersion", func() {
			p.warn(ErrNothingToDeploy, f[3], "it is the same as CurrentVersion, so nothing is deployed").found(out.TargetVersion).
				hint("write the number of the newly published version")
		})
	}
	return out
}

// matching reads a required property that has to match a pattern.
func (p *parser) matching(owner, n *yaml.Node, is *lazyregexp.Regexp, code Code, why, want string) string {
	text, ok := p.required(owner, n, want)
	if ok && !simple(text, is == reVersion) && !is.MatchString(text) {
		p.err(code, n, why).found(text).allowed(want)
	}
	return text
}

// simple reports text that fits every pattern for names, or the one for versions,
// without asking the pattern.
func simple(text string, number bool) bool {
	if text == "" || len(text) > 64 || number && (text[0] == '0' || len(text) > 18) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if digit := c >= '0' && c <= '9'; !digit && (number || (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// functionVersion reads the number of a published version, as it is written.
func (p *parser) functionVersion(owner, n *yaml.Node) string {
	const want = "the number of a published version, such as \"3\""
	if n != nil && n.Kind == yaml.ScalarNode && strings.EqualFold(strip(n.Value), "$LATEST") {
		p.err(ErrLambdaVersion, n, "an alias moves between published versions only").found(n.Value).allowed(want).
			hint("publish a version first")
		return strip(n.Value)
	}
	return p.matching(owner, n, reVersion, ErrLambdaVersion, "not a version", want)
}

// functions reads the hooks of ECS and Lambda: a list of events, each with the
// name of a function.
func (p *parser) functions(n *yaml.Node) []FunctionHook {
	const want = "a list such as - BeforeAllowTraffic: NameOfFunction"
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.MappingNode:
		pr := p.wrongType(n, want).hint("put a dash before each event")
		servers := len(n.Content) > 1 && deref(n.Content[1]).Kind == yaml.SequenceNode
		if servers {
			pr.hint("this is the form for servers; here each event has a dash before it and names one Lambda function")
		}
		return p.functionPairs(n, nil, servers)
	case n.Kind != yaml.SequenceNode:
		p.wrongType(n, want)
		return nil
	}
	var out []FunctionHook
	p.mappings(items(n), nil, "an event, a colon and the name of a function", func(m *yaml.Node) {
		if len(m.Content) > 2 {
			p.warn(ErrType, m, "several events in one entry").allowed("one event in an entry").hint("put a dash before each event")
		}
		out = p.functionPairs(m, out, false)
	})
	return out
}

// functionPairs reads events; servers: in the form for servers, which is reported.
func (p *parser) functionPairs(m *yaml.Node, out []FunctionHook, servers bool) []FunctionHook {
	for _, e := range p.pairs(m, nil) {
		p.push(e.name())
		event := p.functionEvent(e)
		hook := FunctionHook{Event: event, Pos: at(e.key)}
		if !servers {
			hook.Function = p.hookFunction(e)
		}
		if first := hookOf(out, event); first != nil {
			p.err(ErrDuplicateKey, e.key, "the event is given twice, first on line "+itoa(first.Pos.Line)).
				allowed("one function for an event").hint("call the second function from the first")
		} else {
			out = append(out, hook)
		}
		p.pop()
	}
	return out
}

func hookOf(list []FunctionHook, e lifecycle.Event) *FunctionHook {
	for i := range list {
		if list[i].Event == e {
			return &list[i]
		}
	}
	return nil
}

// functionEvent checks the name of an event. Unlike on servers, there is no local
// tool with events of its own: CodeDeploy refuses what it does not know.
func (p *parser) functionEvent(e pair) lifecycle.Event {
	name := lifecycle.Event(e.name())
	if p.platform.Takes(name) {
		return name
	}
	known := make([]string, 0, 5)
	for _, ev := range p.platform.Scriptable() {
		if strings.EqualFold(string(ev), string(name)) {
			p.warn(ErrKeyCase, e.key, "the event is written "+string(ev)+" in CodeDeploy's documents")
			return ev
		}
		known = append(known, string(ev))
	}
	pr := p.err(ErrUnknownEvent, e.key, "not an event that has hooks on "+platformNames[p.platform]).allowed(strings.Join(known, ", "))
	pr.nearest(nearest(string(name), known))
	if e.key.Kind != yaml.ScalarNode {
		pr.Found = describe(e.key)
	}
	if lifecycle.Server.Takes(name) && pr.Nearest == "" {
		pr.hint("it is an event of servers")
	} else if lifecycle.ECS.Takes(name) && pr.Nearest == "" {
		pr.hint("it is an event of ECS")
	}
	return name
}

func (p *parser) hookFunction(e pair) string {
	if n := e.val; n.Kind == yaml.ScalarNode && !isNull(n) && resolve(n).kind != kindText && !foreignTag(n) {
		pr := p.warn(ErrType, n, "a number is read as the name of a function").hint("put quotes around it, if a function has this name")
		pr.Found = describe(n)
	}
	return p.matching(e.key, e.val, reHookFunction, ErrHookFunction, "not the name of a function", "the name or ARN of a Lambda function")
}
