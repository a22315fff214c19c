package appspec

import (
	"cmp"
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

// MaxProblems is how many problems one check reports at most; one more says how
// many were left out.
const MaxProblems = 50

// finish puts problems in file order, applies strictness and the limit.
func finish(problems []*Problem, strict bool) []*Problem {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	for _, p := range problems {
		if strict {
			p.Severity = Error
		}
	}
	return limit(problems)
}

// limit cuts a long list. The errors among what is cut must not be lost with it:
// the closing note is as severe as the worst of them.
func limit(problems []*Problem) []*Problem {
	if len(problems) <= MaxProblems {
		return problems
	}
	rest := problems[MaxProblems:]
	more := &Problem{File: rest[0].File, Line: rest[0].Line, Col: rest[0].Col, Severity: Warning,
		Code: ErrMore, Why: strconv.Itoa(len(rest)) + " more problems are not shown",
		Hint: "mend the ones above first"}
	for _, p := range rest {
		if p.Severity == Error {
			more.Severity = Error
		}
	}
	return append(slices.Clip(problems[:MaxProblems]), more)
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

// format writes one problem a line.
func format(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}
