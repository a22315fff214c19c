package appspec

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

var (
	rePlaceholder = lazyregexp.New(`\{\{.*\}\}|\$\{\w+\}|\$\w+|^<[\w -]+>$`)
	// reFillIn are the words that samples have where something is to be filled in.
	reFillIn = lazyregexp.New(`^(?:\[[^\[\]]+\]|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)$|<[\w /.:-]+>`)
)

// placeholder warns of a template's variable that was left in a value.
func (p *parser) placeholder(n *yaml.Node, text string) {
	if !strings.ContainsAny(text, "{$<") {
		return
	}
	if m := rePlaceholder.FindString(text); m != "" {
		p.warn(ErrPlaceholder, n, "this looks like a template's variable, and is taken literally").found(m).
			hint("fill in the template before it is packed")
	}
}

// unfilled is placeholder for ECS and Lambda, where two files of three are
// templates, and where a word such as TASK_DEFINITION stands for itself nowhere.
func (p *parser) unfilled(n *yaml.Node, text string) bool {
	if !strings.ContainsAny(text, "{$<") && !shouted(text) {
		return false // the common case, without patterns
	}
	m := rePlaceholder.FindString(text)
	if m == "" {
		m = reFillIn.FindString(text)
	}
	if m == "" || strings.EqualFold(m, "$LATEST") || m == "FARGATE_SPOT" {
		return false
	}
	p.warn(ErrPlaceholder, n, "this looks like a template's variable, and is taken literally").found(m).
		hint("fill in the template before it is deployed")
	return true
}

// shouted reports text in brackets or in capitals, which may be one of the words
// to fill in.
func shouted(text string) bool {
	if text == "" || text[0] == '[' || !strings.Contains(text, "_") {
		return text != "" && text[0] == '['
	}
	for i := range len(text) {
		if c := text[i]; c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// variable recognises {{NAME}} without quotes, which YAML reads as a mapping in a
// mapping; empty: it is something else.
func variable(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle == 0 || len(n.Content) != 2 {
		return ""
	}
	in := n.Content[0]
	if in.Kind != yaml.MappingNode || in.Style&yaml.FlowStyle == 0 || len(in.Content) != 2 || in.Content[0].Kind != yaml.ScalarNode {
		return ""
	}
	return "{{" + in.Content[0].Value + "}}"
}
