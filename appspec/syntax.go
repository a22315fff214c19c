package appspec

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

var reErrorLine = lazyregexp.New(`^yaml: (?:line (\d+): )?`)

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
var lineBreaks = lazyregexp.New("\r\n|[\r\n\u0085\u2028\u2029]")

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
	pr := p.err(ErrSyntax, nil, notYAML+inWords(msg))
	pr.Line = clampLine(text, line)
	lines := beginnings(text)
	fault := p.faultOfJSON(text)
	switch {
	case bytes.HasPrefix(text, []byte("#!")):
		pr.hint(shellHint)
	case strings.Contains(msg, "Unicode character escape"):
		pr.Code = ErrEncoding
		p.placed(pr.hint("write the character itself"), reSurrogate, lines, 1)
	case fault != nil && fault.template != "":
		p.place(pr, fault.line, fault.col).hint(fault.template)
	case fault != nil:
		pr.Why = "not valid JSON: " + fault.why
		p.place(pr, fault.line, fault.col).hint(fault.hint)
	case strings.Contains(msg, "anchor"):
		p.anchor(pr, msg, lines)
	default:
		p.syntaxHint(pr, msg, lines)
	}
}

// beginnings are the lines of a text, cut where nobody reads on, since patterns are
// slow on what is long.
func beginnings(text []byte) []string {
	const enough = 500
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		if len(l) > enough {
			lines[i] = strings.ToValidUTF8(l[:enough], "")
		}
	}
	return lines
}

var reAnchor = lazyregexp.New(`anchor '(.*)'`)

// anchor finds the alias whose anchor the reader misses: it does not say where.
func (p *parser) anchor(pr *Problem, msg string, lines []string) {
	pr.Code = ErrAlias
	pr.hint("define it with & before, or put quotes around a text that begins with *")
	if m := reAnchor.FindStringSubmatch(msg); m != nil {
		p.placed(pr, lazyregexp.New(`(?:^|[\s,:\[{-])(\*`+regexp.QuoteMeta(m[1])+`)(?:[\s,\]}]|$)`), lines, 1)
	}
}

const (
	notYAML      = "not valid YAML: "
	shellHint    = "it looks like a shell script"
	templateHint = "it looks like a template that is not filled in: fill it in first"
	variableHint = templateHint + ", or put quotes around the variable"
)

// readerWords puts what the YAML reader says into words for those who do not know
// how it works inside.
var readerWords = [][2]string{
	{"mapping values are not allowed", "a colon stands where no key can be"},
	{"could not find expected ':'", "a key has no colon with a space behind it"},
	{"did not find expected '-' indicator", "the indentation does not fit the lines above"},
	{"did not find expected key", "the indentation does not fit the lines above"},
	{"did not find expected ','", "a bracket is not closed, or a comma is missing"},
	{"did not find expected node content", "a bracket is not closed, a value is missing, or a comma is too many"},
	{"found character that cannot start any token", "a value cannot begin with this character"},
	{"found a tab character", "a tab is used for indentation"},
	{"found unexpected end of stream", "a quote is not closed"},
	{"found unexpected document indicator", "a quote is not closed before the next document"},
	{"did not find expected alphabetic or numeric character", "a value that begins with * or & needs a name behind it"},
	{"found unknown escape character", "a backslash in double quotes is followed by what it cannot escape"},
	{"block sequence entries are not allowed", "a dash stands where no list can be"},
	{"did not find expected <document start>", "a value stands alone, and more follows where only keys can"},
	{"found an indentation indicator", "a block of text cannot be indented by 0"},
	{"did not find expected hexdecimal number", "a backslash in double quotes is followed by too few digits"},
	{"exceeded max depth", "too many levels inside each other"},
	{"found undefined tag handle", badTag}, {"did not find expected tag URI", badTag}, {"did not find expected '!'", badTag},
	{"did not find the expected '>'", badTag}, {"did not find URI escaped octet", badTag},
	{"could not find expected directive name", badDirective}, {"found unknown directive name", badDirective}, {"found duplicate %", badDirective},
	{"found extremely long version number", badDirective}, {"found incompatible YAML document", badDirective},
	{"did not find expected version number", badDirective}, {"did not find expected digit or '.'", badDirective},
	{"found unexpected non-alphabetical character", badDirective}, {"did not find expected comment or line break", badMark},
	{"did not find expected whitespace", badMark},
	{"unknown anchor", "a value that begins with * stands for another, and there is none of this name"},
	{"found invalid Unicode character escape", "an escape such as \\ud83d is only half of a character"},
}

const (
	badTag       = "a value that begins with ! is a tag, and this one is not well formed"
	badDirective = "a line that begins with % is a directive to the reader, and it does not know this one"
	badMark      = "a space or the end of the line is missing behind a mark such as |, > or %"
)

func inWords(msg string) string {
	for _, w := range readerWords {
		if strings.HasPrefix(msg, w[0]) {
			return w[1]
		}
	}
	return msg
}

var (
	reTabComment = lazyregexp.New(`(?m)^( *\t[ \t]*)#.*$`)
	reComment    = lazyregexp.New(`(?m)^ *#.*$`)
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
	_, _, err := firstDocument(reTabComment.ReplaceAll(reComment.ReplaceAll(text, nil), []byte("${1}x,")))
	if err == nil || !strings.Contains(err.Error(), "cannot start any token") &&
		!strings.Contains(err.Error(), "tab character that violates") {
		return
	}
	line, _ := position(text, at[0])
	p.place(p.err(ErrSyntax, nil, "not valid YAML: a comment is indented with a tab"), line, bytes.IndexByte(text[at[0]:], '\t')+1).
		hint("use spaces")
}

