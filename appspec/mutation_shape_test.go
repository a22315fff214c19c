package appspec

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	wrongValues   = []string{"", "true", "12", "-1", "1.5", "''", "\"a", "'a", "[", "{", "*a", "@x", "a: b", "- a", "|", "{{x}}"}
	wrongSections = []string{"word", "true", "12", "[]", "{}", "[word]", "[[a]]", "''", "\"a", "[", "{"}
)

// shapeMutants breaks the shape of a file rather than a word in it: lines and blocks
// that are gone, moved or twice, marks that are missing, values of another kind.
func shapeMutants(text string) (out []mutant) {
	all := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	all[len(all)-1] += "\n"
	for i, l := range all {
		add := func(what string, line int, parts ...[]string) {
			out = append(out, mutant{what: what, text: strings.Join(slices.Concat(all[:i], slices.Concat(parts...)), ""), line: line})
		}
		rest, behind := skipBlock(all, i), all[i+1:]
		block := behind[:len(behind)-len(rest)]
		start := depth(l)
		key, value, ok := strings.Cut(l[start:], ":")
		add("line gone", i+1, behind)
		add("block gone", i+1, rest)
		if !ok {
			continue
		}
		with := func(what, line string) { add(what, i+1, []string{line}, behind) }
		with("no colon", l[:start]+key+value)
		with("in capitals", l[:start]+strings.ToUpper(key)+":"+value)
		with("a tab", "\t"+strings.TrimLeft(l, " "))
		with("dedented", strings.TrimPrefix(l, "  "))
		with("a quote", l[:start]+"\""+key+":"+value)
		if strings.Contains(l[:start], "- ") {
			with("no dash", strings.Replace(l, "- ", "  ", 1))
			with("no space after the dash", strings.Replace(l, "- ", "-", 1))
		}
		if strings.TrimSpace(value) != "" {
			with("no space after the colon", l[:start]+key+":"+strings.TrimLeft(value, " "))
			for _, v := range wrongValues {
				with("the value "+v, l[:start]+key+": "+v+"\n")
			}
			continue
		}
		for _, v := range wrongSections {
			with("above the block "+v, l[:start]+key+": "+v+"\n")
			add("for the block "+v, i+1, []string{l[:start] + key + ": " + v + "\n"}, rest)
		}
		var dedented []string
		for _, b := range block {
			dedented = append(dedented, strings.TrimPrefix(b, "  "))
		}
		add("block dedented", i+1, []string{l}, dedented, rest)
		add("block twice", i+2+len(block), []string{l}, block, []string{l}, block, rest)
	}
	return out
}

// TestShapeMutations breaks the shape of the valid files, published ones too. No
// mistake brings more than two problems in its train. The place is that of the
// mistake or next to it, but for a few where a line is missing and what stands around
// the gap is sound: there the first line that no longer fits is named.
func TestShapeMutations(t *testing.T) {
	files := []string{fullExample, lambdaText(okFunction, "Hooks:\n  - AfterAllowTraffic: smoke\n"),
		ecsText(okService+okNetwork+"CapacityProviderStrategy:\n  - CapacityProvider: FARGATE\n    Weight: 2\n", "Hooks:\n  - BeforeInstall: check\n")}
	for i, f := range corpus(t) { // a part of them, for there are some 45,000 mutants of all
		if i%5 == 0 && !raceEnabled && len(f.codes) == 0 && !strings.ContainsAny(string(f.text), "{[#\r\t") {
			files = append(files, string(f.text))
		}
	}
	total, elsewhere := 0, 0
	for _, text := range files {
		for _, m := range shapeMutants(text) {
			total++
			_, warnings, err := Parse("m", []byte(m.text), Options{})
			problems := Merge(problemsOf(t, err), warnings)
			require.LessOrEqual(t, len(problems), 3, "%s in line %d\n%s\n%s", m.what, m.line, lines(problems), numberLines(m.text))
			if len(problems) > 0 && !slices.ContainsFunc(problems, func(p *Problem) bool { return p.Line-m.line >= -1 && p.Line-m.line <= 1 }) {
				elsewhere++
			}
		}
	}
	t.Logf("%d mutants, %d with a problem elsewhere only", total, elsewhere)
	require.LessOrEqual(t, elsewhere*50, total)
}
