package appspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// document reads the first document and makes sure that there is no other.
func (p *parser) document(text []byte) *yaml.Node {
	doc, dec, err := firstDocument(text)
	switch {
	case errors.Is(err, io.EOF):
		p.empty(nil)
		return nil
	case err != nil:
		p.syntax(text, err)
		return nil
	}
	p.tabbedComments(text)
	var second yaml.Node
	if err := decode(dec, &second); errors.Is(err, io.EOF) {
		p.strictJSON(text)
	} else {
		p.secondDocument(text, &second, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		p.empty(nil)
		return nil
	}
	return p.top(text, doc.Content[0])
}

// firstDocument reads the first document; the decoder stands behind it.
func firstDocument(text []byte) (*yaml.Node, *yaml.Decoder, error) {
	read := func(text []byte) (*yaml.Node, *yaml.Decoder, error) {
		doc, dec := &yaml.Node{}, yaml.NewDecoder(bytes.NewReader(oneOne(text)))
		return doc, dec, decode(dec, doc)
	}
	doc, dec, err := read(text)
	if err == nil {
		return doc, dec, nil
	}
	for _, s := range standIns {
		if !strings.Contains(err.Error(), s.cause) {
			continue
		}
		if other, back := s.replace(text); back != nil {
			doc, dec, err = read(other)
			restore(doc, back)
		}
		break
	}
	return doc, dec, err
}

// standIns get the reader in use over what it refuses and the agent's takes. While
// it reads, something of the same length stands there, so that places stay.
// A nil back says that there is nothing to replace, or nothing to put there.
var standIns = []struct {
	cause   string // as the reader says it
	replace func(text []byte) (other []byte, back *strings.Replacer)
}{
	{"unknown escape character", slashes},
	{"did not find expected ','", questions},
}

// slashes are for \/ in double quotes, which programs write that print JSON.
func slashes(text []byte) ([]byte, *strings.Replacer) {
	const stand = "\u2029" // which \P means
	if !bytes.Contains(text, []byte(`\/`)) || bytes.Contains(text, []byte(`\P`)) ||
		bytes.Contains(text, []byte(stand)) || bytes.Contains(text, []byte(`2029`)) {
		return nil, nil
	}
	return bytes.ReplaceAll(text, []byte(`\/`), []byte(`\P`)), strings.NewReplacer(stand, "/", `\P`, `\/`)
}

// questions are for a question mark inside of a word between brackets.
func questions(text []byte) ([]byte, *strings.Replacer) {
	free := strings.Trim("^+;=", string(text))
	if free == "" || bytes.ContainsRune(text, '\\') {
		return nil, nil
	}
	other := bytes.Clone(text)
	for i := 1; i < len(text); i++ {
		if text[i] == '?' && !strings.ContainsRune(" \t\r\n[{,", rune(text[i-1])) {
			other[i] = free[0]
		}
	}
	if bytes.Equal(other, text) {
		return nil, nil
	}
	return other, strings.NewReplacer(free[:1], "?")
}

// restore puts back what something else stood for.
func restore(n *yaml.Node, back *strings.Replacer) {
	for _, s := range []*string{&n.Value, &n.HeadComment, &n.LineComment, &n.FootComment} {
		*s = back.Replace(*s)
	}
	for _, c := range n.Content {
		restore(c, back)
	}
}

var reYAML12 = lazyregexp.New(`(?m)\A(?:(?:#.*|[ \t]*)\r?\n)*%YAML 1\.2[ \t]*(?:#.*)?\r?$`)

// oneOne lets a file call itself YAML 1.2, as the agent does: the reader in use
// knows the directive for 1.1 only. Positions stay.
func oneOne(text []byte) []byte {
	if !bytes.Contains(text, []byte("%YAML 1.2")) || !reYAML12.Match(text) {
		return text
	}
	return bytes.Replace(text, []byte("%YAML 1.2"), []byte("%YAML 1.1"), 1)
}

// decode reads one document into nodes. Decoding into nodes is not known to
// panic, unlike decoding into values; a panic would still be the input's fault.
func decode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML reader cannot cope with it: %v", r)
		}
	}()
	return dec.Decode(into)
}

func (p *parser) empty(n *yaml.Node) {
	p.err(ErrEmpty, n, "the AppSpec is empty").allowed("at least version, and os for servers or Resources for ECS and Lambda")
}

// top makes sure that the document is a mapping.
func (p *parser) top(text []byte, n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		return n
	}
	if n.Kind == yaml.ScalarNode {
		if v := resolve(n); v.kind == kindNull || v.kind == kindBool && !v.truth {
			p.empty(n)
			return nil
		}
	}
	pr := p.err(ErrNotMapping, n, "the AppSpec is not a mapping").allowed("a mapping such as version: 0.0, and more lines like it")
	pr.Found = describe(n)
	if bytes.HasPrefix(text, []byte("#!")) {
		pr.hint(shellHint)
	}
	return nil
}

func (p *parser) secondDocument(text []byte, second *yaml.Node, err error) {
	const why = "text follows after the end of the first document, and would not count"
	const hint = "keep one document in the file and check the indentation of its first lines"
	// An end marker without anything behind it loses nothing.
	if err == nil && len(second.Content) == 1 && second.Content[0].Kind == yaml.ScalarNode && second.Content[0].Value == "" {
		p.warn(ErrMultipleDocuments, second, "an empty second document follows").hint("remove the last ---")
		return
	}
	p.cut = true
	pr := p.err(ErrMultipleDocuments, second, why).hint(hint)
	if fault := p.faultOfJSON(text); fault != nil {
		p.place(pr, fault.line, fault.col).hint("keep one object in the file, and look for a bracket too many")
		return
	}
	if err == nil {
		return
	}
	if line := firstLine(text); line > 0 {
		pr.Why = "this line is indented, and what follows with less indentation does not belong to it and would not count"
		p.place(pr, line, 1).hint("remove the spaces at its beginning")
		return
	}
	line, _ := errorLine(err)
	p.place(pr, clampLine(text, line), 1)
}

// firstLine returns the first line that says something, if it is indented; else 0.
func firstLine(text []byte) int {
	n := 0
	for l := range bytes.Lines(text) {
		n++
		if t := bytes.TrimSpace(l); len(t) > 0 && t[0] != '#' {
			if l[0] == ' ' {
				return n
			}
			return 0
		}
	}
	return 0
}

var reBoundary = lazyregexp.New(`(?m)^(?:---|\.\.\.)(?:[ \t\r]|$)`)

// firstIsSound reports whether what the YAML reader refused stands behind a sound
// first document. The reader looks ahead, and then blames the whole.
func firstIsSound(text []byte, line int) bool {
	for _, at := range reBoundary.FindAllIndex(text, 10) {
		before := text[:at[0]]
		if bytes.Count(before, []byte{'\n'}) > line {
			break
		}
		if n, _, err := firstDocument(before); err == nil && n.Kind == yaml.DocumentNode && n.Content[0].Kind == yaml.MappingNode {
			return true
		}
	}
	return false
}
