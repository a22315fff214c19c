package appspec

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"
)

// head begins an AppSpec that is right so far.
const head = "version: 0.0\nos: linux\n"

// problemsOf takes the problems out of the error of Parse, which holds nothing else.
func problemsOf(t testing.TB, err error) []*Problem {
	t.Helper()
	if err == nil {
		return nil
	}
	var many *multierror.Error
	require.True(t, errors.As(err, &many), "%T is not a *multierror.Error", err)
	out := make([]*Problem, len(many.Errors))
	for i, e := range many.Errors {
		p, ok := e.(*Problem)
		require.True(t, ok, "%T is not a *Problem", e)
		require.Equal(t, Error, p.Severity)
		out[i] = p
	}
	return out
}

// check parses text and returns errors and warnings.
func check(t testing.TB, text string, opt Options) (spec *Spec, errs, warnings []*Problem) {
	t.Helper()
	spec, warnings, err := Parse("appspec.yml", []byte(text), opt)
	errs = problemsOf(t, err)
	require.Equal(t, err == nil, spec != nil)
	for _, w := range warnings {
		require.Equal(t, Warning, w.Severity)
	}
	return spec, errs, warnings
}

// with returns the problem of a code, or fails.
func with(t testing.TB, problems []*Problem, code Code) *Problem {
	t.Helper()
	i := slices.IndexFunc(problems, func(p *Problem) bool { return p.Code == code })
	require.GreaterOrEqual(t, i, 0, "no %s among %v", code, lines(problems))
	return problems[i]
}

func lines(problems []*Problem) string {
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = p.Error()
	}
	return strings.Join(out, "\n")
}

// refused expects exactly one error and returns it.
func refused(t testing.TB, text string, code Code) *Problem {
	t.Helper()
	_, errs, _ := check(t, text, Options{})
	require.Len(t, errs, 1, lines(errs))
	return with(t, errs, code)
}

// warned expects no error and one warning, which is an error under Strict.
func warned(t testing.TB, text string, code Code) (*Spec, *Problem) {
	t.Helper()
	spec, errs, warnings := check(t, text, Options{})
	require.Empty(t, errs, lines(errs))
	_, strict, rest := check(t, text, Options{Strict: true})
	require.Empty(t, rest)
	require.Len(t, strict, len(warnings))
	return spec, with(t, warnings, code)
}

// clean expects neither errors nor warnings.
func clean(t testing.TB, text string) *Spec {
	t.Helper()
	spec, errs, warnings := check(t, text, Options{})
	require.Empty(t, errs, lines(errs))
	require.Empty(t, warnings, lines(warnings))
	return spec
}
