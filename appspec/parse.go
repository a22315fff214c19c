package appspec

import (
	"strconv"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

// Options says how strictly an AppSpec is read. The zero value is right for most.
type Options struct {
	// Platform is what the AppSpec has to be for; one for another is refused.
	// Empty: servers if OS is set, else whatever the content says.
	Platform lifecycle.Platform
	// OS is the system of the hosts, "linux" or "windows"; an AppSpec for the
	// other one is refused. Empty: either is accepted.
	OS string
	// Strict turns every warning into an error.
	Strict bool
	// MaxBytes limits the text. Zero: [DefaultMaxBytes].
	MaxBytes int
	// Protected lists directories of the host that nothing may be installed into,
	// such as the agent's own. Empty: none beyond what is warned about anyway.
	Protected []string
	// Deep lets CheckBundle also find what an install finds by itself, before it
	// touches anything: collisions inside of directories, and permissions that fit
	// nothing. False: that is left to the install.
	Deep bool
	// ForbidRoot refuses scripts that would run as root by their own wish
	// (runas: root, sudo). False: they may.
	ForbidRoot bool
}

// The limits on the text. Real files stay far below: the largest of over a
// thousand published ones is 5 KB. A quarter of a megabyte still takes the YAML
// reader a tenth of a second at worst.
const (
	DefaultMaxBytes = 256 << 10
	maxLine         = 64 << 10 // bytes in one line
	maxLines        = 20_000   // twice the entries: each has a line of its own as a rule
	maxIndent       = 256      // columns before the first character of a line
	maxDepth        = 32       // levels of nesting
	maxEntries      = 10_000   // list members and mapping pairs, together
	maxAliases      = 100      // uses of anchors
	maxExpansion    = 10       // how many times the file its aliases may make of it
)

// Parse reads and checks the text of an AppSpec; name is used in positions.
//
// It reports every problem at once. With errors the Spec is nil and err is a
// *multierror.Error of *[Problem], in file order; warnings are returned in any
// case. Parse does no I/O and keeps nothing of data.
func Parse(name string, data []byte, opt Options) (*Spec, []*Problem, error) {
	p := &parser{opt: opt, file: name, path: make([]step, 0, maxDepth/2)}
	spec := p.parse(data)
	p.clamp(data)
	warnings, err := split(finish(p.problems, opt.Strict))
	if err != nil {
		return nil, warnings, err
	}
	return spec, warnings, nil
}

// parser walks one document and gathers its problems.
type parser struct {
	opt       Options
	file      string
	platform  lifecycle.Platform // once known
	os        string             // once known
	unmanaged bool               // a permission for what is not installed is reported
	partial   bool               // an entry of files is refused, so that not all that is installed is known
	loose     *Problem           // the first event beside hooks, not below it
	looseMore int64              // how many follow
	cut       bool               // a part of the text is missing, which is reported
	path      []step
	problems  []*Problem
}

// step is one part of a path such as files[3].source; an index if key is empty.
type step struct {
	key   string
	index int
}

func (p *parser) parse(data []byte) *Spec {
	text, ok := p.text(data)
	if !ok {
		return nil
	}
	root := p.document(text)
	if root == nil || !p.vet(root) {
		return nil
	}
	return p.read(root)
}

// read hands the document to the reader of its platform.
func (p *parser) read(root *yaml.Node) *Spec {
	want := p.opt.Platform
	if want == "" && p.opt.OS != "" {
		want = lifecycle.Server // only servers have an operating system
	}
	is := contentPlatform(root)
	switch {
	case is == "" && isTemplate(root):
		return p.refuse(root, ErrPlatform, "not an AppSpec: this is a CloudFormation template", want)
	case want == lifecycle.Server && isServer(root), is == "" && want != "":
		is = want
	case is == "" && section(root, "Resources") != nil:
		p.err(ErrResources, section(root, "Resources"), "no resource says whether this is for ECS or Lambda").
			allowed("exactly one resource, of Type " + typeECS + " or " + typeLambda)
		return nil
	case is == "" && !p.cut:
		return p.unrelated(root)
	case is == "":
		is = lifecycle.Server
	case want != "" && is != want:
		return p.refuse(root, ErrPlatformMismatch, "this is an AppSpec for "+platformNames[is], want)
	}
	p.platform = is
	if is == lifecycle.Server {
		return p.server(root)
	}
	return p.resources(root)
}

var platformNames = map[lifecycle.Platform]string{
	lifecycle.Server: "servers", lifecycle.ECS: "ECS", lifecycle.Lambda: "Lambda",
}

// unrelated reports a file that has nothing of an AppSpec.
func (p *parser) unrelated(root *yaml.Node) *Spec {
	if n := section(root, "Hooks"); n != nil && n.Kind == yaml.SequenceNode {
		p.err(ErrResources, root, "no Resources, which belong to these Hooks").
			allowed("a list with one resource, of Type " + typeECS + " or " + typeLambda)
		return nil
	}
	if section(root, "version") != nil {
		p.platform = lifecycle.Server
		return p.server(root)
	}
	pr := p.err(ErrPlatform, root, "not an AppSpec: it has none of the keys of one").
		allowed("version and os for servers, version and Resources for ECS and Lambda")
	if len(root.Content) > 0 {
		pr.found(root.Content[0].Value)
		switch first := root.Content[0].Value; {
		case strings.HasPrefix(first, `\rtf`):
			pr.hint("this is a formatted document: save it as plain text")
		case strings.HasPrefix(first, "<"):
			pr.hint("this is a web page: look at what was downloaded")
		}
	}
	return nil
}

func (p *parser) refuse(root *yaml.Node, code Code, why string, want lifecycle.Platform) *Spec {
	pr := p.err(code, root, why).allowed("an AppSpec for " + platformNames[want])
	if want == "" {
		pr.Allowed = "an AppSpec for servers, ECS or Lambda"
	}
	return nil
}

func (p *parser) push(key string) { p.path = append(p.path, step{key: key}) }
func (p *parser) pushIndex(i int) { p.path = append(p.path, step{index: i}) }
func (p *parser) pop()            { p.path = p.path[:len(p.path)-1] }
func (p *parser) windows() bool   { return p.os == osWindows }
func (p *parser) at(key string, f func()) {
	p.push(key)
	f()
	p.pop()
}

func (p *parser) pathText() string {
	var b []byte
	for _, s := range p.path {
		switch {
		case s.key == "":
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
			continue
		case len(b) > 0:
			b = append(b, '.')
		}
		b = append(b, plainKey(s.key)...)
	}
	return string(b)
}

// plainKey shows a key bare where that is unmistakable.
func plainKey(key string) string {
	for _, r := range key {
		if r <= ' ' || r == '.' || r == '[' || r == '"' || !strconv.IsPrint(r) {
			return quote(key)
		}
	}
	if len(key) > maxFound {
		return quote(key)
	}
	return key
}

// report files a problem at a node (nil: the whole file) under the current path.
func (p *parser) report(sev Severity, code Code, n *yaml.Node, why string) *Problem {
	pr := &Problem{File: p.file, Path: p.pathText(), Severity: sev, Code: code, Why: why}
	if n != nil {
		pr.Line, pr.Col = n.Line, n.Column
	}
	p.problems = append(p.problems, pr)
	return pr
}

func (p *parser) err(code Code, n *yaml.Node, why string) *Problem {
	return p.report(Error, code, n, why)
}

func (p *parser) warn(code Code, n *yaml.Node, why string) *Problem {
	return p.report(Warning, code, n, why)
}

// wrongType reports a value of the wrong kind.
func (p *parser) wrongType(n *yaml.Node, want string) *Problem {
	pr := p.err(ErrType, n, "not "+want)
	pr.Found = describe(n)
	if v := variable(n); v != "" {
		pr.found(v).hint("it looks like a template's variable without quotes: fill it in, or put quotes around it")
	}
	return pr
}

func at(n *yaml.Node) Pos { return Pos{Line: n.Line, Col: n.Column} }

func serverSpec() *Spec { return &Spec{Platform: lifecycle.Server} }

// isServer reports whether a document says itself that it is for servers: only
// they have an operating system or a list of files.
func isServer(root *yaml.Node) bool {
	return value(root, "os") != nil || value(root, "files") != nil
}
