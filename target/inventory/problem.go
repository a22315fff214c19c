package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/hashicorp/go-multierror"
	"gopkg.in/yaml.v3"
)

// Pos is a place in a file, counted from 1, columns in characters. Zero: the whole
// line, or the whole file.
type Pos struct{ Line, Col int }

// Problem is one finding about a file.
type Problem struct {
	File string
	Pos
	Path string // such as hosts.web-1.port; empty: the whole file
	Why  string // what was found, and what is right
}

// Error has the form that editors and terminals know: file:line:col: message.
func (p *Problem) Error() string {
	s := p.File
	for _, n := range []int{p.Line, p.Col} {
		if n == 0 {
			break
		}
		s += ":" + strconv.Itoa(n)
	}
	if s != "" {
		s += ": "
	}
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Why
}

// MaxProblems is how many problems are reported at once; another one says how many
// there are besides.
const MaxProblems = 50

// reader gathers what is wrong with one file.
type reader struct {
	file     string
	problems []*Problem
}

func (r *reader) say(at *yaml.Node, path, format string, args ...any) {
	p := &Problem{File: r.file, Path: path, Why: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Pos = place(at)
	}
	r.problems = append(r.problems, p)
}

func place(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// err is all problems, in the order of the file; nil: none.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	all := &multierror.Error{ErrorFormat: lines}
	for i, p := range r.problems {
		if i == MaxProblems {
			all.Errors = append(all.Errors, &Problem{File: r.file, Pos: p.Pos,
				Why: fmt.Sprintf("%d more problems are not shown; mend the ones above first", len(r.problems)-i)})
			break
		}
		all.Errors = append(all.Errors, p)
	}
	return all
}

// lines is one problem a line, for tools that jump to places.
func lines(errs []error) string {
	s := ""
	for i, err := range errs {
		if i > 0 {
			s += "\n"
		}
		s += err.Error()
	}
	return s
}

// found is a text of the file in a message, escaped and cut.
func found(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + "..."
	}
	return strconv.Quote(s)
}
