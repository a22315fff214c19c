package appspec

import "strings"

// indentHint finds the line whose indentation fits none of the lines above it,
// which is what the YAML reader stumbles over most. It names the beginning of the
// whole list or mapping instead.
func (p *parser) indentHint(pr *Problem, lines []string) bool {
	if !strings.Contains(pr.Why, "did not find expected '-' indicator") && !strings.Contains(pr.Why, "did not find expected key") {
		return false
	}
	n, want := misfit(lines)
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
	for i, l := range lines {
		l = strings.TrimRight(l, " \r")
		at := indentOf(l)
		if at == len(l) || l[at] == '#' {
			continue
		}
		if strings.ContainsAny(l, "{}[]|>\"'\t") {
			columns = columns[:0] // text may go on in the next lines: begin anew
			continue
		}
		for len(columns) > 0 && columns[len(columns)-1] > at {
			if columns = columns[:len(columns)-1]; len(columns) > 0 && columns[len(columns)-1] < at {
				return i + 1, itoa(columns[len(columns)-1])
			}
		}
		columns = push(columns, at)
		for strings.HasPrefix(l[at:], "- ") {
			at += 2 + indentOf(l[at+2:])
			columns = push(columns, at)
		}
	}
	return 0, ""
}

func push(columns []int, at int) []int {
	if len(columns) > 0 && columns[len(columns)-1] == at {
		return columns
	}
	return append(columns, at)
}

func indentOf(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
