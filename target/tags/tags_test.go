package tags_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-deploy/cutover/target/tags"
)

var web = map[string]string{"env": "prod", "role": "web", "blank": ""}

func TestFilterOfEachType(t *testing.T) {
	for name, c := range map[string]struct {
		f    tags.Filter
		want bool
	}{
		"key is there":                       {tags.Filter{Key: "env", Type: tags.KeyOnly}, true},
		"key is not there":                   {tags.Filter{Key: "zone", Type: tags.KeyOnly}, false},
		"a value of any key":                 {tags.Filter{Value: "web", Type: tags.ValueOnly}, true},
		"no key has the value":               {tags.Filter{Value: "db", Type: tags.ValueOnly}, false},
		"both":                               {tags.Filter{Key: "env", Value: "prod", Type: tags.KeyAndValue}, true},
		"the value belongs to another key":   {tags.Filter{Key: "env", Value: "web", Type: tags.KeyAndValue}, false},
		"case of the key matters":            {tags.Filter{Key: "Env", Type: tags.KeyOnly}, false},
		"case of the value matters":          {tags.Filter{Key: "env", Value: "Prod"}, false},
		"a star is no wildcard":              {tags.Filter{Key: "env", Value: "pr*"}, false},
		"type worked out: key":               {tags.Filter{Key: "env"}, true},
		"type worked out: value":             {tags.Filter{Value: "prod"}, true},
		"an empty value, asked for":          {tags.Filter{Key: "blank", Type: tags.KeyAndValue}, true},
		"an empty value, asked for in vain":  {tags.Filter{Key: "env", Type: tags.KeyAndValue}, false},
		"a filter that says nothing":         {tags.Filter{}, false},
		"a type that is none":                {tags.Filter{Key: "env", Type: "ANY"}, false},
		"value only does not look at keys":   {tags.Filter{Key: "zone", Value: "web", Type: tags.ValueOnly}, true},
		"key only does not look at the rest": {tags.Filter{Key: "env", Value: "web", Type: tags.KeyOnly}, true},
	} {
		require.Equal(t, c.want, c.f.Match(web), name)
	}
}

func TestAnyInsideOfAGroupAndAllGroups(t *testing.T) {
	prod, test, role := tags.Filter{Key: "env", Value: "prod"}, tags.Filter{Key: "env", Value: "test"}, tags.Filter{Key: "role", Value: "web"}
	for name, c := range map[string]struct {
		s    tags.Selection
		want bool
	}{
		"nothing chooses nothing":         {tags.Selection{}, false},
		"one filter of several":           {tags.Selection{Filters: tags.Group{test, prod}}, true},
		"no filter":                       {tags.Selection{Filters: tags.Group{test}}, false},
		"each group":                      {tags.Selection{Set: tags.Set{{test, prod}, {role}}}, true},
		"not each group":                  {tags.Selection{Set: tags.Set{{test}, {role}}}, false},
		"an empty group":                  {tags.Selection{Set: tags.Set{{prod}, {}}}, false},
		"both parts, one of them in vain": {tags.Selection{Filters: tags.Group{test}, Set: tags.Set{{role}}}, false},
		"both parts":                      {tags.Selection{Filters: tags.Group{prod}, Set: tags.Set{{role}}}, true},
	} {
		require.Equal(t, c.want, c.s.Match(web), name)
	}
	require.False(t, tags.Selection{Filters: tags.Group{prod}}.Match(nil))
	require.True(t, tags.Selection{}.Empty())
}

