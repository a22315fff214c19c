package appspec

import (
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
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

// misfit returns the first line whose indentation fits none above it, with what to
// do; zero: all fit.
func misfit(lines []string) (line int, hint string) {
	var o outline
	for i, l := range lines {
		if line, hint = o.add(i+1, strings.TrimRight(l, " \r")); line > 0 {
			return line, hint
		}
	}
	return 0, ""
}

// outline is the stack of columns that the lists and mappings around a line stand in.
type outline struct {
	columns      []column
	full, closed bool // the last line has a value, so that no key may be deeper; or nothing
}

// column is where a list or a mapping stands, and the line that it begins in.
type column struct {
	at   int
	list bool
	line int
}

// add takes the next line.
func (o *outline) add(n int, l string) (line int, hint string) {
	at := indentOf(l)
	switch top := len(o.columns) - 1; {
	case at == len(l), l[at] == '#':
		return 0, ""
	case !selfContained(l):
		*o = outline{} // text may go on in the next lines: begin anew
		return 0, ""
	case top >= 0 && o.columns[top].at < at && (o.closed || o.full && reKeyed.MatchString(l)):
		return n, "the line above has a value already, so nothing can be indented below it: remove the value, or indent less"
	}
	dash := strings.HasPrefix(l[at:], "-")
	if line, hint = o.leave(n, at, dash); line > 0 {
		return line, hint
	}
	o.enter(column{at, dash, n})
	for strings.HasPrefix(l[at:], "- ") {
		at += 2 + indentOf(l[at+2:])
		o.enter(column{at, strings.HasPrefix(l[at:], "-"), n})
	}
	o.full, o.closed = reFull.MatchString(l), reClosed.MatchString(l)
	return 0, ""
}

// leave ends what is deeper than a line.
func (o *outline) leave(n, at int, dash bool) (line int, hint string) {
	kept := len(o.columns)
	for ; kept > 0; kept-- {
		if c := o.columns[kept-1]; c.at < at || c.at == at && (!c.list || dash) {
			break
		}
	}
	ended := o.columns[kept:]
	if len(ended) == 0 || kept == 0 || o.columns[kept-1].at == at {
		o.columns = o.columns[:kept]
		return 0, ""
	}
	if dash && !ended[0].list && !o.columns[kept-1].list {
		return ended[0].line, "the entry below begins with a dash, so that this one needs one, too"
	}
	return n, indentLike(o.columns[:kept], ended, dash)
}

// indentLike names the columns of the same kind on either side.
func indentLike(outer, inner []column, dash bool) string {
	var where []string
	same := func(c column) bool { return c.list == dash }
	if i := slices.IndexFunc(inner, same); i >= 0 {
		where = append(where, itoa(inner[i].at))
	}
	slices.Reverse(outer)
	if i := slices.IndexFunc(outer, same); i >= 0 {
		where = append(where, itoa(outer[i].at))
	}
	if len(where) == 0 {
		return "check the indentation of this line and of the one before"
	}
	return "indent this line like one of those above it, by " + strings.Join(where, " or ") + " spaces"
}

func (o *outline) enter(c column) {
	if top := len(o.columns) - 1; top < 0 || o.columns[top].at != c.at || o.columns[top].list != c.list {
		o.columns = append(o.columns, c)
	}
}

var (
	reKeyed = lazyregexp.New(`^[ -]*[\w"']+ *:(?: |$)`)
	// reClosed is a value that ends in its line: in quotes or brackets.
	reClosed = lazyregexp.New(`^[ -]*[\w"']+ *: +(?:"[^"]*"|'[^']*'|\[.*\]|\{.*\})$`)
	reFull   = lazyregexp.New(`^[ -]*[\w"']+ *: +[^ &!#]`)
)

// selfContained reports whether quotes and brackets that a line opens end in it, and it
// begins no block of text.
func selfContained(l string) bool {
	return strings.Count(l, "\"")%2 == 0 && strings.Count(l, "'")%2 == 0 &&
		strings.Count(l, "[")+strings.Count(l, "{") == strings.Count(l, "]")+strings.Count(l, "}") &&
		!strings.ContainsAny(l, "|>\t")
}

func indentOf(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
