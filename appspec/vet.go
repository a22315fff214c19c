package appspec

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// vetter checks the tree as a whole before anything is read from it.
type vetter struct {
	p       *parser
	nodes   int
	entries int
	aliases []*yaml.Node
	deep    bool
}

// vet reports whether the tree is safe to walk: shallow, small, without cycles.
// It also reports tags and dates, which count wherever they stand.
func (p *parser) vet(root *yaml.Node) bool {
	v := &vetter{p: p}
	v.walk(root, 1)
	switch {
	case v.deep:
		return false
	case v.entries > maxEntries:
		p.err(ErrTooLarge, root, fmt.Sprintf("the file has %d entries", v.entries)).
			allowed(fmt.Sprintf("at most %d", maxEntries))
		return false
	case len(v.aliases) == 0:
		return true
	}
	return v.expand(root)
}

func (v *vetter) walk(n *yaml.Node, depth int) {
	v.nodes++
	if depth > maxDepth+1 {
		if !v.deep {
			v.p.err(ErrTooDeep, n, "too many levels inside each other").allowed(fmt.Sprintf("at most %d", maxDepth))
		}
		v.deep = true
		return
	}
	v.tag(n)
	switch n.Kind {
	case yaml.AliasNode:
		v.aliases = append(v.aliases, n)
		return
	case yaml.ScalarNode:
		v.date(n)
		return
	case yaml.MappingNode:
		v.entries += len(n.Content) / 2
	case yaml.SequenceNode:
		v.entries += len(n.Content)
	}
	for _, c := range n.Content {
		v.walk(c, depth+1)
	}
}

// date refuses unquoted dates, for the agent refuses the whole file for one.
func (v *vetter) date(n *yaml.Node) {
	if len(n.Value) < 8 || n.Value[0] != '-' && (n.Value[0] < '0' || n.Value[0] > '9') {
		return
	}
	if resolve(n).kind == kindDate {
		v.p.err(ErrDate, n, "CodeDeploy's YAML reader refuses a file with a date or time in it").
			found(n.Value).hint("put quotes around it, or write it as a comment")
	}
}

// coreTags change nothing or only make the kind of a scalar explicit.
const coreTags = " ! !!str !!int !!float !!bool !!null !!seq !!map !!merge "

// foreignTag reports whether a node has a tag that is not allowed.
func foreignTag(n *yaml.Node) bool {
	return n.Style&yaml.TaggedStyle != 0 && !strings.Contains(coreTags, " "+n.Tag+" ")
}

func (v *vetter) tag(n *yaml.Node) {
	if !foreignTag(n) {
		return
	}
	pr := v.p.err(ErrTagNotAllowed, n, "the YAML tag is not allowed").found(n.Tag).
		hint("remove it: an AppSpec needs no tags")
	switch n.Tag {
	case "!Ref", "!GetAtt", "!Sub", "!ImportValue", "!Join", "!FindInMap", "!Select":
		pr.hint("it is for CloudFormation, and nobody fills it in here: write the value")
	}
}

// expand bounds what aliases make of the file, counting every node as often as
// it would be visited, and finds cycles. Sizes are remembered, so that the count
// itself stays linear where the expansion is exponential.
func (v *vetter) expand(root *yaml.Node) bool {
	if len(v.aliases) > maxAliases {
		v.p.err(ErrAliasLimit, v.aliases[maxAliases], fmt.Sprintf("%d aliases", len(v.aliases))).
			allowed(fmt.Sprintf("at most %d", maxAliases))
		return false
	}
	sizes := map[*yaml.Node]int{}
	switch size := expandedSize(root, sizes); {
	case size < 0:
		v.p.err(ErrAliasLimit, v.aliases[0], "an alias contains itself")
		return false
	case size > maxExpansion*v.nodes:
		v.p.err(ErrAliasLimit, v.aliases[0], fmt.Sprintf("aliases make the file more than %d times as large", maxExpansion))
		return false
	}
	v.p.warn(ErrAlias, v.aliases[0], "the agents of CodeDeploy on current systems refuse aliases").
		hint("write the text out where the AppSpec has to work there, too")
	return true
}

const inProgress = -1

// expandedSize returns the number of nodes below n with aliases expanded, or a
// negative number if an alias leads back to itself.
func expandedSize(n *yaml.Node, sizes map[*yaml.Node]int) int {
	if size, ok := sizes[n]; ok {
		return size
	}
	sizes[n] = inProgress
	total := 1
	children := n.Content
	if n.Kind == yaml.AliasNode {
		children = []*yaml.Node{n.Alias}
	}
	for _, c := range children {
		size := expandedSize(c, sizes)
		if size < 0 {
			return inProgress
		}
		total = min(total+size, 1<<30)
	}
	sizes[n] = total
	return total
}