func TestCheckTellsAllThatIsWrong(t *testing.T) {
	key := tags.Filter{Key: "k"}
	many := tags.Group{key, key, key, key, key, key, key, key, key, key, key}
	s := tags.Selection{
		Filters: many,
		Set: tags.Set{{}, {key, {}, {Type: "ANY"}, {Type: tags.KeyOnly, Value: "v"}, {Key: "k", Value: "v", Type: tags.ValueOnly}},
			{{Key: strings.Repeat("ä", 129)}, {Value: strings.Repeat("ä", 257)}, {Key: strings.Repeat("ä", 128), Value: strings.Repeat("ä", 256)}}, many[:10]},
	}
	var got []string
	for _, f := range s.Check() {
		got = append(got, f.Error())
	}
	require.Equal(t, []string{
		"there are filters and tag groups; CodeDeploy takes one or the other",
		"there are 4 tag groups; at most 3 are allowed",
		"there are 11 filters; 1 to 10 are allowed",
		"tag group 1: there are 0 filters; 1 to 10 are allowed",
		"tag group 2: filter 2: has neither key nor value, and would choose nothing",
		`tag group 2: filter 3: type "ANY" is none; use KEY_ONLY, VALUE_ONLY or KEY_AND_VALUE`,
		"tag group 2: filter 4: has no key, which KEY_ONLY asks for",
		"tag group 2: filter 5: VALUE_ONLY does not look at the other half; leave it out, or use KEY_AND_VALUE",
		"tag group 3: filter 1: the key has 129 characters; at most 128 are allowed",
		"tag group 3: filter 2: the value has 257 characters; at most 256 are allowed",
	}, got)
	require.Empty(t, tags.Selection{}.Check())
}

func TestParse(t *testing.T) {
	for text, want := range map[string]tags.Selection{
		"env":                    {Filters: tags.Group{{Key: "env", Type: tags.KeyOnly}}},
		" env = prod ,=web ":     {Filters: tags.Group{{Key: "env", Value: "prod", Type: tags.KeyAndValue}, {Value: "web", Type: tags.ValueOnly}}},
		"env=;role":              {Set: tags.Set{{{Key: "env", Type: tags.KeyAndValue}}, {{Key: "role", Type: tags.KeyOnly}}}},
		`"a,b"="c;d \" =\u00e4"`: {Filters: tags.Group{{Key: "a,b", Value: "c;d \" =ä", Type: tags.KeyAndValue}}},
	} {
		got, err := tags.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"":      `at character 1: a filter is missing`,
		"a,,b":  `at character 3: a filter is missing`,
		"a b":   `at character 3: put a comma or a semicolon between filters, or quotes around blanks`,
		`a="b`:  `at character 3: the quotes do not end, or hold something that Go would not quote so`,
		`""=x`:  `filter 1: has no key, which KEY_AND_VALUE asks for`,
		"a=b=c": `at character 4: put a comma or a semicolon between filters, or quotes around blanks`,
	} {
		_, err := tags.Parse(text)
		require.EqualError(t, err, want)
	}
}

func TestFiltersHaveCodeDeploysJSON(t *testing.T) {
	var f []tags.Filter
	text := `[{"Key":"env","Value":"prod","Type":"KEY_AND_VALUE"},{"Value":"web","Type":"VALUE_ONLY"}]`
	require.NoError(t, json.Unmarshal([]byte(text), &f))
	require.Equal(t, []tags.Filter{{Key: "env", Value: "prod", Type: tags.KeyAndValue}, {Value: "web", Type: tags.ValueOnly}}, f)
	back, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t, text, string(back))
}

// filters draws valid filters, odd texts among them.
func filters() *rapid.Generator[tags.Filter] {
	text := rapid.OneOf(rapid.StringMatching(`[a-c]{1,2}`), rapid.StringN(1, 20, -1))
	return rapid.Custom(func(t *rapid.T) tags.Filter {
		switch rapid.IntRange(0, 2).Draw(t, "type") {
		case 0:
			return tags.Filter{Key: text.Draw(t, "key"), Type: tags.KeyOnly}
		case 1:
			return tags.Filter{Value: text.Draw(t, "value"), Type: tags.ValueOnly}
		}
		return tags.Filter{Key: text.Draw(t, "key"), Value: rapid.OneOf(text, rapid.Just("")).Draw(t, "value"), Type: tags.KeyAndValue}
	})
}

func TestWhatIsPrintedIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.SliceOfN(filters(), 1, 10), 1, 3).Draw(t, "groups")
		s := tags.Selection{Filters: groups[0]}
		if len(groups) > 1 {
			s = tags.Selection{}
			for _, g := range groups {
				s.Set = append(s.Set, g)
			}
		}
		again, err := tags.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}

func FuzzParse(f *testing.F) {
	f.Add("env=prod, env=canary; role=web")
	f.Add(`"a b"="",=x;k`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := tags.Parse(text)
		if err != nil {
			return
		}
		require.Empty(t, s.Check())
		again, err := tags.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
