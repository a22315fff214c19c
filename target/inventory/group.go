package inventory

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/target/tags"
)

// group reads one group: a text, or a mapping.
func (r *reader) group(e entry) Group {
	g := Group{Name: e.key.Value, Pos: place(e.key)}
	path := "groups." + g.Name
	if !nameText.MatchString(g.Name) {
		path = "groups"
		r.say(e.key, path, "found %s as a name; want 1 to 100 of letters, digits, dots, dashes and underscores, with a letter or digit first and last", found(g.Name))
	}
	if e.val.Kind == yaml.MappingNode {
		g.Tags = r.selection(e.val, path)
		return g
	}
	text, ok := r.text(e.val, path)
	if !ok {
		return g
	}
	var err error
	if g.Tags, err = tags.Parse(text); err != nil {
		r.say(e.val, path, "%v", err)
	}
	return g
}

// selection reads filters or a tagSet, and reports at each filter what is wrong
// with it.
func (r *reader) selection(n *yaml.Node, path string) tags.Selection {
	var s tags.Selection
	before := len(r.problems)
	at := map[[2]int]*yaml.Node{{-1, -1}: n} // group and filter: where they stand
	for _, e := range r.mapping(n, path, []string{"filters", "tagSet"}) {
		here := join(path, e.key.Value)
		if e.key.Value == "filters" {
			s.Filters = r.filters(e.val, here, -1, at)
			continue
		}
		for i, item := range r.list(e.val, here) {
			at[[2]int{i, -1}] = item
			s.Set = append(s.Set, r.filters(item, fmt.Sprintf("%s[%d]", here, i), i, at))
		}
	}
	if len(r.problems) > before {
		return s
	}
	if s.Empty() {
		r.say(n, path, "chooses nothing; give filters or a tagSet")
	}
	for _, f := range s.Check() {
		r.say(at[[2]int{f.Group, f.Filter}], path, "%v", f)
	}
	return s
}

func (r *reader) filters(n *yaml.Node, path string, group int, at map[[2]int]*yaml.Node) tags.Group {
	var g tags.Group
	for i, item := range r.list(n, path) {
		at[[2]int{group, i}] = item
		g = append(g, r.filter(item, fmt.Sprintf("%s[%d]", path, i)))
	}
	return g
}

func (r *reader) filter(n *yaml.Node, path string) tags.Filter {
	var f tags.Filter
	if null(n) {
		r.say(n, path, "found nothing; want a mapping with Key, Value or both")
	}
	for _, e := range r.mapping(n, path, []string{"Key", "Value", "Type"}) {
		text, _ := r.text(e.val, join(path, e.key.Value))
		switch e.key.Value {
		case "Key":
			f.Key = text
		case "Value":
			f.Value = text
		case "Type":
			f.Type = tags.Type(text)
		}
	}
	return f
}

func (r *reader) list(n *yaml.Node, path string) []*yaml.Node {
	switch {
	case !r.plain(n, path):
		return nil
	case n.Kind != yaml.SequenceNode:
		r.say(n, path, "found %s; want a list", describe(n))
		return nil
	}
	return n.Content
}