// lineHints tell mistakes by the looks of a line and by what the reader says of it.
// The place is the first group of the pattern.
var lineHints = []struct {
	is       *lazyregexp.Regexp
	cause    string // in what the reader says; empty: anything
	distance int    // from the line that it names; anywhere: also beside it
	why      string // in the reader's stead; empty: what it says
	hint     string // %s: the group
}{
	{lazyregexp.New(`^()@["']\s*$`), "", anywhere, "", "this is PowerShell's quote around a text: remove the line, and the one at the end"},
	{reDirective, "", anywhere, "", templateHint},
	{lazyregexp.New(`\{\{|\$\{`), "", anywhere, "", variableHint},
	{lazyregexp.New(`^ *(\t)`), "", anywhere, "a tab is used for indentation", "use spaces"},
	{lazyregexp.New(`^.*?([\x{a0}\x{2000}-\x{200f}\x{3000}\x{feff}])`), "", anywhere, "", "this looks like a space and is another character: write a space"},
	{lazyregexp.New("(?:^|[:\\-] +)([@`%*])"), "", anywhere, "", "put quotes around a text that begins with %s"},
	{lazyregexp.New(`"`), "unknown escape", anywhere, "", "use single quotes around a Windows path"},
	{lazyregexp.New(`^[^'"#]*: +[^'"#]*?(: )`), "", anywhere, "", "put quotes around a text that holds a colon and a space"},
	{lazyregexp.New(`^[ -]*["']?[A-Za-z_]+["']?:(["'\w{\[<$])`), "", anywhere, "a colon has no space behind it", "put a space after the colon"},
	{lazyregexp.New(`^ *(?:- +)?[\w.-]+\s*$`), "mapping values", -1, noColon, "put a colon at the end of this line, before what is indented below it"},
	{lazyregexp.New(`^ *(?:- +)?[\w.-]+\s*$`), "could not find expected ':'", 0, noColon, "put a colon at the end of this line"},
	{lazyregexp.New(`^ *(?:- +)?[A-Za-z_]+( )`), "mapping values", -1, noColon, "put a colon behind the first word"},
	{lazyregexp.New(`^ *(?:- +)?[A-Za-z_]+( )`), "could not find expected ':'", 0, noColon, "put a colon behind the first word"},
}

const (
	anywhere = 9
	noColon  = "a key has no colon behind it"
)

var (
	reDirective   = lazyregexp.New(`\{%|%\{|<%`)
	reSurrogate   = lazyregexp.New(`(\\u[dD][89a-fA-F])`)
	reConflict    = lazyregexp.New(`^()(?:<{7}|={7}|>{7})(?: |\r?$)`)
	reNoDash      = lazyregexp.New(`^ *-(["']?[A-Za-z_]+["']? *:(?: |\r?$))`)
	reOpenBracket = lazyregexp.New(`^[^"'#\[{]*(?:: +|- +)([\[{])[^\]}]*$`)
	reOpenQuote   = lazyregexp.New(`^(?:[^"'#]*(?:: +|- +|[\[{,] *)| *)("(?:[^"\\]|\\.)*|'[^']*)$`)
)

// syntaxHint looks at the line named by the reader, and at those around it.
func (p *parser) syntaxHint(pr *Problem, msg string, lines []string) {
	switch {
	case p.placed(pr, reConflict, lines, 1):
		pr.Why = notYAML + "a merge conflict is left in the file"
		pr.hint("keep one of the two versions and remove the marks")
	case p.placed(pr, reNoDash, lines, max(1, pr.Line-1)):
		pr.Why = notYAML + "a dash has no space behind it"
		pr.hint("put a space after the dash")
	case p.indentHint(pr, msg, lines), p.lineHint(pr, msg, lines):
	case p.placed(pr, reOpenQuote, lines, 1):
		pr.Why = notYAML + "a quote is not closed"
		pr.hint("close it on this line, or put quotes of the other kind around the text")
	case strings.Contains(pr.Why, "a bracket") && p.placed(pr, reOpenBracket, lines, 1):
		pr.hint("close it, or put quotes around the text")
	default:
		pr.hint("check the indentation of this line and of the one before")
	}
}

// placed puts the problem where the first line from a number on fits a pattern.
func (p *parser) placed(pr *Problem, is *lazyregexp.Regexp, lines []string, from int) bool {
	for n := from; n <= len(lines); n++ {
		if at := is.FindStringSubmatchIndex(lines[n-1]); at != nil {
			p.place(pr, n, utf8.RuneCountInString(lines[n-1][:at[2]])+1)
			return true
		}
	}
	return false
}

// beside returns the line at, before or behind line n that says something; zero:
// none does.
func beside(lines []string, n, distance int) int {
	for n += distance; n >= 1 && n <= len(lines); n += distance {
		if text := strings.Trim(lines[n-1], " \r"); distance == 0 || text != "" && text[0] != '#' {
			return n
		}
	}
	return 0
}

func (p *parser) lineHint(pr *Problem, msg string, lines []string) bool {
	for _, distance := range []int{0, 1, -1} {
		n := beside(lines, pr.Line, distance)
		if n == 0 {
			continue
		}
		l := lines[n-1]
		for _, h := range lineHints {
			at := h.is.FindStringSubmatchIndex(l)
			if at == nil || !strings.Contains(msg, h.cause) || h.distance != anywhere && h.distance != distance {
				continue
			}
			group := ""
			pr.Line = n
			if len(at) > 2 {
				group = l[at[2]:at[3]]
				pr.Col = utf8.RuneCountInString(l[:at[2]]) + 1
			}
			if h.why != "" {
				pr.Why = notYAML + h.why
			}
			pr.hint(strings.ReplaceAll(h.hint, "%s", group))
			return true
		}
	}
	return false
}
