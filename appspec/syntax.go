package appspec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// document reads the first document and makes sure that there is no other.
func (p *parser) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(oneOne(text)))
	var doc, second yaml.Node
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		p.empty(nil)
		return nil
	case err != nil:
		p.syntax(text, err)
		return nil
	}
	p.tabbedComments(text)
	p.strictJSON(text)
	if err := decode(dec, &second); !errors.Is(err, io.EOF) {
		p.secondDocument(text, &second, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		p.empty(nil)
		return nil
	}
	return p.top(doc.Content[0])
}

var reYAML12 = regexp.MustCompile(`(?m)\A(?:(?:#.*|[ \t]*)\r?\n)*%YAML 1\.2[ \t]*(?:#.*)?\r?$`)

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

// strictJSON warns of what YAML takes and JSON does not, such as a comma at the end
// of a list, in a file that calls itself JSON.
func (p *parser) strictJSON(text []byte) {
	if !strings.HasSuffix(strings.ToLower(p.file), ".json") || !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return
	}
	var bad *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); !errors.As(err, &bad) {
		return
	}
	line, col := position(text, max(0, min(int(bad.Offset), len(text))-1))
	p.place(p.warn(ErrSyntax, nil, "valid as YAML, but not as JSON: "+bad.Error()), line, col).
		hint("a comma may be too many, or a comment or single quotes may stand there")
}

func (p *parser) empty(n *yaml.Node) {
	p.err(ErrEmpty, n, "the AppSpec is empty").allowed("at least version, and os for servers or Resources for ECS and Lambda")
}

// top makes sure that the document is a mapping.
func (p *parser) top(n *yaml.Node) *yaml.Node {
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
	return nil
}

