package appspec

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

const (
	osLinux   = "linux"
	osWindows = "windows"
)

var serverKeys = []string{"version", "os", "file_exists_behavior", "files", "hooks", "permissions"}

// server reads the AppSpec of a server.
func (p *parser) server(root *yaml.Node) *Spec {
	var f [6]*yaml.Node
	p.fields(root, serverKeys, f[:])
	if section(root, "Resources") != nil {
		p.warn(ErrMixedPlatforms, root, "read as an AppSpec for servers, though it also has Resources, as for ECS or Lambda").
			hint("keep one file for each platform")
	}
	spec := serverSpec()
	p.at("version", func() { p.version(root, f[0]) })
	p.at("os", func() { spec.OS = p.osName(root, f[1]) })
	p.os = spec.OS
	p.at("file_exists_behavior", func() { spec.FileExists = p.fileExists(f[2]) })
	p.at("files", func() { spec.Files = p.files(f[3]) })
	p.at("hooks", func() { spec.Hooks = p.hooks(f[4]) })
	p.at("permissions", func() { spec.Permissions = p.permissions(f[5], spec.Files) })
	return spec
}

// version must be the number 0.0, in any spelling.
func (p *parser) version(root, n *yaml.Node) {
	if n == nil && p.cut {
		return
	}
	if n == nil {
		p.err(ErrVersion, root, "no version").allowed("version: 0.0")
		return
	}
	if n.Kind == yaml.ScalarNode {
		v := resolve(n)
		zero := v.kind == kindInt && v.num == 0 && !v.huge || v.kind == kindFloat && v.float == 0
		switch {
		case zero && n.Value != "0.0":
			p.warn(ErrVersion, n, "an unusual spelling of 0.0").found(n.Value).allowed("0.0")
			return
		case zero:
			return
		}
	}
	pr := p.err(ErrVersion, n, "not a known version").allowed("the number 0.0")
	pr.Found = describe(n)
	if n.Kind == yaml.ScalarNode && strip(n.Value) == "0.0" {
		pr.hint("remove the quotes: CodeDeploy compares a number")
	}
}

// osHints is for names that people take for the system's.
var osHints = map[string]string{
	"ubuntu": anyLinux, "debian": anyLinux, "centos": anyLinux, "redhat": anyLinux, "rhel": anyLinux, "amazon": anyLinux,
	"amazonlinux": anyLinux, "amazon linux": anyLinux, "al2": anyLinux, "al2023": anyLinux, "suse": anyLinux, "alpine": anyLinux,
	"unix": anyLinux, "win": "write windows", "macos": noMac, "darwin": noMac,
}

const (
	anyLinux = "write linux, whatever the distribution"
	noMac    = "CodeDeploy has no agent for it"
)

// osName must be exactly linux or windows, and the hosts' own.
func (p *parser) osName(root, n *yaml.Node) string {
	known := []string{osLinux, osWindows}
	if n == nil && p.cut {
		return ""
	}
	if n == nil {
		p.err(ErrOS, root, "no os").allowed("os: linux or os: windows")
		return ""
	}
	text, ok := plainText(n)
	if !ok || !slices.Contains(known, text) {
		pr := p.err(ErrOS, n, "not a supported operating system").allowed("linux or windows")
		pr.Found = describe(n)
		pr.nearest(nearest(strip(n.Value), known))
		if pr.Nearest == "" {
			pr.hint(osHints[strings.ToLower(strip(n.Value))])
		}
		return ""
	}
	if p.opt.OS != "" && text != p.opt.OS {
		p.err(ErrOSMismatch, n, "the AppSpec is for other hosts").found(text).allowed(p.opt.OS)
	}
	return text
}

// plainText returns a scalar that is text without any conversion.
func plainText(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	v := resolve(n)
	return v.text, v.kind == kindText
}

func (p *parser) fileExists(n *yaml.Node) FileExists {
	if isNull(n) {
		return ""
	}
	known := []string{string(Disallow), string(Overwrite), string(Retain)}
	text, ok := plainText(n)
	if ok && slices.Contains(known, text) {
		return FileExists(text)
	}
	pr := p.err(ErrEnum, n, "not a known behaviour").allowed("DISALLOW, OVERWRITE or RETAIN")
	pr.Found = describe(n)
	pr.nearest(nearest(strip(n.Value), known))
	return ""
}

// list returns the members of an optional section. Null, false and an empty
// mapping are nothing, as in the agent; ok is false where the section is refused.
func (p *parser) list(n *yaml.Node, want string) (members []*yaml.Node, ok bool) {
	switch {
	case isNull(n):
		return nil, true
	case isFalse(n):
		p.warn(ErrType, n, "false is taken for nothing").allowed(want)
		return nil, true
	case n.Kind == yaml.MappingNode && len(n.Content) == 0:
		p.warn(ErrType, n, "an empty mapping is taken for an empty list").allowed(want)
		return []*yaml.Node{}, true
	case n.Kind != yaml.SequenceNode:
		pr := p.wrongType(n, want)
		if n.Kind == yaml.MappingNode {
			pr.hint(cmp.Or(lookalike(n.Content[0].Value), "put a dash before each entry"))
		}
		return nil, false
	}
	if len(n.Content) == 0 {
		return []*yaml.Node{}, true // not nil: an event with an empty list is kept
	}
	return items(n), true
}

// mappings calls f for each member of a list, which must be mappings. A word alone
// is most often meant as the value of the first key.
func (p *parser) mappings(members []*yaml.Node, known []string, want string, f func(n *yaml.Node)) {
	for i, m := range members {
		p.pushIndex(i)
		switch {
		case m.Kind != yaml.MappingNode:
			pr := p.wrongType(m, want)
			if m.Kind == yaml.ScalarNode && !isNull(m) && known != nil {
				pr.hint("write it as - " + known[0] + ": " + bare(m.Value, false))
			}
		case !p.misplacedEntry(m, known):
			f(m)
		}
		p.pop()
	}
}

// misplacedEntry reports an entry of another section once, rather than each of its
// keys: the line with that section's name is missing, or indented too much.
func (p *parser) misplacedEntry(m *yaml.Node, known []string) bool {
	where := ""
	for i := 0; i+1 < len(m.Content); i += 2 {
		switch key := m.Content[i].Value; {
		case slices.Contains(known, key):
			return false
		case where == "":
			where = misplaced[key]
		}
	}
	if where == "" || p.platform != lifecycle.Server {
		return false
	}
	p.err(ErrIndentation, m, "this looks like "+where+", and stands in another section").
		allowed("an entry with " + strings.Join(known, ", ")).hint("look whether a line is missing above it, and check the indentation")
	return true
}

// scalarText reads a value that the agent turns into text, trimmed. ok is false for
// lists and mappings, which are refused.
func (p *parser) scalarText(n *yaml.Node, want string) (text string, ok bool) {
	if n.Kind != yaml.ScalarNode {
		p.wrongType(n, want)
		return "", false
	}
	v := resolve(n)
	text = v.asText(n.Value)
	if v.kind != kindText {
		p.warn(ErrType, n, "read as the text "+quote(strip(text))).found(n.Value).hint("put quotes around it")
	}
	return strip(text), true
}
