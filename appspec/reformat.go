package appspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reformat lays the text of an AppSpec out evenly, in the notation it is in: two
// blanks a level, one entry a line. Comments stay, and so do the order of keys and
// the way each value is written. It works on files with mistakes, too, as long as
// they are YAML or JSON. What would change its meaning or lose a comment is
// refused rather than done: the comment has to move to a line of its own.
func Reformat(name string, data []byte) ([]byte, error) {
	p := &parser{file: name}
	out := p.reformat(data)
	p.problems = slices.DeleteFunc(p.problems, func(pr *Problem) bool { return pr.Severity != Error })
	if _, err := split(finish(p.problems, false)); err != nil {
		return nil, err
	}
	return out, nil
}

func (p *parser) reformat(data []byte) []byte {
	text, ok := p.text(data)
	if !ok {
		return nil
	}
	root := p.document(text)
	if root == nil || !p.vet(root) {
		return nil
	}
	if json.Valid(text) {
		var b bytes.Buffer
		if err := json.Indent(&b, bytes.TrimSpace(text), "", "  "); err == nil {
			b.WriteByte('\n')
			return b.Bytes()
		}
	}
	before := shape(root)
	comments := findComments(text)
	doc := p.whole(align(text, comments))
	if doc == nil {
		return nil
	}
	unflow(doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := encode(enc, doc); err != nil {
		p.err(ErrSyntax, nil, "it cannot be laid out: "+err.Error())
		return nil
	}
	p.unchanged(before, comments, b.Bytes())
	return b.Bytes()
}

// whole reads the document again, comments around it included.
func (p *parser) whole(text []byte) *yaml.Node {
	doc, _, err := firstDocument(text)
	if err != nil {
		p.syntax(text, err)
		return nil
	}
	return doc
}

// align indents each comment on a line of its own as what follows it, or not at
// all at the end: the reader in use drops some that stand otherwise.
func align(text []byte, comments []comment) []byte {
	own := map[int]string{}
	for _, c := range comments {
		own[c.line] = c.text
	}
	lines := strings.SplitAfter(string(text), "\n")
	indent := ""
	for i := len(lines) - 1; i >= 0; i-- {
		trimmed := strings.TrimSpace(lines[i])
		switch c := own[i+1]; {
		case c != "" && trimmed == c:
			lines[i] = indent + c + "\n"
		case trimmed != "":
			indent = lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " "))]
		}
	}
	return []byte(strings.Join(lines, ""))
}

// encode writes nodes. A panic of the writer is an error like any other.
func encode(enc *yaml.Encoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML writer cannot cope with it: %v", r)
		}
	}()
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return enc.Close()
}

// unflow puts mappings and lists on lines of their own.
func unflow(n *yaml.Node) {
	if len(n.Content) > 0 {
		n.Style &^= yaml.FlowStyle
	}
	for _, c := range n.Content {
		unflow(c)
	}
}

// unchanged compares what was read before and after.
func (p *parser) unchanged(before []string, comments []comment, out []byte) {
	again := &parser{file: p.file}
	root := again.document(out)
	if root == nil || !slices.Equal(before, shape(root)) {
		p.err(ErrSyntax, nil, "laying it out would change its meaning")
		return
	}
	kept := map[string]int{}
	for _, c := range findComments(out) {
		kept[c.text]++
	}
	for _, c := range comments {
		if kept[c.text]--; kept[c.text] < 0 {
			p.place(p.err(ErrComment, nil, "the comment would be lost"), c.line, c.col).found(c.text).
				hint("move it to a line of its own, above what it is about")
		}
	}
}

// shape lists what a tree means, without its layout.
func shape(n *yaml.Node) []string {
	var out []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		s := fmt.Sprint(n.Kind, " ", len(n.Content), " ", n.Anchor, " ", n.Value)
		if n.Kind == yaml.ScalarNode {
			v := resolve(n)
			s = fmt.Sprint(n.Kind, " ", v.kind, " ", n.Anchor, " ", n.Value)
		}
		if foreignTag(n) {
			s += " " + n.Tag
		}
		out = append(out, s)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(n)
	return out
}

// comment is one comment, from its # to the end of the line.
type comment struct {
	text      string
	line, col int
}

// findComments finds the comments in YAML. The reader in use keeps most of them
// with its nodes, not all.
func findComments(text []byte) []comment {
	s := scanner{block: -1}
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		s.line(n, strings.TrimRight(l, "\r\n"))
	}
	return s.found
}

// scanner knows, line by line, whether it is inside of quotes or of a block of
// text.
type scanner struct {
	found []comment
	quote byte // inside of these quotes; zero: of none
	block int  // inside of a block of text, whose owner is indented so far; -1: not
}

func (s *scanner) line(n int, l string) {
	indent := len(l) - len(strings.TrimLeft(l, " "))
	if s.block >= 0 {
		if strings.TrimSpace(l) == "" || indent > s.block {
			return
		}
		s.block = -1
	}
	end := len(l)
	for i := 0; i < len(l); i++ {
		c := l[i]
		switch {
		case s.quote != 0:
			i = s.inQuotes(l, i)
		case c == '#' && (i == 0 || l[i-1] == ' ' || l[i-1] == '\t'):
			s.found = append(s.found, comment{strings.TrimRight(l[i:], " \t"), n, i + 1})
			end, i = i, len(l)
		case (c == '"' || c == '\'') && startsToken(l[:i]):
			s.quote = c
		}
	}
	if s.quote == 0 {
		s.header(strings.TrimRight(l[:end], " \t"), indent)
	}
}

// inQuotes takes one step inside of quotes.
func (s *scanner) inQuotes(l string, i int) int {
	switch {
	case s.quote == '"' && l[i] == '\\', l[i] == s.quote && s.quote == '\'' && strings.HasPrefix(l[i+1:], "'"):
		return i + 1
	case l[i] == s.quote:
		s.quote = 0
	}
	return i
}

// startsToken reports whether a quote behind this text begins a quoted value.
func startsToken(before string) bool {
	t := strings.TrimRight(before, " \t")
	if t == "" || strings.Trim(t, " \t-") == "" {
		return true
	}
	if word := t[strings.LastIndexAny(t, " \t")+1:]; t != before && (word[0] == '&' || word[0] == '!') {
		return true
	}
	switch t[len(t)-1] {
	case '[', '{', ',':
		return true
	case ':', '?':
		return t != before || strings.HasSuffix(t, "\":") || strings.HasSuffix(t, "':")
	}
	return false
}

// header notes that a block of text follows.
func (s *scanner) header(l string, indent int) {
	rest := strings.TrimRight(l, "0123456789+-")
	if !strings.HasSuffix(rest, "|") && !strings.HasSuffix(rest, ">") || len(l)-len(rest) > 2 {
		return
	}
	before := rest[:len(rest)-1]
	if !startsToken(before) || before != "" && !strings.HasSuffix(before, " ") && !strings.HasSuffix(before, "\t") {
		return
	}
	owner := indent
	for strings.HasPrefix(l[owner:], "- ") && strings.TrimSpace(l[owner+2:]) != strings.TrimSpace(rest[len(before):]+l[len(rest):]) {
		owner += 2
		owner += len(l[owner:]) - len(strings.TrimLeft(l[owner:], " "))
	}
	s.block = owner
}
