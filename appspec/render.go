package appspec

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// Placeholder is a template's variable in a value: <NAME>, ${NAME}, $NAME or
// {{ NAME }}.
type Placeholder struct {
	Name string `json:"name"`           // without its marks
	Text string `json:"text"`           // as it stands there
	Path string `json:"path,omitempty"` // such as Resources[0].TargetService.Properties.TaskDefinition
	Pos  Pos    `json:"pos,omitzero"`   // of the value that holds it
}

// Placeholders finds the variables of a template, in values only and in the order
// of the file. Text that is not YAML even with all of them filled in is refused
// with the errors of [Parse].
func Placeholders(name string, data []byte) ([]Placeholder, error) {
	r, err := readTemplate(name, data)
	if err != nil {
		return nil, err
	}
	var out []Placeholder
	for _, s := range r.spots {
		out = append(out, s.names...)
	}
	return out, nil
}

// Render fills in the variables of a template. Whatever a value holds, it becomes
// text in that one place: quotes are put around it where they are needed, so that
// it can add neither keys nor lines. Variables in keys and comments stay. All that
// is missing in values is reported at once, as a *multierror.Error of *[Problem]
// with the code [ErrPlaceholder]; what is not used there is no mistake.
func Render(name string, data []byte, values map[string]string) ([]byte, error) {
	r, err := readTemplate(name, data)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	last := 0
	for _, s := range r.spots {
		text, ok := r.fill(s, values)
		if !ok {
			continue
		}
		out.Write(r.text[last:s.start])
		out.WriteString(text)
		last = s.end
	}
	out.Write(r.text[last:])
	if _, err := split(finish(r.p.problems, false)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// reVariable matches the forms of variables; the name is the group that is set.
// Names hold nothing that means something to YAML, so that a mask hides nothing.
var reVariable = lazyregexp.New(`\{\{[ \t]*([\w.-]+)[ \t]*\}\}|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|<([A-Za-z][\w -]*)>`)

// variables finds them in text, but for $LATEST, which is Lambda's.
func variables(text string) (at [][]int) {
	for _, m := range reVariable.FindAllStringSubmatchIndex(text, -1) {
		if name := variableName(text, m); name != "" && !strings.EqualFold(text[m[0]:m[1]], "$LATEST") {
			at = append(at, m)
		}
	}
	return at
}

func variableName(text string, m []int) string {
	for i := 2; i+1 < len(m); i += 2 {
		if m[i] >= 0 {
			return text[m[i]:m[i+1]]
		}
	}
	return ""
}

// mark stands for each character of a variable while YAML is read, since braces
// would be read as mappings. No real file has this character.
const mark = '\ue0f6'

func masked(text []byte) []byte {
	var out bytes.Buffer
	last := 0
	for _, m := range variables(string(text)) {
		out.Write(text[last:m[0]])
		for range utf8.RuneCount(text[m[0]:m[1]]) {
			out.WriteRune(mark)
		}
		last = m[1]
	}
	out.Write(text[last:])
	return out.Bytes()
}

// template is a text with the values that hold variables.
type template struct {
	p     *parser
	text  []byte
	lines []int // offset of each line
	spots []spot
	json  bool // quotes are needed around all text
}

// spot is one value with variables in it, as it stands in the text.
type spot struct {
	start, end int
	value      string // without quotes
	plain      bool   // it stands without quotes
	flow       bool   // between brackets
	number     bool   // in the place of a number
	node       *yaml.Node
	names      []Placeholder
}

func readTemplate(name string, data []byte) (*template, error) {
	p := &parser{file: name}
	r := &template{p: p, text: data}
	text, ok := p.text(data)
	if ok && bytes.ContainsRune(text, mark) {
		p.err(ErrEncoding, nil, "the file holds the private character U+E0F6, which has no meaning in a template")
		ok = false
	}
	if ok {
		skipped := len(data) - len(text) // a byte order mark
		r.lines = lineStarts(text, skipped)
		r.json = bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
		if root := p.document(masked(text)); root != nil && p.vet(root) {
			r.walk(root, false)
		}
	}
	p.problems = onlyErrors(p.problems)
	_, err := split(finish(p.problems, false))
	return r, err
}

func onlyErrors(problems []*Problem) (out []*Problem) {
	for _, pr := range problems {
		if pr.Severity == Error && pr.Code != ErrTagNotAllowed {
			out = append(out, pr)
		}
	}
	return out
}

func lineStarts(text []byte, skipped int) []int {
	out := []int{skipped}
	for _, at := range lineBreaks.FindAllIndex(text, -1) {
		out = append(out, skipped+at[1])
	}
	return out
}

// walk visits all values; what an alias points to is visited where it stands.
func (r *template) walk(n *yaml.Node, flow bool) {
	flow = flow || n.Style&yaml.FlowStyle != 0
	switch n.Kind {
	case yaml.ScalarNode:
		if len(r.p.path) > 0 && strings.ContainsRune(n.Value, mark) {
			r.spot(n, flow)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.p.pushIndex(i)
			r.walk(c, flow)
			r.p.pop()
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.p.push(n.Content[i].Value)
			r.walk(n.Content[i+1], flow)
			r.p.pop()
		}
	}
}

// reProperties are an anchor and a tag before a value.
var reProperties = lazyregexp.New(`^(?:[&!]\S*[ \t]+)+`)

// spot finds the extent of a value in the text.
func (r *template) spot(n *yaml.Node, flow bool) {
	s := spot{node: n, flow: flow, start: r.offset(n), number: numberKeys[r.p.path[len(r.p.path)-1].key]}
	s.start += len(reProperties.Find(r.text[s.start:]))
	s.end = s.start + r.extent(n, s.start)
	if s.end == s.start {
		r.p.err(ErrPlaceholder, n, "a variable in a text of several lines cannot be filled in").
			hint("write the text on one line, in quotes")
		return
	}
	source := r.text[s.start:s.end]
	s.plain = source[0] != '"' && source[0] != '\''
	s.value = string(source)
	if !s.plain {
		var v yaml.Node
		if err := yaml.Unmarshal(source, &v); err != nil || len(v.Content) != 1 {
			r.p.err(ErrPlaceholder, n, "the quotes are not where they seem to be").hint("write the text on one line")
			return
		}
		s.value = v.Content[0].Value
	}
	for _, m := range variables(s.value) {
		s.names = append(s.names, Placeholder{Name: variableName(s.value, m), Text: s.value[m[0]:m[1]], Path: r.p.pathText(), Pos: at(n)})
	}
	if len(s.names) > 0 {
		r.spots = append(r.spots, s)
	}
}

// offset converts a node's place into an offset.
func (r *template) offset(n *yaml.Node) int {
	at := r.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(r.text[at:])
		at += size
	}
	return at
}

// extent measures a value: up to the closing quote, or as long as the plain text
// is. Zero: it goes over several lines in a way that cannot be replaced.
func (r *template) extent(n *yaml.Node, start int) int {
	text := r.text[start:]
	if len(text) == 0 {
		return 0
	}
	switch quote := text[0]; {
	case quote == '"' && n.Style&yaml.DoubleQuotedStyle != 0, quote == '\'' && n.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(text); i++ {
			switch {
			case quote == '"' && text[i] == '\\':
				i++
			case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
				i++
			case text[i] == quote:
				return i + 1
			}
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0:
		// A variable has as many characters as its mask.
		size := 0
		for range utf8.RuneCountInString(n.Value) {
			_, w := utf8.DecodeRune(text[size:])
			size += w
		}
		if string(masked(text[:size])) == n.Value {
			return size
		}
	}
	return 0
}

// fill replaces the variables of one value, once: what a value brings along is
// not looked at again.
func (r *template) fill(s spot, values map[string]string) (string, bool) {
	var b strings.Builder
	last, ok := 0, true
	for i, m := range variables(s.value) {
		v, given := values[s.names[i].Name]
		why := ""
		switch {
		case !given:
			why = "no value is given for " + quote(s.names[i].Name)
		case !utf8.ValidString(v):
			why = "the value given for " + quote(s.names[i].Name) + " is not UTF-8"
		}
		if why != "" {
			pr := r.p.err(ErrPlaceholder, s.node, why).found(s.names[i].Text)
			pr.Path = s.names[i].Path
			ok = false
			continue
		}
		b.WriteString(s.value[last:m[0]] + v)
		last = m[1]
	}
	b.WriteString(s.value[last:])
	text := b.String()
	switch {
	case s.number && s.plain && reNumber.MatchString(text):
	case s.plain && !r.json:
		text = bare(text, s.flow)
	default:
		text = quoted(text)
	}
	return text, ok
}

// numberKeys are the keys whose values stay numbers when they are filled in.
var numberKeys = map[string]bool{"version": true, "timeout": true, "ContainerPort": true, "Base": true, "Weight": true}

var reNumber = lazyregexp.New(`^(?:0|[1-9]\d{0,17})(?:\.\d{1,9})?$`)
