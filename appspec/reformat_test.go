package appspec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReformat(t *testing.T) {
	out, err := Reformat("a", []byte(`# our shop

version:   0.0
os: "linux"   # the fleet
hooks: {AfterInstall: [{location: a.sh, timeout: 0060}]}
files:
- source: /
  # where nginx looks
  destination: '/srv/shop'
# the end
`))
	require.NoError(t, err)
	require.Equal(t, `# our shop

version: 0.0
os: "linux" # the fleet
hooks:
  AfterInstall:
    - location: a.sh
      timeout: 0060
files:
  - source: /
    # where nginx looks
    destination: '/srv/shop'
# the end
`, string(out))
	again, err := Reformat("a", out)
	require.NoError(t, err)
	require.Equal(t, string(out), string(again))
}

func TestReformatJSON(t *testing.T) {
	out, err := Reformat("a", []byte(`{"version":0.0,"x":[1,{}]}`))
	require.NoError(t, err)
	require.True(t, json.Valid(out))
	require.Equal(t, "{\n  \"version\": 0.0,\n  \"x\": [\n    1,\n    {}\n  ]\n}\n", string(out))
}

func TestReformatRefuses(t *testing.T) {
	for text, code := range map[string]Code{"a: [": ErrSyntax, "": ErrEmpty, "a: 1\n---\nb: 2\n": ErrMultipleDocuments, "a: \xff": ErrEncoding} {
		_, err := Reformat("a", []byte(text))
		require.ErrorIs(t, err, code)
	}
}

func TestFindComments(t *testing.T) {
	text := `# one
a: "x # no" # two
b: 'it''s # no' # three
c: it's#no # four
d: | # five
  # no

  # no
e: >-
 # no
f: # six
  - |
   # no
  - g: |
      # no
    h: "several
      # no
      lines" # seven
	# eight
k: {x: '# no', "y":"# no"} # nine
l: !!str '# no'
`
	var got []string
	for _, c := range findComments([]byte(text)) {
		got = append(got, c.text)
	}
	require.Equal(t, strings.Fields("# one # two # three # four # five # six # seven # eight # nine"), strings.Fields(strings.Join(got, " ")))
}

// Every published file that is YAML is laid out without a change of meaning.
func TestReformatOfTheCorpus(t *testing.T) {
	refusals, n := 0, 0
	for _, f := range corpus(t) {
		out, err := Reformat(f.File, f.text)
		if err != nil {
			if !f.has(ErrSyntax, ErrNotMapping, ErrEmpty, ErrMultipleDocuments, ErrTagNotAllowed) {
				refusals++
				t.Log(err)
				require.ErrorIs(t, err, ErrComment)
			}
			continue
		}
		n++
		_, before, errBefore := Parse("f", f.text, Options{})
		_, after, errAfter := Parse("f", out, Options{})
		require.Equal(t, codes(t, before, errBefore), codes(t, after, errAfter), "%s\n=>\n%s", f.text, out)
	}
	require.LessOrEqual(t, refusals, 4)
	t.Logf("%d laid out, %d refused", n, refusals)
}

func codes(t testing.TB, warnings []*Problem, err error) map[Code]int {
	out := map[Code]int{}
	for _, p := range append(problemsOf(t, err), warnings...) {
		out[p.Code]++
	}
	return out
}

// FuzzReformat checks that laying out twice is the same as once, for all that it
// accepts.
func FuzzReformat(f *testing.F) {
	for _, seed := range []string{head, fullExample, "# a\nb: {c: [d, e]} # f\n", "a: &x |\n  # b\nc: *x\n", `{"a": [1, "b"]}`, "? [a]\n: 'b'\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := Reformat("f", data)
		if err != nil {
			problemsOf(t, err)
			return
		}
		again, err := Reformat("f", out)
		if err == nil {
			require.Equal(t, shape((&parser{}).document(out)), shape((&parser{}).document(again)))
		}
	})
}
