package appspec

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// FuzzParse checks what must hold for any bytes: no panic, either a
// Spec or errors, every place inside of the file, no raw control characters in
// messages, warnings that become errors under Strict, a Spec that survives JSON
// and holds no path out of the revision.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{head, fullExample, "", "a: &a [*a]", "{[a]: 1, <<: {b: c}}", "\xff\xfe", head + "hooks:\n  X: {}\n---\n",
		perm("mode: 0644, acls: ['u:a:r'], context: {type: t, range: 's0:c1'}"), "<<: *a", "? [a]\n: b", "x:\r  y\r"} {
		f.Add([]byte(seed))
	}
	files, _ := filepath.Glob(filepath.Join("testdata", "*.yml"))
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, warnings, err := Parse("f", data, Options{})
		errs := problemsOf(t, err)
		require.Equal(t, spec == nil, err != nil)
		strictSpec, none, strictErr := Parse("f", data, Options{Strict: true})
		require.Empty(t, none)
		require.Equal(t, strictSpec == nil, strictErr != nil)
		require.Equal(t, len(errs)+len(warnings) > 0, strictErr != nil)
		lineCount := strings.Count(strings.NewReplacer("\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data)), "\n") + 1
		for _, p := range append(errs, warnings...) {
			require.LessOrEqual(t, p.Line, lineCount, "%v", p)
			require.LessOrEqual(t, p.Col, len(data)+1, "%v", p)
			require.NotContains(t, p.Error(), "\n")
			require.NotContains(t, p.Error(), "\x1b")
			require.True(t, utf8.ValidString(p.Error()))
		}
		if spec == nil {
			return
		}
		for _, file := range spec.Files {
			require.False(t, climbs(file.Source))
		}
		for _, h := range spec.Hooks {
			for _, s := range h.Scripts {
				require.Positive(t, s.Timeout)
				require.NotEmpty(t, s.Location)
			}
		}
		text, err := json.Marshal(spec)
		require.NoError(t, err)
		var back Spec
		require.NoError(t, json.Unmarshal(text, &back))
		again, err := json.Marshal(&back)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

// FuzzJSON checks that the layout of JSON means nothing: the same problems come
// from a text and from its compact form, and so does the same Spec.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{head, fullExample, ecsText(okService+okNetwork, "Hooks: [{BeforeInstall: a}]\n"), lambdaText(okFunction, "")} {
		spec, _, err := Parse("f", []byte(text), Options{})
		require.NoError(f, err)
		data, err := Print(spec, JSON)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte("{\"version\": 1e-0, \"os\": \"\\u006cinux\", \"hooks\": {\"\": [{\"location\": \"a\\/b\"}]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var compact bytes.Buffer
		if json.Compact(&compact, data) != nil || compact.Len() == 0 || compact.Len() > maxLine || compact.Bytes()[0] != '{' {
			return
		}
		one, warningsOne, errOne := Parse("f", data, Options{})
		two, warningsTwo, errTwo := Parse("f", compact.Bytes(), Options{})
		if len(problemsOf(t, errOne))+len(warningsOne) > MaxProblems {
			return // which ones are shown depends on their places
		}
		a, b := codes(t, warningsOne, errOne), codes(t, warningsTwo, errTwo)
		for _, layout := range []Code{ErrTooLarge, ErrTooDeep, ErrSyntax, ErrEncoding} {
			if a[layout]+b[layout] > 0 {
				return // limits and tabs are about the layout
			}
		}
		require.Equal(t, a, b, "%s\n%s", data, compact.Bytes())
		if one != nil {
			require.Equal(t, bareJSON(t, one), bareJSON(t, two))
		}
	})
}

// fullExample has about the size of a larger real file.
const fullExample = `version: 0.0
os: linux
file_exists_behavior: OVERWRITE
files:
  - source: /build/site
    destination: /srv/shop/site
  - source: conf/shop.conf
    destination: /etc/shop
permissions:
  - object: /srv/shop/site
    pattern: "*.html"
    owner: shop
    group: shop
    mode: 640
    type:
      - file
      - directory
  - object: /etc/shop
    owner: root
    mode: 755
    type:
      - directory
hooks:
  ApplicationStop:
    - location: ops/stop.sh
      timeout: 60
      runas: root
  BeforeInstall:
    - location: ops/prepare.sh
      timeout: 300
      runas: root
  AfterInstall:
    - location: ops/migrate.sh
      timeout: 900
      runas: shop
  ApplicationStart:
    - location: ops/start.sh
      timeout: 60
  ValidateService:
    - location: ops/check.sh
      timeout: 120
`

// BenchmarkParse has two parts, so that one run shows what checking costs on top
// of what the YAML reader needs anyway.
func BenchmarkParse(b *testing.B) {
	data := []byte(fullExample)
	b.Run("nodes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var n yaml.Node
			if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := Parse("appspec.yml", data, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestParseAllocations keeps the cost of checking small beside that of reading.
func TestParseAllocations(t *testing.T) {
	data := []byte(fullExample)
	clean(t, fullExample)
	parse := testing.AllocsPerRun(50, func() { _, _, _ = Parse("appspec.yml", data, Options{}) })
	nodes := testing.AllocsPerRun(50, func() { _ = yaml.Unmarshal(data, new(yaml.Node)) })
	require.LessOrEqual(t, parse, nodes+92, "reading alone takes %v", nodes)
	require.LessOrEqual(t, parse, 520.0)
}
