package appspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

var resourceSections = []string{"version", "Resources", "Hooks"}

// resources reads the AppSpec of ECS or Lambda: one resource, and the functions
// that check the deployment.
func (p *parser) resources(root *yaml.Node) *Spec {
	var f [3]*yaml.Node
	if isServer(root) {
		p.warn(ErrMixedPlatforms, root, "read as an AppSpec for "+platformNames[p.platform]+
			", though it also has sections for servers, which are ignored").hint("keep one file for each platform")
		root = without(root, serverKeys[1:])
	}
	p.fields(root, resourceSections, f[:])
	spec := &Spec{Platform: p.platform}
	p.at("version", func() { p.looseVersion(root, f[0]) })
	p.at("Resources", func() { p.resource(root, f[1], spec) })
	p.at("Hooks", func() { spec.Functions = p.functions(f[2]) })
	return spec
}

// without drops the sections of another platform, which one message covers.
func without(root *yaml.Node, keys []string) *yaml.Node {
	out := *root
	out.Content = nil
	for i := 0; i+1 < len(root.Content); i += 2 {
		drop := false
		for _, k := range keys {
			drop = drop || root.Content[i].Value == k && (k != "hooks" || serverHooks(root.Content[i+1]))
		}
		if !drop {
			out.Content = append(out.Content, root.Content[i], root.Content[i+1])
		}
	}
	return &out
}

// serverHooks reports whether hooks have the form that servers use.
func serverHooks(n *yaml.Node) bool { return deref(n).Kind == yaml.MappingNode }

// looseVersion takes 0.0 as a number and as text: CodeDeploy's own documents have
// both, and only the agent of servers insists on a number.
func (p *parser) looseVersion(root, n *yaml.Node) {
	if n == nil || n.Kind != yaml.ScalarNode || resolve(n).kind != kindText || strip(n.Value) != "0.0" {
		p.version(root, n)
		return
	}
	p.warn(ErrVersion, n, "the version is text").found(n.Value).allowed("the number 0.0").hint("remove the quotes")
}

// resource reads the only member of the list of resources.
func (p *parser) resource(root, n *yaml.Node, spec *Spec) {
	want := "a list with exactly one resource of Type " + p.typeName()
	switch {
	case n == nil:
		p.err(ErrResources, root, "no Resources").allowed(want)
		return
	case isNull(n), n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		p.err(ErrResources, n, "there is no resource").allowed(want)
		return
	case n.Kind == yaml.MappingNode:
		p.wrongType(n, want).hint("put a dash before the resource's name")
		p.entry(n, spec)
		return
	case n.Kind != yaml.SequenceNode:
		p.wrongType(n, want)
		return
	}
	list := items(n)
	if len(list) > 1 {
		p.err(ErrResources, list[1], fmt.Sprintf("there are %d resources", len(list))).allowed("exactly one in a file").
			hint("a deployment changes one: write an AppSpec for each")
	}
	for i, m := range list {
		p.pushIndex(i)
		one := &Spec{Platform: p.platform}
		p.entry(m, one)
		if i == 0 {
			spec.Service, spec.Function = one.Service, one.Function
		}
		p.pop()
	}
}

func (p *parser) typeName() string {
	if p.platform == lifecycle.ECS {
		return typeECS
	}
	return typeLambda
}

// entry reads one resource: a mapping with its name as the only key.
func (p *parser) entry(m *yaml.Node, spec *Spec) {
	if m.Kind != yaml.MappingNode {
		p.wrongType(m, "a resource").allowed("the resource's name, then Type and Properties, indented").
			hint("put a colon after the resource's name")
		return
	}
	pairs := p.pairs(m, nil)
	if len(pairs) == 0 {
		p.err(ErrResources, m, "the resource is empty").allowed("the resource's name, then Type and Properties")
		return
	}
	if isResource(m) {
		p.flat(m, pairs, spec)
		return
	}
	label := pairs[0]
	for _, e := range pairs[1:] {
		p.at(e.name(), func() {
			p.err(ErrResources, e.key, "a second name in one resource").allowed("one name, with Type and Properties below it")
		})
	}
	p.at(label.name(), func() {
		if label.val.Kind != yaml.MappingNode {
			p.wrongType(label.val, "a mapping with Type and Properties")
			return
		}
		p.body(label.name(), label.key, label.val, spec)
	})
}

// isResource reports whether a mapping has Type or Properties itself.
func isResource(m *yaml.Node) bool {
	return section(m, "Type") != nil || section(m, "Properties") != nil
}

