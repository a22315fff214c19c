package appspec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rows Y1 to Y20 of the catalogue of bad inputs: the text as YAML.

func TestY1_Empty(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# only a comment\n", "---\n", "null\n", "~", "false\n", "--- no\n", "---\n...\n"} {
		refused(t, text, ErrEmpty)
	}
}

func TestY2_NotMapping(t *testing.T) {
	for text, found := range map[string]string{"- a\n": "a list", "[]": "a list", "hello": `"hello"`,
		"12": "the number \"12\"", "true": "the truth value \"true\"", "version": `"version"`} {
		require.Equal(t, found, refused(t, text, ErrNotMapping).Found)
	}
}

func TestY3_NotUTF8(t *testing.T) {
	for text, why := range map[string]string{
		"\xff\xfev\x00e\x00":              "UTF-16",
		"v\x00e\x00r\x00":                 "NUL",
		"version: 0.0\n# caf\xe9\n":       "Latin-1",
		"version: 0.0\nx: a\x01b\n":       "control character",
		"version: 0.0\nx: \u0080\n":       "control character",
		"version: 0.0\nx: \"\x7f\"\n":     "control character",
		"version: 0.0\n\ufeffos: linux\n": "byte order mark",
		"version: 0.0\nx: \uffff\n":       "control character",
		"version: 0.0\nx: \xed\xa0\x80":   "Latin-1",
	} {
		require.Contains(t, refused(t, text, ErrEncoding).Why, why)
	}
	p := refused(t, head+"x: \xe9\n", ErrEncoding)
	require.Equal(t, [2]int{3, 4}, [2]int{p.Line, p.Col})
	require.Equal(t, "byte 0xe9 at offset 26", p.Found)
}

func TestY4_ByteOrderMark(t *testing.T) {
	spec, _ := warned(t, "\xef\xbb\xbf"+head+"files:\n  - {source: a, destination: /b}\n", ErrBOM)
	require.Equal(t, Pos{Line: 4, Col: 5}, spec.Files[0].Pos)
}

func TestY5_TabIndentation(t *testing.T) {
	p := refused(t, head+"hooks:\n\tAfterInstall:\n\t  - location: a\n", ErrSyntax)
	require.Equal(t, [2]int{4, 1}, [2]int{p.Line, p.Col})
	require.Contains(t, p.Why, "a tab is used")
	p = refused(t, head+"files: []\n \t# a comment\nhooks: {}\n", ErrSyntax)
	require.Equal(t, [2]int{4, 2}, [2]int{p.Line, p.Col})
	clean(t, head+"files: [\n\t# in brackets\n\t]\n")
	refused(t, head+"# one\n\t# two\n", ErrSyntax)
	warned(t, head+"x: |\n  a\n  \t# in a block\n", ErrUnknownField)
	clean(t, "version:\t0.0\nos: linux\t\n") // fine after a colon and at line ends
}

func TestY6_DuplicateKey(t *testing.T) {
	p := refused(t, head+"hooks:\n  AfterInstall: []\nfiles: []\nhooks: {}\n", ErrDuplicateKey)
	require.Equal(t, [2]int{6, 1}, [2]int{p.Line, p.Col})
	require.Contains(t, p.Error(), "hooks: the key is given twice, first on line 3")
	refused(t, head+"hooks:\n  AfterInstall: []\n  'AfterInstall': []\n", ErrDuplicateKey)
	refused(t, head+"files:\n  - {source: a, source: b, destination: /c}\n", ErrDuplicateKey)
	warned(t, head+"x: 1\nx: 2\n", ErrDuplicateKey) // loses nothing that counts
}

func TestY6_ManyKeysInLinearTime(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "hooks:\n")
	for i := range 9000 {
		fmt.Fprintf(&b, "  E%d: []\n", i)
	}
	b.WriteString("  E17: []\n")
	start := time.Now()
	refused(t, b.String(), ErrDuplicateKey)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestY7_TwoDocuments(t *testing.T) {
	p := refused(t, head+"---\nfiles: []\n", ErrMultipleDocuments)
	require.Equal(t, 3, p.Line)
	refused(t, head+"---\n]broken[\n", ErrMultipleDocuments)
	refused(t, head+"---\nver sion\nos: x: y\n", ErrMultipleDocuments)
	refused(t, head+"...\n\tos: linux\n", ErrMultipleDocuments)
	warned(t, head+"---\n", ErrMultipleDocuments)
	refused(t, "os: linux\n---\n", ErrVersion) // what is missing is missing all the same
	clean(t, "---\n"+head+"...\n")
	// An indented first line is a document of its own.
	_, errs, _ := check(t, "  version: 1.0\nos: linux\n", Options{})
	with(t, errs, ErrMultipleDocuments)
}

