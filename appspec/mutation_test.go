package appspec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutant is a valid file with one mistake in it.
type mutant struct {
	what string
	text string
	line int // of the mistake
	next int // also right: the line behind it, or the entry's first; zero: none
	over int // also right: the line of the key above; zero: none
}

// mutants makes one mistake of each kind at each key.
func mutants(text string) (out []mutant) {
	all := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	all[len(all)-1] += "\n"
	for i, l := range all {
		start := len(l) - len(strings.TrimLeft(l, " -"))
		key, rest, ok := strings.Cut(l[start:], ":")
		if !ok {
			continue
		}
		n := i + 1
		with := func(lines ...string) string { return strings.Join(slices.Concat(all[:i], lines, all[i+1:]), "") }
		parent := parentLine(all, i)
		value := strings.TrimSpace(rest)
		out = append(out, mutant{"misspelt " + key, with(l[:start] + misspell(key) + ":" + rest), n, parent, 0})
		if value != "" {
			if !strings.Contains(l[:start], "-") {
				out = append(out, mutant{"removed " + key, with(), parent, n, overLine(all, i)})
			}
			out = append(out,
				mutant{"a list as " + key, with(l[:start] + key + ": [{a: b}]\n"), n, 0, 0},
				mutant{"a mapping as " + key, with(l[:start] + key + ": {a: b}\n"), n, 0, 0},
				mutant{"duplicated " + key, with(l, strings.Repeat(" ", start)+l[start:]), n + 1, 0, 0},
				mutant{"deeper " + key, with(strings.Repeat(" ", 1) + l), n, n + 1, 0})
		} else {
			out = append(out, mutant{"a word as " + key, strings.Join(slices.Concat(all[:i], []string{l[:start] + key + ": word\n"}, skipBlock(all, i)), ""), n, 0, 0})
		}
	}
	return out
}

// misspell swaps two letters in the middle, which no other key looks like.
func misspell(key string) string {
	if len(key) < 2 {
		return key + "x"
	}
	i := len(key) / 2
	swapped := key[:i-1] + string(key[i]) + string(key[i-1]) + key[i+1:]
	if swapped == key {
		return key + "x"
	}
	return swapped
}

func depth(l string) int { return len(l) - len(strings.TrimLeft(l, " -")) }

// parentLine is the line at which something missing is reported: that of the
// entry it belongs to, which begins with its first key.
func parentLine(all []string, i int) int {
	first := i
	for j := i - 1; j >= 0; j-- {
		switch {
		case depth(all[j]) == depth(all[i]):
			first = j
			if strings.HasPrefix(strings.TrimLeft(all[j], " "), "-") {
				return j + 1
			}
		case depth(all[j]) < depth(all[i]):
			if first == i {
				return i + 1 // the next key moves up
			}
			return first + 1
		}
	}
	return 1
}

// overLine is the line of the key that line i belongs to.
func overLine(all []string, i int) int {
	for j := i - 1; j >= 0; j-- {
		if depth(all[j]) < depth(all[i]) {
			return j + 1
		}
	}
	return 0
}

// skipBlock leaves out what is indented below line i.
func skipBlock(all []string, i int) []string {
	j := i + 1
	for j < len(all) && (depth(all[j]) > depth(all[i]) || strings.HasPrefix(strings.TrimLeft(all[j], " "), "-") && strings.Index(all[j], "-") >= depth(all[i])) {
		j++
	}
	return all[j:]
}

// harmless are the mutations that make no mistake: what may be left out is, and the
// name of a resource means nothing.
func harmless(m mutant) bool {
	for _, optional := range []string{"removed timeout", "removed runas", "removed owner", "removed group", "removed mode", "removed pattern",
		"removed PlatformVersion", "removed file_exists_behavior", "removed Base", "misspelt TargetService", "misspelt shop"} {
		if m.what == optional {
			return true
		}
	}
	return false
}

// TestMutations makes one mistake at a time in valid files. Each is found at its
// place, and brings no more than two follow-up problems.
func TestMutations(t *testing.T) {
	files := []string{fullExample,
		ecsText(okService+"PlatformVersion: 1.4.0\n"+okNetwork+"CapacityProviderStrategy:\n  - CapacityProvider: FARGATE\n    Base: 1\n    Weight: 2\n",
			"Hooks:\n  - BeforeInstall: check\n  - AfterAllowTraffic: smoke\n"),
		lambdaText(okFunction, "Hooks:\n  - AfterAllowTraffic: smoke\n")}
	total, harmlessCount := 0, 0
	for i, text := range files {
		clean(t, text)
		for _, m := range mutants(text) {
			total++
			_, warnings, err := Parse("m", []byte(m.text), Options{})
			problems := Merge(problemsOf(t, err), warnings)
			if len(problems) == 0 {
				if harmless(m) || strings.HasPrefix(m.what, "deeper") && sameMeaning(t, text, m.text) {
					harmlessCount++
					continue
				}
				t.Errorf("file %d: %s: nothing found\n%s", i, m.what, m.text)
				continue
			}
			if len(problems) > 3 {
				t.Errorf("file %d: %s: %d problems\n%s", i, m.what, len(problems), lines(problems))
			}
			if !slices.ContainsFunc(problems, func(p *Problem) bool { return p.Line == m.line || p.Line > 0 && (p.Line == m.next || p.Line == m.over) }) {
				t.Errorf("file %d: %s: line %d or %d expected\n%s\n%s", i, m.what, m.line, m.next, lines(problems), numberLines(m.text))
			}
		}
	}
	t.Logf("%d mutants, %d of them harmless", total, harmlessCount)
	require.Greater(t, total, 300)
}

// TestMutationsOfTheCorpus does the same with the published files in which nothing
// is found. They are written in many ways, so that a few places are judged wrongly
// by the test itself.
func TestMutationsOfTheCorpus(t *testing.T) {
	total, elsewhere, cascades := 0, 0, 0
	for _, f := range corpus(t) {
		text := string(f.text)
		if len(f.codes) > 0 || strings.ContainsAny(text, "{[#\r\t") {
			continue
		}
		for _, m := range mutants(text) {
			total++
			_, warnings, err := Parse("m", []byte(m.text), Options{})
			problems := Merge(problemsOf(t, err), warnings)
			if len(problems) > 3 {
				cascades++
				t.Logf("%s: %s: %d problems\n%s\n%s", f.File, m.what, len(problems), lines(problems), numberLines(m.text))
			}
			if len(problems) > 0 && !slices.ContainsFunc(problems, func(p *Problem) bool {
				return p.Line == m.line || p.Line > 0 && (p.Line == m.next || p.Line == m.over)
			}) {
				elsewhere++
				t.Logf("%s: %s: line %d or %d expected\n%s\n%s", f.File, m.what, m.line, m.next, lines(problems), numberLines(m.text))
			}
		}
	}
	t.Logf("%d mutants, %d with a problem elsewhere only, %d cascades", total, elsewhere, cascades)
	require.LessOrEqual(t, elsewhere*200, total)
	require.Zero(t, cascades)
}

// sameMeaning tells whether a mutation left the Spec as it was.
func sameMeaning(t *testing.T, a, b string) bool {
	x, _, _ := check(t, a, Options{})
	y, _, _ := check(t, b, Options{})
	return bareJSON(t, x) == bareJSON(t, y)
}

func numberLines(text string) string {
	var b strings.Builder
	for i, l := range strings.SplitAfter(text, "\n") {
		fmt.Fprintf(&b, "%3d %s", i+1, l)
	}
	return b.String()
}
