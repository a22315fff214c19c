package appspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const bom = "\xef\xbb\xbf"

// text checks what can be checked before the YAML reader sees the bytes: the
// reader is quick on sane input only, and its own messages lack a place.
func (p *parser) text(data []byte) ([]byte, bool) {
	limit := p.opt.MaxBytes
	if limit <= 0 {
		limit = DefaultMaxBytes
	}
	if len(data) > limit {
		p.err(ErrTooLarge, nil, fmt.Sprintf("the file has %d bytes", len(data))).
			allowed(fmt.Sprintf("at most %d bytes", limit))
		return nil, false
	}
	if rest, has := bytes.CutPrefix(data, []byte(bom)); has {
		data = rest
		p.place(p.warn(ErrBOM, nil, "the file begins with a byte order mark"), 1, 1).
			hint("save it without: CodeDeploy's agent misreads such a file")
	}
	return data, p.encoding(data) && p.lines(data)
}

// place sets a position that is not a node's.
func (p *parser) place(pr *Problem, line, col int) *Problem {
	pr.Line, pr.Col = line, col
	return pr
}

// encoding refuses what is not UTF-8 text, as YAML does.
func (p *parser) encoding(data []byte) bool {
	for i := 0; i < len(data); {
		if c := data[i]; c >= ' ' && c < 0x7f || c == '\n' || c == '\t' || c == '\r' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if why := unprintable(r, size, data); why != "" {
			line, col := position(data, i)
			pr := p.place(p.err(ErrEncoding, nil, why), line, col).allowed("printable UTF-8 text")
			pr.Found = fmt.Sprintf("byte 0x%02x at offset %d", data[i], i)
			return false
		}
		i += size
	}
	return true
}

// unprintable says why a character may not stand in a YAML file; empty: it may.
func unprintable(r rune, size int, data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "the file is not UTF-8, it looks like UTF-16"
	case r == utf8.RuneError && size == 1:
		return "the file is not UTF-8, it may be Latin-1 or Windows-1252"
	case r == 0:
		return "the file holds a NUL byte, it may be UTF-16 or binary"
	case r < ' ' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff:
		return "the file holds a control character"
	}
	return ""
}

// position converts an offset into a line and a column, both from 1.
func position(data []byte, offset int) (line, col int) {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

// lines limits the length and the indentation of lines: the YAML reader takes
// seconds for thousands of nested levels.
func (p *parser) lines(data []byte) bool {
	line := 0
	for l := range bytes.Lines(data) {
		line++
		if len(l) > maxLine {
			p.place(p.err(ErrTooLarge, nil, fmt.Sprintf("the line has %d bytes", len(l))), line, 1).
				allowed(fmt.Sprintf("at most %d bytes in a line", maxLine))
			return false
		}
		if indent := len(l) - len(bytes.TrimLeft(l, " -?")); indent > maxIndent {
			p.place(p.err(ErrTooDeep, nil, fmt.Sprintf("the line is indented by %d columns", indent)), line, 1).
				allowed(fmt.Sprintf("at most %d", maxIndent))
			return false
		}
	}
	return true
}

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

func (p *parser) empty(n *yaml.Node) {
	p.err(ErrEmpty, n, "the AppSpec is empty").allowed("at least version and os")
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
	pr := p.err(ErrNotMapping, n, "the AppSpec is not a mapping").allowed("a mapping with version and os")
	pr.Found = describe(n)
	return nil
}

func (p *parser) secondDocument(text []byte, second *yaml.Node, err error) {
	why := "text follows after the end of the first document, and would not count"
	hint := "keep one document in the file and check the indentation of its first lines"
	if err != nil {
		line, _ := errorLine(err)
		p.place(p.err(ErrMultipleDocuments, nil, why), clampLine(text, line), 1).hint(hint)
		return
	}
	// An end marker without anything behind it loses nothing.
	if len(second.Content) == 1 && second.Content[0].Kind == yaml.ScalarNode && second.Content[0].Value == "" {
		p.warn(ErrMultipleDocuments, second, "an empty second document follows").hint("remove the last ---")
		return
	}
	p.err(ErrMultipleDocuments, second, why).hint(hint)
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
	if len(p.problems) == 0 {
		return
	}
	last := len(lineBreaks.FindAllIndex(data, -1)) + 1
	for _, pr := range p.problems {
		if pr.Line > last {
			pr.Line, pr.Col = last, 0
		}
	}
}

func clampLine(text []byte, line int) int {
	return max(1, min(line, len(bytes.Split(text, []byte{'\n'}))))
}

// syntax reports what the YAML reader refused, with what is known to cause it.
func (p *parser) syntax(text []byte, err error) {
	line, msg := errorLine(err)
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
}

var (
	reTabIndent  = regexp.MustCompile(`^ *\t[ \t]*[^ \t#\r]`)
	reNeedsQuote = regexp.MustCompile("(?:^|[:\\-] +)([@`%*])")
	reTwoColons  = regexp.MustCompile(`^[^'"#]*: +[^'"#]*: `)
)

// syntaxHint looks at the line named by the reader and at those around it.
func (p *parser) syntaxHint(pr *Problem, lines []string) {
	for _, n := range []int{pr.Line, pr.Line + 1, pr.Line - 1} {
		if n < 1 || n > len(lines) {
			continue
		}
		l := lines[n-1]
		switch {
		case reTabIndent.MatchString(l):
			p.place(pr, n, strings.IndexByte(l, '\t')+1).hint("a tab is used for indentation: use blanks")
		case reNeedsQuote.MatchString(l):
			at := reNeedsQuote.FindStringSubmatchIndex(l)
			p.place(pr, n, utf8.RuneCountInString(l[:at[2]])+1).
				hint("put quotes around a text that begins with " + l[at[2]:at[3]])
		case reTwoColons.MatchString(l):
			pr.Line = n
			pr.hint("put quotes around a text that holds a colon and a blank")
		default:
			continue
		}
		return
	}
	pr.hint("check the indentation of this line and of the one before")
}