func TestY8_AliasesWithinLimits(t *testing.T) {
	spec, _ := warned(t, head+`hooks:
  BeforeInstall: &list
    - &one {location: a.sh, timeout: 5}
  AfterInstall: *list
  ApplicationStart:
    - <<: *one
      timeout: 7
    - *one
`, ErrAlias)
	require.Len(t, spec.Hooks, 3)
	require.Equal(t, "a.sh", spec.Hooks[1].Scripts[0].Location)
	require.Equal(t, "a.sh", spec.Hooks[2].Scripts[0].Location)
	require.Equal(t, 7*time.Second, spec.Hooks[2].Scripts[0].Timeout)
	require.Equal(t, 5*time.Second, spec.Hooks[2].Scripts[1].Timeout)
	require.Equal(t, "define it with & before, or put quotes around a text that begins with *",
		refused(t, head+"files:\n  - {source: *nope, destination: /b}\n", ErrAlias).Hint)
	clean(t, head+"files: &unused []\n")
	spec = clean(t, head+"files:\n  - <<: {source: a, destination: /b}\n    source: c\n")
	require.Equal(t, "c", spec.Files[0].Source)
	require.Equal(t, "/b", spec.Files[0].Destination)
}

func TestY9_AliasBomb(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	start := time.Now()
	refused(t, head+bomb, ErrAliasLimit)
	require.Less(t, time.Since(start), 5*time.Second)
	refused(t, head+"x: &x [*x]\n", ErrAliasLimit)
	refused(t, head+"x: &x {y: {<<: *x}}\n", ErrAliasLimit)
	refused(t, head+"a: &a 1\nx: ["+strings.Repeat("*a, ", 101)+"]\n", ErrAliasLimit)
}

