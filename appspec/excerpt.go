package appspec

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExcerpt is how many characters of a line an excerpt shows.
const maxExcerpt = 100

// Excerpt shows the line of data that the problem is about, with a caret below
// the place; data is the text that was parsed. It ends in a line break. Empty: the
// problem has no line, or data has no such line. Control characters are shown as
// blanks, and of long lines only the part around the place is.
func (p *Problem) Excerpt(data []byte) string {
	if p.Line < 1 {
		return ""
	}
	text, ok := lineOf(bytes.TrimPrefix(data, []byte(bom)), p.Line)
	if !ok {
		return ""
	}
	line := []rune(strings.ToValidUTF8(string(text), string(utf8.RuneError)))
	number := itoa(p.Line)
	col := min(p.Col, len(line)+1)
	start, more := 0, ""
	if col > maxExcerpt*3/4 {
		start, more = col-maxExcerpt/2, "..."
	}
	end := min(len(line), start+maxExcerpt)
	var b strings.Builder
	b.WriteString("  " + number + " | " + more + strings.Map(visible, string(line[start:end])))
	if end < len(line) {
		b.WriteString("...")
	}
	b.WriteByte('\n')
	if col > 0 {
		pad := len(more) + wide(line[start:col-1])
		b.WriteString("  " + strings.Repeat(" ", len(number)) + " | " + strings.Repeat(" ", pad) + "^\n")
	}
	return b.String()
}

// lineOf cuts a line out of a text, counted as YAML does.
func lineOf(text []byte, n int) (line []byte, ok bool) {
	for ; n > 1; n-- {
		at := lineBreaks.FindIndex(text)
		if at == nil {
			return nil, false
		}
		text = text[at[1]:]
	}
	if at := lineBreaks.FindIndex(text); at != nil {
		text = text[:at[0]]
	}
	return text, true
}

// visible keeps the caret in place and the terminal safe.
func visible(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// wide counts the columns of text; East Asian characters take two.
func wide(text []rune) int {
	n := 0
	for _, r := range text {
		n++
		if unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r >= 0xff01 && r <= 0xff60 {
			n++
		}
	}
	return n
}
