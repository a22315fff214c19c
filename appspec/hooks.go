package appspec

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

var scriptKeys = []string{"location", "timeout", "runas", "sudo"}

// eventBudget is what CodeDeploy grants all scripts of one event together.
const eventBudget = time.Hour

func (p *parser) hooks(n *yaml.Node) []EventHooks {
	switch {
	case isNull(n):
		return nil
	case isFalse(n):
		p.warn(ErrType, n, "false is taken for nothing").allowed("a mapping from events to lists of scripts")
		return nil
	case n.Kind != yaml.MappingNode:
		p.wrongType(n, "a mapping from events to lists of scripts").hint("write the events without dashes")
		return nil
	}
	var out []EventHooks
	for _, e := range p.pairs(n, nil) {
		p.push(e.name())
		p.eventName(e)
		if members, ok := p.hookList(e.val); ok && members != nil {
			out = append(out, EventHooks{Event: lifecycle.Event(e.name()), Scripts: p.scripts(e, members), Pos: at(e.key)})
		}
		p.pop()
	}
	return out
}

// hookList is list, with a hint for a word in the place of a list of scripts.
func (p *parser) hookList(n *yaml.Node) ([]*yaml.Node, bool) {
	const want = "a list of scripts"
	if n.Kind == yaml.ScalarNode && !isNull(n) && !isFalse(n) {
		p.wrongType(n, want).hint("write it on a line below, as - location: " + plainKey(n.Value))
		return nil, false
	}
	return p.list(n, want)
}

// notScriptable are events that exist and never run scripts.
var notScriptable = map[lifecycle.Event]string{
	lifecycle.Start:          "the deployment carries it out itself",
	lifecycle.DownloadBundle: "the agent carries it out itself; use BeforeInstall",
	lifecycle.Install:        "the agent carries it out itself; use BeforeInstall or AfterInstall",
	lifecycle.BlockTraffic:   "the load balancer carries it out; use BeforeBlockTraffic or AfterBlockTraffic",
	lifecycle.AllowTraffic:   "the load balancer carries it out; use BeforeAllowTraffic or AfterAllowTraffic",
	"End":                    "the deployment carries it out itself",
}

// eventName warns of names under which nothing ever runs. They stay legal:
// CodeDeploy's local tool takes events of one's own.
func (p *parser) eventName(e pair) {
	name := lifecycle.Event(e.name())
	if lifecycle.Server.Takes(name) {
		return
	}
	if why := notScriptable[name]; why != "" {
		p.warn(ErrEventNotScriptable, e.key, "scripts of this event never run").hint(why)
		return
	}
	if name == lifecycle.AfterAllowTestTraffic || name == lifecycle.AllowTestTraffic {
		p.warn(ErrEventNotScriptable, e.key, "scripts of this event never run on servers").hint("it is an event of ECS")
		return
	}
	known := make([]string, 0, 9)
	for _, ev := range lifecycle.Server.Scriptable() {
		known = append(known, string(ev))
	}
	pr := p.warn(ErrUnknownEvent, e.key, "unknown event, its scripts never run by themselves")
	if e.key.Kind != yaml.ScalarNode || resolve(e.key).kind != kindText {
		pr.Found = describe(e.key)
	}
	pr.nearest(nearest(string(name), known)).allowed(strings.Join(known, ", "))
	if meant := eventHints[normal(string(name))]; pr.Nearest == "" && meant != "" {
		pr.nearest(string(meant))
	}
}

func (p *parser) scripts(e pair, members []*yaml.Node) []Script {
	out := make([]Script, 0, len(members))
	var sum time.Duration
	p.mappings(members, scriptKeys, "a mapping with location", func(m *yaml.Node) {
		s := p.script(m)
		out = append(out, s)
		sum += min(s.Timeout, math.MaxInt64-sum)
	})
	if sum > eventBudget && lifecycle.Server.Takes(lifecycle.Event(e.name())) {
		p.warn(ErrEventTimeoutSum, e.key, "the scripts may take "+plural(int64(sum/time.Second), "second")+" together").
			allowed("at most 3600, which is what CodeDeploy grants one event").
			hint("a script without timeout counts as 3600")
	}
	return out
}

func (p *parser) script(m *yaml.Node) Script {
	var f [4]*yaml.Node
	p.fields(m, scriptKeys, f[:])
	s := Script{Timeout: DefaultTimeout, Pos: at(m)}
	p.at("location", func() { s.Location = p.location(m, f[0]) })
	p.at("timeout", func() { s.Timeout = p.timeout(f[1]) })
	p.at("runas", func() { s.RunAs = p.runAs(f[2]) })
	p.at("sudo", func() { s.Sudo, s.SudoText = p.sudo(f[3], s.RunAs != nil) })
	return s
}

// reCommandLine recognises a script or the bare name of a program that has
// arguments behind it.
var reCommandLine = lazyregexp.New(`^(?:\S+\.(?:sh|bash|py|rb|js|pl|ps1|bat|cmd|exe|jar)|[a-z][a-z0-9_-]+)\s+\S`)

