package appspec

import (
	"bytes"
	"fmt"
	"unicode/utf8"
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
		if why := unprintable(r, size, data, i); why != "" {
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
func unprintable(r rune, size int, data []byte, offset int) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "the file is not UTF-8, it looks like UTF-16"
	case r == utf8.RuneError && size == 1:
		return "the file is not UTF-8, it may be Latin-1 or Windows-1252"
	case r == 0:
		return "the file holds a NUL byte, it may be UTF-16 or binary"
	case r < ' ' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff:
		return "the file holds a control character"
	case r == '\ufeff' && offset > 0 && data[offset-1] == '\n':
		return "a byte order mark stands inside of the file, it may be joined from several"
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
		if line++; line > maxLines {
			p.place(p.err(ErrTooLarge, nil, "the file has too many lines"), line, 1).
				allowed(fmt.Sprintf("at most %d", maxLines))
			return false
		}
		if len(l) > maxLine {
			p.place(p.err(ErrTooLarge, nil, fmt.Sprintf("the line has %d bytes", len(l))), line, 1).
				allowed(fmt.Sprintf("at most %d bytes in a line", maxLine))
			return false
		}
		indent, dashes := 0, 0
		for ; indent < len(l) && (l[indent] == ' ' || l[indent] == '-' || l[indent] == '?'); indent++ {
			if l[indent] == ' ' && indent > 0 && l[indent-1] == '-' {
				dashes++
			}
		}
		if dashes > maxDepth {
			p.place(p.err(ErrTooDeep, nil, "too many lists inside each other"), line, 1).allowed(fmt.Sprintf("at most %d levels", maxDepth))
			return false
		}
		if indent > maxIndent {
			p.place(p.err(ErrTooDeep, nil, fmt.Sprintf("the line is indented by %d columns", indent)), line, 1).
				allowed(fmt.Sprintf("at most %d", maxIndent))
			return false
		}
	}
	return true
}