func (p *parser) secondDocument(text []byte, second *yaml.Node, err error) {
	// An end marker without anything behind it loses nothing.
	if err == nil && len(second.Content) == 1 && second.Content[0].Kind == yaml.ScalarNode && second.Content[0].Value == "" {
		p.warn(ErrMultipleDocuments, second, "an empty second document follows").hint("remove the last ---")
		return
	}
	p.cut = true
	why := "text follows after the end of the first document, and would not count"
	hint := "keep one document in the file and check the indentation of its first lines"
	if line := firstLine(text); err != nil && line > 0 {
		p.place(p.err(ErrMultipleDocuments, nil, "this line is indented, and what follows with less indentation does not belong to it and would not count"), line, 1).
			hint("remove the blanks at its beginning")
		return
	}
	if err != nil {
		line, _ := errorLine(err)
		p.place(p.err(ErrMultipleDocuments, nil, why), clampLine(text, line), 1).hint(hint)
		return
	}
	p.err(ErrMultipleDocuments, second, why).hint(hint)
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

var reErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// errorLine takes the line out of the YAML reader's message.
func errorLine(err error) (line int, msg string) {
	msg = err.Error()
	m := reErrorLine.FindStringSubmatch(msg)
	if m == nil {
		return 0, msg
	}
	line, _ = strconv.Atoi(m[1])
	return line, msg[len(m[0]):]
}

// lineBreaks are all that YAML knows.
var lineBreaks = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

// clamp keeps places inside of the file: the YAML reader puts what is missing at
// the end behind it.
func (p *parser) clamp(data []byte) {
	furthest := 1
	for _, pr := range p.problems {
		furthest = max(furthest, pr.Line)
	}
	if furthest == 1 {
		return
	}
	last := countLines(data)
	for _, pr := range p.problems {
		if pr.Line > last {
			pr.Line, pr.Col = last, 0
		}
	}
}

// countLines counts as YAML does.
func countLines(data []byte) int {
	n := 1 + bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'}) - bytes.Count(data, []byte("\r\n"))
	for _, other := range []string{"\u0085", "\u2028", "\u2029"} {
		n += bytes.Count(data, []byte(other))
	}
	return n
}

func clampLine(text []byte, line int) int {
	return max(1, min(line, len(bytes.Split(text, []byte{'\n'}))))
}

// syntax reports what the YAML reader refused, with what is known to cause it.
func (p *parser) syntax(text []byte, err error) {
	line, msg := errorLine(err)
	if firstIsSound(text, line) {
		p.secondDocument(text, nil, err)
		return
	}
	pr := p.err(ErrSyntax, nil, "not valid YAML: "+msg)
	pr.Line = clampLine(text, line)
	switch lines := strings.Split(string(text), "\n"); {
	case strings.HasPrefix(lines[0], "#!"):
		pr.hint("it looks like a shell script")
	case strings.Contains(msg, "anchor"):
		pr.Code = ErrAlias
		pr.hint("define it with & before, or put quotes around a text that begins with *")
	default:
		p.syntaxHint(pr, lines)
	}
	pr.Why = "not valid YAML: " + inWords(msg)
	if text[0] == '{' {
		pr.Why = "not valid JSON: " + inWords(msg)
	}
}

// readerWords puts what the YAML reader says into words for those who do not know
// how it works inside.
var readerWords = [][2]string{
	{"mapping values are not allowed", "a colon stands where no key can be"},
	{"could not find expected ':'", "a key has no colon with a blank behind it"},
	{"did not find expected '-' indicator", "the indentation does not fit the lines above"},
	{"did not find expected key", "the indentation does not fit the lines above"},
	{"did not find expected ','", "a bracket is not closed, or a comma is missing"},
	{"did not find expected node content", "a value is missing, or a comma is too many"},
	{"found character that cannot start any token", "a value cannot begin with this character"},
	{"found a tab character that violates indentation", "a tab is used for indentation"},
	{"found unexpected end of stream", "a quote is not closed"},
	{"found unexpected document indicator", "a quote is not closed before the next document"},
	{"did not find expected alphabetic or numeric character", "a value that begins with * or & needs a name behind it"},
	{"found unknown escape character", "a backslash in double quotes is followed by what it cannot escape"},
	{"block sequence entries are not allowed", "a dash stands where no list can be"},
	{"found undefined tag handle", "a tag is not known"},
}

func inWords(msg string) string {
	for _, w := range readerWords {
		if strings.HasPrefix(msg, w[0]) {
			return w[1]
		}
	}
	return msg
}

var reBoundary = regexp.MustCompile(`(?m)^(?:---|\.\.\.)(?:[ \t\r]|$)`)

// firstIsSound reports whether what the YAML reader refused stands behind a sound
// first document. The reader looks ahead, and then blames the whole.
func firstIsSound(text []byte, line int) bool {
	for _, at := range reBoundary.FindAllIndex(text, 10) {
		before := text[:at[0]]
		if bytes.Count(before, []byte{'\n'}) > line {
			break
		}
		var n yaml.Node
		if err := decode(yaml.NewDecoder(bytes.NewReader(oneOne(before))), &n); err == nil && n.Kind == yaml.DocumentNode &&
			n.Content[0].Kind == yaml.MappingNode {
			return true
		}
	}
	return false
}

var (
	reTabComment = regexp.MustCompile(`(?m)^( *\t[ \t]*)#.*$`)
	reComment    = regexp.MustCompile(`(?m)^ *#.*$`)
)

// tabbedComments refuses comments that are indented with a tab, as the agent does.
// The reader in use skips comments before it looks at tabs, so it is asked again
// with a word in their place: it knows where tabs are fine, as inside of brackets.
func (p *parser) tabbedComments(text []byte) {
	if bytes.IndexByte(text, '\t') < 0 || bytes.IndexByte(text, '#') < 0 {
		return
	}
	at := reTabComment.FindIndex(text)
	if at == nil {
		return
	}
	var n yaml.Node
	bare := reTabComment.ReplaceAll(reComment.ReplaceAll(text, nil), []byte("${1}x,"))
	err := decode(yaml.NewDecoder(bytes.NewReader(oneOne(bare))), &n)
	if err == nil || !strings.Contains(err.Error(), "cannot start any token") &&
		!strings.Contains(err.Error(), "tab character that violates") {
		return
	}
	line, _ := position(text, at[0])
	p.place(p.err(ErrSyntax, nil, "not valid YAML: a comment is indented with a tab"), line, bytes.IndexByte(text[at[0]:], '\t')+1).
		hint("use blanks")
}

var (
	reTemplate   = regexp.MustCompile(`\{\{|\$\{`)
	reDirective  = regexp.MustCompile(`\{%|%\{|<%`)
	reHereString = regexp.MustCompile(`^@["']\s*$`)
	reNoBlank    = regexp.MustCompile(`^[ -]*["']?[A-Za-z_]+["']?:["'\w{\[<$]`)
	reLoneWord   = regexp.MustCompile(`^ *(?:- +)?[\w.-]+\s*$`)
	reTabIndent  = regexp.MustCompile(`^ *\t[ \t]*[^ \t\r]`)
	reNeedsQuote = regexp.MustCompile("(?:^|[:\\-] +)([@`%*])")
	reFlowQuery  = regexp.MustCompile(`[\[{].*[^\s\[{,'"]\?`)
	reTwoColons  = regexp.MustCompile(`^[^'"#]*: +[^'"#]*: `)
)

// syntaxHint looks at the line named by the reader and at those around it.
func (p *parser) syntaxHint(pr *Problem, lines []string) {
	if p.indentHint(pr, lines) {
		return
	}
	for _, n := range []int{pr.Line, pr.Line + 1, pr.Line - 1} {
		if n < 1 || n > len(lines) {
			continue
		}
		l := lines[n-1]
		switch {
		case reHereString.MatchString(l):
			p.place(pr, n, 1).hint("this is PowerShell's quote around a text: remove the line, and the one at the end")
		case reDirective.MatchString(l):
			pr.Line = n
			pr.hint("it looks like a template that is not filled in: fill it in first")
		case reTemplate.MatchString(l):
			pr.Line = n
			pr.hint("it looks like a template that is not filled in: fill it in first, or put quotes around the variable")
		case reTabIndent.MatchString(l):
			p.place(pr, n, strings.IndexByte(l, '\t')+1).hint("a tab is used for indentation: use blanks")
		case reNeedsQuote.MatchString(l):
			at := reNeedsQuote.FindStringSubmatchIndex(l)
			p.place(pr, n, utf8.RuneCountInString(l[:at[2]])+1).
				hint("put quotes around a text that begins with " + l[at[2]:at[3]])
		case reFlowQuery.MatchString(l) && strings.Contains(pr.Why, "did not find expected ','"):
			pr.Line = n
			pr.hint("inside of brackets, put quotes around a text that holds a question mark")
		case strings.Contains(pr.Why, "unknown escape"):
			pr.Line = n
			pr.hint("use single quotes around a Windows path")
		case reTwoColons.MatchString(l):
			pr.Line = n
			pr.hint("put quotes around a text that holds a colon and a blank")
		case reNoBlank.MatchString(l):
			p.place(pr, n, len(reNoBlank.FindString(l))).hint("put a blank after the colon")
		case n == pr.Line-1 && reLoneWord.MatchString(l) && strings.Contains(pr.Why, "mapping values"):
			pr.Line = n
			pr.hint("put a colon at the end of this line, before what is indented below it")
		default:
			continue
		}
		return
	}
	pr.hint("check the indentation of this line and of the one before")
}