func (p *parser) location(m, n *yaml.Node) string {
	if isNull(n) {
		if n == nil {
			n = m
		}
		p.err(ErrMissingField, n, "no location").allowed("the path of a script in the revision")
		return ""
	}
	text, ok := p.scalarText(n, "the path of a script")
	switch {
	case !ok:
		return ""
	case text == "":
		p.err(ErrMissingField, n, "the location is blank").allowed("the path of a script in the revision")
		return ""
	}
	p.placeholder(n, text)
	if !p.controls(n, text) {
		return text
	}
	s := p.slashed(text)
	switch {
	case climbs(s):
		p.err(ErrPathEscapes, n, "the script is outside of the revision").found(text).
			hint("a leading slash means the revision's root")
	case p.windows() && hasDrive(s):
		p.warn(ErrBadPath, n, "the location names a drive, but it is taken from the revision").found(text).
			allowed("a path in the revision")
	case strings.Contains(s, " ") && reCommandLine.MatchString(s):
		p.warn(ErrBadPath, n, "this looks like a command line, but all of it is taken as the name of one file").found(text).
			hint("arguments cannot be given: put the command line into a script")
	case strings.HasSuffix(s, "/"):
		p.warn(ErrBadPath, n, "a script's path cannot end in a slash").found(text)
	}
	return text
}

// maxTimeout is the longest time limit that fits a timer.
const maxTimeout = int64(math.MaxInt64 / time.Second)

// timeout reads seconds the lenient way of the agent, and warns where the result
// is not what is written. Zero: it is refused.
func (p *parser) timeout(n *yaml.Node) time.Duration {
	if isNull(n) {
		return DefaultTimeout
	}
	const want = "a whole number of seconds above 0"
	if isFalse(n) {
		p.warn(ErrTimeout, n, "false is taken for the default, 3600").allowed(want)
		return DefaultTimeout
	}
	bad := func(why string) time.Duration {
		pr := p.err(ErrTimeout, n, why).allowed(want)
		pr.Found = describe(n)
		return 0
	}
	if n.Kind != yaml.ScalarNode {
		return bad("not a number of seconds")
	}
	v := resolve(n)
	seconds, huge := v.num, v.huge
	switch {
	case v.kind == kindText:
		seconds, huge = leadingInt(v.text)
	case v.kind == kindFloat && !math.IsNaN(v.float) && !math.IsInf(v.float, 0):
		seconds, huge = int64(v.float), math.Abs(v.float) > float64(maxTimeout)
	case v.kind != kindInt:
		return bad("not a number of seconds")
	}
	switch {
	case (huge || seconds > maxTimeout) && v.float >= 0:
		return bad("more seconds than a timer can hold")
	case seconds <= 0:
		return bad("not a number of seconds above 0")
	case strip(n.Value) != fmt.Sprint(seconds):
		p.warn(ErrTimeout, n, "read as "+plural(seconds, "second")+", as CodeDeploy does").found(n.Value).allowed(want)
	}
	return time.Duration(seconds) * time.Second
}

// runAs reads the user of a script.
func (p *parser) runAs(n *yaml.Node) *string {
	if isNull(n) {
		return nil
	}
	name, ok := p.scalarText(n, "the name of a user")
	if !ok {
		return nil
	}
	switch why := badUser(name); {
	case p.windows():
		p.warn(ErrNotSupportedOnOS, n, "runas has no effect on Windows")
	case why != "":
		p.err(ErrRunAs, n, why).found(name).allowed("the name of a user")
	case name == "":
		p.warn(ErrRunAs, n, "an empty user name means root").allowed("the name of a user, or no runas at all")
	}
	if p.opt.ForbidRoot && (name == "" || name == "root") {
		p.err(ErrRunAsDenied, n, "scripts may not ask to run as root")
	}
	return &name
}

// badUser says why no account can have a name; empty: one can.
func badUser(name string) string {
	switch {
	case strings.HasPrefix(name, "-"):
		return "a user name cannot begin with a dash"
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "a user name cannot hold spaces or control characters"
	case strings.ContainsAny(name, ":/;&|<>()`'\"*?{}!,$") && !plainDollar(name):
		return "a user name cannot hold such characters"
	}
	return ""
}

// plainDollar allows the dollar at the end of machine accounts.
func plainDollar(name string) bool {
	rest, ok := strings.CutSuffix(name, "$")
	return ok && rest != "" && badUser(rest) == ""
}

// jsonText gives a number or text in JSON's notation; empty: it is neither.
func jsonText(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	v := resolve(n)
	text := v.asText(n.Value)
	if (v.kind == kindInt || v.kind == kindFloat) && json.Valid([]byte(text)) {
		return text
	}
	return quoted(text)
}

// sudo is set by anything but null and false, as in the agent: also by "no".
func (p *parser) sudo(n *yaml.Node, runAs bool) (set bool, text string) {
	if isNull(n) || isFalse(n) {
		return false, ""
	}
	if n.Kind != yaml.ScalarNode || resolve(n).kind != kindBool {
		text = jsonText(n)
		pr := p.warn(ErrType, n, "counts as true").allowed("true or false, without quotes")
		pr.Found = describe(n)
	}
	switch {
	case p.windows():
		p.warn(ErrNotSupportedOnOS, n, "sudo has no effect on Windows")
	case p.opt.ForbidRoot:
		p.err(ErrRunAsDenied, n, "scripts may not ask to run as root")
	case runAs:
		p.warn(ErrSudo, n, "sudo adds nothing to runas: the script runs as that user")
	}
	return true, text
}