// flat reads a resource whose content stands beside its name, not below: the
// usual slip of indentation. One message covers it, and the content is read.
func (p *parser) flat(m *yaml.Node, pairs []pair, spec *Spec) {
	name, where := "", m
	rest := *m
	rest.Content = nil
	for _, e := range pairs {
		if name == "" && isNull(e.val) && !strings.EqualFold(e.name(), "Type") && !strings.EqualFold(e.name(), "Properties") {
			name, where = e.name(), e.key
			continue
		}
		rest.Content = append(rest.Content, e.key, e.val)
	}
	if name == "" {
		p.err(ErrIndentation, m, "the resource has no name").allowed("a name, with Type and Properties below it").
			hint("write - TargetService: and indent the rest by two spaces more")
	} else {
		p.at(name, func() {
			p.err(ErrIndentation, where, "Type and Properties stand beside the resource's name, not below it").
				hint("indent them by two spaces more than the name")
		})
	}
	p.at(name, func() { p.body(name, where, &rest, spec) })
}

var resourceKeys = []string{"Type", "Properties"}

// body reads what stands below a resource's name.
func (p *parser) body(name string, key, m *yaml.Node, spec *Spec) {
	if isNull(section(m, "Properties")) && hasAny(m, p.propertyKeys()) {
		p.err(ErrIndentation, m, "the properties stand beside Type, not below Properties").
			hint("put Properties: above them, and indent them by two spaces more")
		m = wrapped("Properties", m, "Type")
	}
	var f [2]*yaml.Node
	p.fields(m, resourceKeys, f[:])
	p.at("Type", func() { p.resourceType(key, f[0]) })
	p.at("Properties", func() {
		switch n := f[1]; {
		case isNull(n), n.Kind == yaml.MappingNode && len(n.Content) == 0:
			p.err(ErrMissingField, orElse(n, key), "no Properties").allowed("what the resource is changed to")
		case n.Kind != yaml.MappingNode:
			p.wrongType(n, "a mapping").hint("write its members without dashes")
		case p.platform == lifecycle.ECS:
			spec.Service = p.service(n)
			spec.Service.Name, spec.Service.Pos = name, at(key)
		default:
			spec.Function = p.function(n)
			spec.Function.Label, spec.Function.Pos = name, at(key)
		}
	})
}

func (p *parser) propertyKeys() []string {
	if p.platform == lifecycle.ECS {
		return serviceKeys
	}
	return functionKeys
}

func hasAny(m *yaml.Node, keys []string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return section(m, k) != nil })
}

// wrapped puts the content of a mapping below a key that is missing there, but for
// the keys that stay.
func wrapped(key string, m *yaml.Node, stay ...string) *yaml.Node {
	outer, inner := *m, *m
	outer.Content, inner.Content = nil, nil
	for i := 0; i+1 < len(m.Content); i += 2 {
		to, name := &inner, m.Content[i].Value
		switch {
		case strings.EqualFold(name, key):
			continue // with nothing below it
		case slices.ContainsFunc(stay, func(k string) bool { return strings.EqualFold(k, name) }):
			to = &outer
		}
		to.Content = append(to.Content, m.Content[i], m.Content[i+1])
	}
	outer.Content = append(outer.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key, Line: m.Line, Column: m.Column}, &inner)
	return &outer
}

// orElse is the place of a value, or of what lacks it.
func orElse(n, owner *yaml.Node) *yaml.Node {
	if n == nil {
		return owner
	}
	return n
}

func (p *parser) resourceType(key, n *yaml.Node) {
	want := p.typeName()
	if isNull(n) {
		p.err(ErrMissingField, orElse(n, key), "no Type").allowed(want)
		return
	}
	if text, ok := plainText(n); ok && text == want {
		return
	}
	pr := p.err(ErrEnum, n, "not a type that CodeDeploy deploys to").allowed(want)
	pr.Found = describe(n)
	pr.nearest(nearest(n.Value, []string{want}))
	if n.Value == "AWS::Serverless::Function" {
		pr.hint("that is the type in SAM templates")
	}
}

// required reads a property that must be there, as text, trimmed. ok is false
// where there is nothing to look at: it is missing or blank, which is reported,
// or a template's variable.
func (p *parser) required(owner, n *yaml.Node, what string) (text string, ok bool) {
	if isNull(n) {
		p.err(ErrMissingField, orElse(n, owner), "missing").allowed(what)
		return "", false
	}
	text, ok = p.property(n, what)
	if text == "" && ok {
		p.err(ErrMissingField, n, "blank").allowed(what)
		ok = false
	}
	return text, ok
}

// property reads a value as it is written, number or text.
func (p *parser) property(n *yaml.Node, what string) (text string, ok bool) {
	if v := variable(n); v != "" {
		p.warn(ErrPlaceholder, n, "this looks like a template's variable without quotes, and is read as a mapping").
			found(v).hint("put quotes around it")
		return v, false
	}
	if foreignTag(n) {
		return n.Value, false // which vet has reported
	}
	if n.Kind != yaml.ScalarNode {
		p.wrongType(n, what)
		return "", false
	}
	if k := resolve(n).kind; k == kindBool || k == kindNull {
		p.wrongType(n, what).hint("in quotes it would be text")
		return "", false
	}
	text = strip(n.Value)
	if text != n.Value && text != "" {
		p.warn(ErrType, n, "spaces at the ends are left out").found(n.Value)
	}
	return text, !p.unfilled(n, text)
}
