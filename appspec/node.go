package appspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

// deref follows aliases. Only vetted nodes come here: no cycles.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// describe names what stands at a node, for messages.
func describe(n *yaml.Node) string {
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v := resolve(n); v.kind {
	case kindNull:
		return "nothing"
	case kindBool:
		return "the truth value " + quote(n.Value)
	case kindInt, kindFloat:
		return "the number " + quote(n.Value)
	}
	return quote(n.Value)
}

// isNull reports whether a node is missing or null.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && len(n.Value) <= len("null") && resolve(n).kind == kindNull
}

// isFalse reports whether a node is the truth value false, which the agent takes
// for nothing in most places.
func isFalse(n *yaml.Node) bool {
	if n == nil || n.Kind != yaml.ScalarNode {
		return false
	}
	v := resolve(n)
	return v.kind == kindBool && !v.truth
}

// value finds a key of a mapping without reporting anything.
func value(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return deref(n.Content[i+1])
		}
	}
	return nil
}

// pair is one entry of a mapping. The value is never an alias.
type pair struct{ key, val *yaml.Node }

// name is the key as text; empty for a list or mapping as key.
func (e pair) name() string {
	if e.key.Kind != yaml.ScalarNode {
		return ""
	}
	return e.key.Value
}

// pairs returns a mapping's entries in file order, merge keys resolved, and
// reports keys given twice; the last one of them counts, as in the agent. Twice
// an unknown key loses nothing that counts; known nil: all keys are.
func (p *parser) pairs(n *yaml.Node, known []string) []pair {
	return p.pairsIn(make([]pair, 0, len(n.Content)/2), n, known)
}

// pairsIn is pairs with room for them.
func (p *parser) pairsIn(out []pair, n *yaml.Node, known []string) []pair {
	merges := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := pair{deref(n.Content[i]), deref(n.Content[i+1])}
		if isMerge(e.key) {
			merges++
			continue
		}
		out = append(out, e)
	}
	out = p.unique(out, known)
	if merges > 0 {
		out = merged(n, out)
	}
	return out
}

func isMerge(k *yaml.Node) bool { return k.Kind == yaml.ScalarNode && k.Tag == "!!merge" }

// merged adds what merge keys bring in; a mapping's own keys win.
func merged(n *yaml.Node, out []pair) []pair {
	have := make(map[string]bool, len(out))
	for _, e := range out {
		have[e.name()] = true
	}
	var add func(m *yaml.Node)
	add = func(m *yaml.Node) {
		m = deref(m)
		if m.Kind == yaml.SequenceNode {
			for _, c := range m.Content {
				add(c)
			}
			return
		}
		if m.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			k, v := deref(m.Content[i]), deref(m.Content[i+1])
			switch {
			case isMerge(k):
				add(v)
			case !have[k.Value]:
				have[k.Value] = true
				out = append(out, pair{k, v})
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			add(n.Content[i+1])
		}
	}
	return out
}

// unique reports repeated keys and keeps the last of each. A few keys are
// compared directly; many through a map, so that it stays linear.
func (p *parser) unique(in []pair, known []string) []pair {
	var seen map[string]int
	if len(in) > 16 {
		seen = make(map[string]int, len(in))
	}
	out := in[:0]
	cut := false // a dash is missing, and all that follows is twice
	for _, e := range in {
		first := -1
		switch {
		case e.key.Kind != yaml.ScalarNode:
		case seen != nil:
			if i, ok := seen[e.key.Value]; ok {
				first = i
			} else {
				seen[e.key.Value] = len(out)
			}
		default:
			first = indexKey(out, e.key.Value)
		}
		if first < 0 {
			out = append(out, e)
			continue
		}
		if cut {
			continue
		}
		sev := Error
		if known != nil && !slices.Contains(known, e.key.Value) {
			sev = Warning
		}
		p.push(e.key.Value)
		p.report(sev, ErrDuplicateKey, e.key, fmt.Sprintf("the key is given twice, first on line %d", out[first].key.Line)).
			hint("merge the two: CodeDeploy's agent would silently drop the first")
		if first == 0 && len(out) > 1 && len(p.path) > 1 && p.path[len(p.path)-2].key == "" {
			cut = true
			p.problems[len(p.problems)-1].hint("put a dash before it, if another entry begins here; else remove it")
		}
		p.pop()
		out[first] = e
	}
	return out
}

func indexKey(pairs []pair, name string) int {
	for i, e := range pairs {
		if e.key.Kind == yaml.ScalarNode && e.key.Value == name {
			return i
		}
	}
	return -1
}

// fields sorts a mapping's values to the known keys (nil: absent) and reports
// the unknown ones. out must be as long as known.
func (p *parser) fields(n *yaml.Node, known []string, out []*yaml.Node) {
	var room [8]pair // for most mappings
	for _, e := range p.pairsIn(room[:0], n, known) {
		i := -1
		if e.key.Kind == yaml.ScalarNode {
			i = slices.Index(known, e.key.Value)
		}
		if i < 0 && p.platform != lifecycle.Server {
			i = p.foldedKey(e, known)
		}
		switch {
		case i < 0:
			p.unknownKey(e, known)
			continue
		case out[i] != nil:
			p.at(e.name(), func() {
				p.err(ErrDuplicateKey, e.key, "the key "+known[i]+" is given twice, in different letters").
					hint("merge the two, only one of them can count")
			})
		}
		out[i] = e.val
	}
}

// foldedKey finds a key in other letters. CodeDeploy's documents for ECS and
// Lambda have their keys in more than one letter case, so that any is taken.
func (p *parser) foldedKey(e pair, known []string) int {
	i := slices.IndexFunc(known, func(k string) bool { return e.name() != "" && strings.EqualFold(k, e.name()) })
	if i < 0 {
		return i
	}
	p.at(e.name(), func() {
		p.warn(ErrKeyCase, e.key, "the key is written "+known[i]+" in CodeDeploy's reference").
			hint("write it so: nobody promises that other letters are read")
	})
	return i
}

// items returns the members of a list, aliases followed.
func items(n *yaml.Node) []*yaml.Node {
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			out := append([]*yaml.Node(nil), n.Content...)
			for j := i; j < len(out); j++ {
				out[j] = deref(out[j])
			}
			return out
		}
	}
	return n.Content
}
