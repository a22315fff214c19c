package appspec

import (
	"regexp"
	"strings"
)

// indentHint finds the line whose indentation fits none of the lines above it,
// which is what the YAML reader stumbles over most. It names the beginning of the
// whole list or mapping instead.
func (p *parser) indentHint(pr *Problem, lines []string) bool {
	n, want := 0, ""
	switch {
	case strings.Contains(pr.Why, "mapping values are not allowed"):
		if n, _ = misfit(lines); n != pr.Line || n < 2 || indentOf(lines[n-1]) <= indentOf(lines[n-2]) {
			return false
		}
		pr.Col = indentOf(lines[n-1]) + 1
		pr.hint("the line above has a value already, so nothing can be indented below it: remove the value, or indent less")
		return true
	case strings.Contains(pr.Why, "did not find expected '-' indicator"), strings.Contains(pr.Why, "did not find expected key"):
		n, want = misfit(lines)
	}
	if n == 0 {
		return false
	}
	p.place(pr, n, indentOf(lines[n-1])+1)
	pr.hint("indent this line like one of those above it, by " + want + " blanks")
	return true
}

// misfit walks the lines as a stack of columns; zero: all fit.
func misfit(lines []string) (line int, want string) {
	var columns []int
	full := false // the line above has a value, so that nothing may be deeper
	for i, l := range lines {
		l = strings.TrimRight(l, " \r")
		at := indentOf(l)
		if at == len(l) || l[at] == '#' {
			continue
		}
		if !selfContained(l) {
			columns, full = columns[:0], false // text may go on in the next lines: begin anew
			continue
		}
		top := len(columns) - 1
		if full && top >= 0 && columns[top] < at && reKeyed.MatchString(l) {
			return i + 1, itoa(columns[top])
		}
		for ; top >= 0 && columns[top] > at; top-- {
			if columns = columns[:top]; top > 0 && columns[top-1] < at {
				return i + 1, itoa(columns[top-1])
			}
		}
		columns = push(columns, at)
		for strings.HasPrefix(l[at:], "- ") {
			at += 2 + indentOf(l[at+2:])
			columns = push(columns, at)
		}
		full = reFull.MatchString(l)
	}
	return 0, ""
}

var (
	reKeyed = regexp.MustCompile(`^[ -]*[\w"']+ *:(?: |$)`)
	reFull  = regexp.MustCompile(`^[ -]*[\w"']+ *: +[^ &!#]`)
)

// selfContained reports whether quotes and brackets that a line opens end in it, and it
// begins no block of text.
func selfContained(l string) bool {
	return strings.Count(l, "\"")%2 == 0 && strings.Count(l, "'")%2 == 0 &&
		strings.Count(l, "[")+strings.Count(l, "{") == strings.Count(l, "]")+strings.Count(l, "}") &&
		!strings.ContainsAny(l, "|>\t")
}

func push(columns []int, at int) []int {
	if len(columns) > 0 && columns[len(columns)-1] == at {
		return columns
	}
	return append(columns, at)
}

func indentOf(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