func TestY10_TooDeep(t *testing.T) {
	refused(t, head+"x: "+strings.Repeat("[", 40)+strings.Repeat("]", 40)+"\n", ErrTooDeep)
	refused(t, head+"x:\n"+strings.Repeat(" ", 300)+"y\n", ErrTooDeep)
	start := time.Now()
	refused(t, head+"x:\n"+strings.Repeat("- ", 9000), ErrTooDeep)
	_, errs, _ := check(t, head+"x: "+strings.Repeat("[", 60_000), Options{})
	require.NotEmpty(t, errs)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestY11_TooLarge(t *testing.T) {
	p := refused(t, head+strings.Repeat("# filler\n", 1<<16), ErrTooLarge)
	require.Contains(t, p.Allowed, "262144")
	refused(t, head+"x: '"+strings.Repeat("y", 70_000)+"'\n", ErrTooLarge)
	refused(t, head+"x: ["+strings.Repeat("1,\n ", 11_000)+"]\n", ErrTooLarge)
	start := time.Now()
	refused(t, strings.Repeat("a:\n", 80_000), ErrTooLarge)
	require.Less(t, time.Since(start), 5*time.Second)
	_, _, err := Parse("a", []byte(head), Options{MaxBytes: 10})
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestY12_Tags(t *testing.T) {
	for _, tag := range []string{"!ruby/object:OpenStruct", "!!binary", "!!python/object", "!Ref", "!!set", "!!omap"} {
		p := refused(t, head+"x: "+tag+" {}\n", ErrTagNotAllowed)
		require.Contains(t, p.Found, tag)
	}
	clean(t, "version: !!float 0.0\nos: !!str linux\nfiles: !!seq []\n")
}

func TestY13_UnknownTopLevelKey(t *testing.T) {
	_, p := warned(t, head+"hook: {}\n", ErrUnknownField)
	require.Equal(t, "hooks", p.Nearest)
	_, p = warned(t, head+"AfterInstall: []\n", ErrUnknownField)
	require.Contains(t, p.Hint, "under hooks")
	_, p = warned(t, head+"? [a, b]\n: c\n", ErrUnknownField)
	require.Equal(t, "a list", p.Found)
}

func TestY14_KeyWithBlanksOrWrongCase(t *testing.T) {
	_, p := warned(t, head+"\"files \": []\n", ErrUnknownField)
	require.Equal(t, `"files "`, p.Found)
	require.Equal(t, "files", p.Nearest)
	_, errs, warnings := check(t, "Version: 0.0\nos: linux\n", Options{})
	with(t, errs, ErrVersion)
	require.Equal(t, "version", with(t, warnings, ErrUnknownField).Nearest)
}

func TestY15_BrokenJSON(t *testing.T) {
	refused(t, `{"version": 0.0, "os": "linux", "files": [}`, ErrSyntax)
	refused(t, "{\"version\": 0.0, // comment\n \"os\": \"linux\" \"files\": []}", ErrSyntax)
	clean(t, "{\"version\": 0.0,\n\t\"os\": \"linux\"}")
	// What is YAML all the same is noted where a file calls itself JSON.
	for text, place := range map[string][2]int{"{\"version\": 0.0,\n \"os\": \"linux\",}": {2, 16}, "{'version': 0.0, 'os': 'linux'}": {1, 2}, "{\"version\": 0.0, # c\n \"os\": \"linux\"}": {1, 18}} {
		clean(t, text)
		_, warnings, err := Parse("appspec.JSON", []byte(text), Options{})
		require.NoError(t, err)
		p := with(t, warnings, ErrSyntax)
		require.Equal(t, place, [2]int{p.Line, p.Col})
	}
}

func TestY16_JSONOddities(t *testing.T) {
	refused(t, `{"version": 0.0, "os": "linux", "os": "linux"}`, ErrDuplicateKey)
	p := refused(t, `{"version": 0.0, "os": "linux", "x": "\ud800"}`, ErrEncoding)
	require.Equal(t, 39, p.Col)
	refused(t, `{"version": 0.0, "os": "linux", "hooks": {"AfterInstall": [{"location": "a", "timeout": 99999999999999999999}]}}`, ErrTimeout)
}

func TestY17_MalformedBytesNeverPanic(t *testing.T) {
	for _, text := range []string{"0: [:!00 \xef", "{[a]: 1, <<: {b: c}}", "- &a\n  <<: *a", "? \n? ", "%TAG ! x\n---\n!y z",
		"&a &b c", "<<: [*a]", "a: !!merge <<", "--- |\n\t", "\"\\x", "{{{{", "- - - -", "*a: *b", "? *a : b"} {
		_, _, err := Parse("x", []byte(text), Options{})
		require.Error(t, err, text)
	}
}

func TestY19_ShellScript(t *testing.T) {
	p := refused(t, "#!/bin/sh\nset -e\necho \"a: b\" : c\nx: y: z\n", ErrSyntax)
	require.Contains(t, p.Hint, "shell script")
}

func TestY20_Placeholders(t *testing.T) {
	for _, dest := range []string{"'/srv/{{ APP }}'", "/srv/${APP}", "/srv/$APP", "<DESTINATION>"} {
		_, p := warned(t, head+"files:\n  - source: a\n    destination: "+dest+"\n", ErrPlaceholder)
		require.Equal(t, "files[0].destination", p.Path)
	}
	// A user with such a name cannot exist.
	refused(t, head+"hooks:\n  AfterInstall:\n    - {location: a, runas: '${USER}'}\n", ErrRunAs)
}

func TestDateIsRefused(t *testing.T) {
	for _, d := range []string{"2024-02-29", "2024-1-1", "2024-02-29T01:02:03Z", "2024-02-29 1:02:03.5 +01:00"} {
		refused(t, head+"released: "+d+"\n", ErrDate)
		warned(t, head+"released: '"+d+"'\n", ErrUnknownField)
	}
}

func TestYAML12Directive(t *testing.T) {
	clean(t, "# first\n%YAML 1.2\n---\n"+head)
	refused(t, "%YAML 9.9\n---\n"+head, ErrSyntax)
}

func TestMoreProblemsThanShown(t *testing.T) {
	_, _, err := Parse("a", []byte(head+"files:\n"+strings.Repeat("  - {}\n", 60)), Options{})
	problems := problemsOf(t, err)
	require.Len(t, problems, MaxProblems+1)
	require.Equal(t, "70 more are not shown", problems[MaxProblems].Why)
}

// An error behind fifty warnings must still fail.
func TestErrorBehindManyWarnings(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 60 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	_, errs, warnings := check(t, b.String()+"hooks: 5\n", Options{})
	require.Len(t, warnings, MaxProblems+1)
	with(t, warnings, ErrMore)
	with(t, errs, ErrType)
}

func TestProblemsAreInFileOrderWithCodes(t *testing.T) {
	_, _, err := Parse("appspec.yml", []byte("permissions: 5\nhooks: []\nfiles: x\nos: mac\nversion: 1\n"), Options{})
	var last int
	for _, p := range problemsOf(t, err) {
		require.Greater(t, p.Line, last)
		last = p.Line
	}
	require.Equal(t, 5, last)
	require.ErrorIs(t, err, ErrVersion)
	require.ErrorIs(t, err, ErrOS)
	require.NotErrorIs(t, err, ErrTimeout)
	p, ok := errors.AsType[*Problem](err)
	require.True(t, ok)
	require.Equal(t, "appspec.yml:1:14: error: permissions: not a list of entries with object: found the number \"5\"", p.Error())
}

func TestFoundIsEscapedAndCut(t *testing.T) {
	p := refused(t, "version: 0.0\nos: \""+strings.Repeat("ä", 100)+"\\n\\e[31m\"\n", ErrOS)
	require.Less(t, len([]rune(p.Found)), 70)
	p = refused(t, "version: 0.0\nos: \"\\e[31m\\n\"\n", ErrOS)
	require.Equal(t, `"\x1b[31m\n"`, p.Found)
}
