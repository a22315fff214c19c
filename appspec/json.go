package appspec

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// jsonFault is the first place where a text is not JSON.
type jsonFault struct {
	line, col int
	why, hint string
	template  string // what to do about a template's variable or directive there; empty: none is
}

var (
	reJSON         = lazyregexp.New(`^\s*\{\s*(?:"|\}|/|$)`)
	reTemplateMark = lazyregexp.New(`^(?:\{\{|\$\{|\{%|%\{|<%|<\w|\$\w)`)
)

// faultOfJSON finds the first mistake in a text that is meant as JSON; nil: there
// is none, or it is YAML. It knows the place where the YAML reader only knows the
// line that all of it begins in.
func (p *parser) faultOfJSON(text []byte) *jsonFault {
	named := strings.HasSuffix(strings.ToLower(p.file), ".json") && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
	if !named && (!reJSON.Match(text) || bytes.ContainsRune(text, '#')) {
		return nil
	}
	var bad *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); !errors.As(err, &bad) {
		return nil
	}
	offset := max(0, min(int(bad.Offset), len(text))-1)
	f := &jsonFault{why: bad.Error()}
	switch mark := string(reTemplateMark.Find(text[offset:])); {
	case strings.Contains(mark, "%"):
		f.template = templateHint
	case mark != "":
		f.template = variableHint
	}
	f.line, f.col = position(text, offset)
	for _, w := range jsonWords {
		if strings.Contains(f.why, w.cause) {
			f.why, f.hint = w.why, w.hint
			break
		}
	}
	return f
}

// jsonWords put what the JSON reader says into words for beginners.
var jsonWords = []struct{ cause, why, hint string }{
	{"after object key:value pair", "a comma or a closing brace is missing before this", ""},
	{"after object key", "a colon is missing before this", ""},
	{"after array element", "a comma or a closing bracket is missing before this", ""},
	{"beginning of object key string", "a key in double quotes has to stand here", "remove the comma before it, or the comment"},
	{"beginning of value", "a value has to stand here", "put double quotes around text, and remove a comma or comment"},
	{"escape", "a backslash stands before what it cannot escape", `write \\ for each backslash`},
	{"in string literal", "the line ends inside of a text", "close the double quotes"},
	{"after top-level value", "text follows after the end of the object", "remove it"},
	{"unexpected end", "the file ends before every bracket and quote is closed", ""},
}

// strictJSON warns of what YAML takes and JSON does not, such as a comma at the end
// of a list, in a file that calls itself JSON.
func (p *parser) strictJSON(text []byte) {
	if !strings.HasSuffix(strings.ToLower(p.file), ".json") {
		return
	}
	if f := p.faultOfJSON(text); f != nil && f.template == "" {
		p.place(p.warn(ErrSyntax, nil, "valid as YAML, but not as JSON: "+f.why), f.line, f.col).hint(f.hint)
	}
}
