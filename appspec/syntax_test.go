package appspec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What beginners get wrong in YAML, with the place and the words of the answer.
func TestMistakesInYAML(t *testing.T) {
	for text, want := range map[string]struct {
		line, col int
		message   string
	}{
		"version 0.0\nos: linux\n":                                                {1, 8, "put a colon behind the first word"},
		head + "files\n  - source: a\n":                                           {3, 0, "put a colon at the end of this line"},
		head + "files:\n  -source: a\n   destination: /b\n":                       {4, 4, "put a space after the dash"},
		head + "files:\n  - source: a: b\n":                                       {4, 14, "put quotes around"},
		head + "files:\n  - source: \"a\n    destination: /b\nx:\n  - y: \"b\"\n": {4, 13, "a quote is not closed"},
		head + "files:\n  - source: 'a\n    destination: /b\n":                    {4, 13, "a quote is not closed"},
		head + "<<<<<<< HEAD\nfiles:\n=======\nhooks:\n>>>>>>> b\n":               {3, 1, "a merge conflict"},
		head + "files:\u00a0\n  - source: a\n    destination: /b\n":               {3, 7, "looks like a space"},
		head + "\t\nfiles: []\n":                                                  {3, 1, "a tab is used"},
		head + "files:\n  - source: a\n    destination: /b\n  hooks: {}\n":        {6, 3, "by 4 or 0 spaces"},
		"version:0.0\nos: linux\n":                                                {1, 9, "put a space after the colon"},
	} {
		p := refused(t, text, ErrSyntax)
		require.Equal(t, [2]int{want.line, want.col}, [2]int{p.Line, p.Col}, "%s\n%v", text, p)
		require.Contains(t, p.Error(), want.message)
	}
	require.Contains(t, refused(t, "#!/bin/sh\nset -e\n", ErrNotMapping).Hint, "shell script")
	require.Contains(t, refused(t, "<html><body>404: no</body></html>\n", ErrPlatform).Hint, "web page")
}

func TestCharactersThatLookLikeOthers(t *testing.T) {
	for text, hint := range map[string]string{"\u201cfiles\u201d: []\n": "quotes", "hooks\u00a0: {}\n": "space", "\u2013 a: b\n": "dash"} {
		_, p := warned(t, head+text, ErrUnknownField)
		require.Contains(t, p.Hint, hint, text)
	}
	require.Contains(t, refused(t, head+"hooks:\n  AfterInstall:\n    \u2013 location: a\n", ErrType).Hint, "dash")
}

// No message of the YAML reader is shown as it is, except what only bytes can cause
// that are refused before.
func TestReaderIsPutIntoWords(t *testing.T) {
	for text, why := range map[string]string{
		"%FOO bar\n---\n" + head: "", "%!\n---\n" + head: badDirective, "%YAML 9.9\n---\n" + head: badDirective, "%YAML x\n---\n" + head: badDirective,
		"%TAG ! x\n%TAG ! y\n---\n" + head: badDirective, head + "x: !<a b\n": badTag, head + "x: !a!b!c d\n": badTag, head + "x: !%zz a\n": badTag, head + "x: |0\n  a\n": "a block of text",
		head + "x: |z\n  a\n": badMark, head + "x: \"\\x4\"\n": "too few digits", "\"version: 0.0\"\nos: linux\n": "",
		head + "x:\n\t- a\n": "a tab", head + "x: *\n": "needs a name", head + "x: - a\n": "a dash stands", head + "x: *y\n": "stands for another",
	} {
		_, _, err := Parse("a", []byte(text), Options{})
		problems := problemsOf(t, err)
		require.NotEmpty(t, problems, text)
		for _, raw := range []string{"did not find", "could not find", "found ", "expected"} {
			require.NotContains(t, problems[0].Why, raw, text)
		}
		require.Contains(t, problems[0].Why, why, text)
	}
}
