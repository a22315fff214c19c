package appspec

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
)

// Severity says whether a problem stops the deployment.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the AppSpec cannot be used
	Warning Severity = "warning" // usable, but something is ignored or misread
)

// Problem is one finding about an AppSpec.
type Problem struct {
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"` // from 1; zero: about the whole file
	Col      int      `json:"col,omitempty"`  // from 1, in characters; zero: about the whole line
	Path     string   `json:"path,omitempty"` // such as hooks.AfterInstall[0].timeout
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	Why      string   `json:"why"`               // what is wrong
	Found    string   `json:"found,omitempty"`   // escaped and cut
	Allowed  string   `json:"allowed,omitempty"` // what would be right
	Nearest  string   `json:"nearest,omitempty"` // the known name most like what was found
	Hint     string   `json:"hint,omitempty"`    // what to do
}

// Error gives the problem in one line, in the form that editors and terminals
// know: file:line:col: severity: message.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
	}
	for _, n := range []int{p.Line, p.Col} {
		if n == 0 {
			break
		}
		b.WriteString(strconv.Itoa(n))
		b.WriteByte(':')
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(string(p.Severity) + ": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Why)
	for _, part := range []struct{ lead, text string }{
		{": found ", p.Found}, {"; want ", p.Allowed}, {"; did you mean ", p.Nearest}, {"; ", p.Hint},
	} {
		if part.text != "" {
			b.WriteString(part.lead + part.text)
		}
	}
	if p.Nearest != "" && p.Hint == "" {
		b.WriteByte('?')
	}
	return b.String()
}

// Is makes errors.Is(err, appspec.ErrTimeout) work.
func (p *Problem) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == p.Code
}

func (p *Problem) found(text string) *Problem   { p.Found = quote(text); return p }
func (p *Problem) allowed(text string) *Problem { p.Allowed = text; return p }
func (p *Problem) hint(text string) *Problem    { p.Hint = text; return p }
func (p *Problem) nearest(text string) *Problem { p.Nearest = text; return p }

func plural(n int64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

func itoa(n int) string { return strconv.Itoa(n) }

// maxFound bounds, in characters, what a message repeats of its input.
const maxFound = 64

// quote escapes text so that it can neither break the line nor move the cursor.
func quote(text string) string {
	if utf8.RuneCountInString(text) <= maxFound {
		return strconv.Quote(text)
	}
	cut := 0
	for i := range text {
		if cut == maxFound {
			return strconv.Quote(text[:i]) + "..."
		}
		cut++
	}
	return strconv.Quote(text)
}

// MaxProblems is how many errors, and how many warnings, one check reports at
// most; one more of each says how many were left out.
const MaxProblems = 50

// finish puts problems in file order, applies strictness and the limit.
func finish(problems []*Problem, strict bool) []*Problem {
	sortProblems(problems)
	for _, p := range problems {
		if strict {
			p.Severity = Error
		}
	}
	return limit(problems)
}

func sortProblems(problems []*Problem) {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// limit keeps the first errors and the first warnings, so that many of the one
// hide none of the other, and notes how many of each were cut.
func limit(problems []*Problem) []*Problem {
	if len(problems) <= MaxProblems {
		return problems
	}
	var out []*Problem
	seen := map[Severity]int{}
	more := map[Severity]*Problem{}
	for _, p := range problems {
		n := seen[p.Severity] + 1
		seen[p.Severity] = n
		switch {
		case n <= MaxProblems:
			out = append(out, p)
		case n == MaxProblems+1:
			more[p.Severity] = &Problem{File: p.File, Line: p.Line, Col: p.Col, Severity: p.Severity,
				Code: ErrMore, Hint: "mend the ones above first"}
			out = append(out, more[p.Severity])
		}
	}
	for sev, m := range more {
		m.Why = strconv.Itoa(seen[sev]-MaxProblems) + " more are not shown"
	}
	return out
}

// split separates warnings from errors; err is nil or a *multierror.Error.
func split(problems []*Problem) (warnings []*Problem, err error) {
	var errs *multierror.Error
	for _, p := range problems {
		if p.Severity == Warning {
			warnings = append(warnings, p)
			continue
		}
		if errs == nil {
			errs = &multierror.Error{ErrorFormat: format}
		}
		errs.Errors = append(errs.Errors, p)
	}
	return warnings, errs.ErrorOrNil()
}

// Problems takes the problems out of the error of [Parse], [Render] and their like,
// in file order; nil: there are none in it.
func Problems(err error) []*Problem {
	var many *multierror.Error
	if one, ok := errors.AsType[*Problem](err); ok && !errors.As(err, &many) {
		return []*Problem{one}
	}
	if many == nil {
		return nil
	}
	out := make([]*Problem, 0, len(many.Errors))
	for _, e := range many.Errors {
		if p, ok := errors.AsType[*Problem](e); ok {
			out = append(out, p)
		}
	}
	return out
}

// Merge joins problems of one file from several checks, in file order.
func Merge(lists ...[]*Problem) []*Problem {
	out := slices.Concat(lists...)
	sortProblems(out)
	return out
}

// format writes one problem a line.
func format(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}
