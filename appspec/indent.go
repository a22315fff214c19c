package appspec

import (
	"regexp"
	"strings"
)

// indentHint finds the line whose indentation fits none of the lines above it,
// which is what the YAML reader stumbles over most. It names the beginning of the
// whole list or mapping instead.
func (p *parser) indentHint(pr *Problem, msg string, lines []string) bool {
	n, hint := 0, ""
	switch {
	case strings.Contains(msg, "mapping values are not allowed"):
		if n, hint = misfit(lines); n != pr.Line || n < 2 {
			return false
		}
		if above := beside(lines, n, -1); above == 0 || indentOf(lines[n-1]) <= indentOf(lines[above-1]) {
			return false
		}
	case strings.Contains(msg, "did not find expected '-' indicator"), strings.Contains(msg, "did not find expected key"):
		n, hint = misfit(lines)
	}
	if n == 0 {
		return false
	}
	p.place(pr, n, indentOf(lines[n-1])+1)
	pr.hint(hint)
	return true
}

// column is where a list or a mapping stands, and the line that it begins in.
type column struct {
	at   int
	list bool
	line int
}

// misfit walks the lines as a stack of columns and returns the first line that fits
// none, with what to do; zero: all fit.
func misfit(lines []string) (line int, hint string) {
	var columns []column
	full, closed := false, false // the line above has a value, so that no key may be deeper; or nothing
	for i, l := range lines {
		l = strings.TrimRight(l, " \r")
		at := indentOf(l)
		if at == len(l) || l[at] == '#' {
			continue
		}
		if !selfContained(l) {
			columns, full, closed = columns[:0], false, false // text may go on in the next lines: begin anew
			continue
		}
		top := len(columns) - 1
		if top >= 0 && columns[top].at < at && (closed || full && reKeyed.MatchString(l)) {
			return i + 1, "the line above has a value already, so nothing can be indented below it: remove the value, or indent less"
		}
		dash := strings.HasPrefix(l[at:], "-")
		for ; top >= 0 && (columns[top].at > at || columns[top].at == at && columns[top].list && !dash); top-- {
			last := columns[top]
			if columns = columns[:top]; top == 0 || columns[top-1].at >= at {
				continue
			}
			if dash && !last.list && !columns[top-1].list {
				return last.line, "the entry below begins with a dash, so that this one needs one, too"
			}
			return i + 1, indentLike(columns[top-1].at)
		}
		columns = push(columns, column{at, dash, i + 1})
		for strings.HasPrefix(l[at:], "- ") {
			at += 2 + indentOf(l[at+2:])
			columns = push(columns, column{at, strings.HasPrefix(l[at:], "-"), i + 1})
		}
		full, closed = reFull.MatchString(l), reClosed.MatchString(l)
	}
	return 0, ""
}

func indentLike(at int) string {
	if at == 0 {
		return "do not indent this line, or look whether a line is missing above it"
	}
	return "indent this line like one of those above it, by " + itoa(at) + " spaces"
}

var (
	reKeyed = regexp.MustCompile(`^[ -]*[\w"']+ *:(?: |$)`)
	// reClosed is a value that ends in its line: in quotes or brackets.
	reClosed = regexp.MustCompile(`^[ -]*[\w"']+ *: +(?:"[^"]*"|'[^']*'|\[.*\]|\{.*\})$`)
	reFull   = regexp.MustCompile(`^[ -]*[\w"']+ *: +[^ &!#]`)
)

// selfContained reports whether quotes and brackets that a line opens end in it, and it
// begins no block of text.
func selfContained(l string) bool {
	return strings.Count(l, "\"")%2 == 0 && strings.Count(l, "'")%2 == 0 &&
		strings.Count(l, "[")+strings.Count(l, "{") == strings.Count(l, "]")+strings.Count(l, "}") &&
		!strings.ContainsAny(l, "|>\t")
}

func push(columns []column, c column) []column {
	if len(columns) > 0 && columns[len(columns)-1].at == c.at && columns[len(columns)-1].list == c.list {
		return columns
	}
	return append(columns, c)
}

func indentOf(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
