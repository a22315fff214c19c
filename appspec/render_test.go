package appspec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const templateText = `version: 0.0
Resources:
  - TargetService: # for <STAGE>
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo:
          ContainerName: "${APP}-web"
          ContainerPort: $PORT
        PlatformVersion: {{ PLATFORM }}
Hooks:
  - BeforeInstall: 'check-{{APP}}'
`

func TestPlaceholders(t *testing.T) {
	list, err := Placeholders("a", []byte(templateText))
	require.NoError(t, err)
	var got []string
	for _, p := range list {
		got = append(got, fmt.Sprintf("%d:%d %s %s %s", p.Pos.Line, p.Pos.Col, p.Name, p.Text, p.Path))
	}
	require.Equal(t, []string{
		"6:25 TASK_DEFINITION <TASK_DEFINITION> Resources[0].TargetService.Properties.TaskDefinition",
		"8:26 APP ${APP} Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerName",
		"9:26 PORT $PORT Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort",
		"10:26 PLATFORM {{ PLATFORM }} Resources[0].TargetService.Properties.PlatformVersion",
		"12:20 APP {{APP}} Hooks[0].BeforeInstall",
	}, got)
	list, err = Placeholders("a", []byte(lambdaText("Name: a\nAlias: b\nCurrentVersion: 1\nTargetVersion: $LATEST\n", "")))
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = Placeholders("a", []byte("a: [b"))
	require.ErrorIs(t, err, ErrSyntax)
}

func TestRender(t *testing.T) {
	out, err := Render("a", []byte(templateText), map[string]string{"TASK_DEFINITION": "arn:aws:ecs:eu-central-1:123456789012:task-definition/shop:7",
		"APP": "shop", "PORT": "8080", "PLATFORM": "LATEST", "UNUSED": "x"})
	require.NoError(t, err)
	require.Equal(t, `version: 0.0
Resources:
  - TargetService: # for <STAGE>
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: arn:aws:ecs:eu-central-1:123456789012:task-definition/shop:7
        LoadBalancerInfo:
          ContainerName: "shop-web"
          ContainerPort: 8080
        PlatformVersion: LATEST
Hooks:
  - BeforeInstall: "check-shop"
`, string(out))
	clean(t, string(out))
}

func TestRenderRefusesWhatIsMissing(t *testing.T) {
	_, err := Render("t.yml", []byte(templateText), map[string]string{"APP": "shop", "PORT": "\xff"})
	problems := problemsOf(t, err)
	require.Len(t, problems, 3)
	require.Equal(t, `t.yml:6:25: error: Resources[0].TargetService.Properties.TaskDefinition: no value is given for "TASK_DEFINITION": found "<TASK_DEFINITION>"`, problems[0].Error())
	require.ErrorIs(t, err, ErrPlaceholder)
}

// Whatever a value holds, it stays text in its place.
func TestRenderInjectsNothing(t *testing.T) {
	for _, evil := range []string{"a\nHooks:\n  - BeforeInstall: evil", `"}], "x": [{"`, "' # ", "*a", "!!int 5", "yes", "~", "", "- a", "{a: b}", "a: b", "${APP}", "{{APP}}",
		"\u2028", "\x00", "0x1", ":x", "a\\", "\ufeff"} {
		for _, doc := range []string{head + "x: <V>\ny: 1\n", head + "x: '<V>'\ny: 1\n", head + "x: \"a${V}b\"\ny: 1\n", head + "x: [{{V}}, b]\ny: 1\n", head + "x: &a {{V}} # {{V}}\ny: 1\n",
			`{"version": 0.0, "os": "linux", "x": "${V}", "y": 1}`, `{"version": 0.0, "os": "linux", "x": ${V}, "y": 1}`} {
			out, err := Render("a", []byte(doc), map[string]string{"V": evil})
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, yaml.Unmarshal(out, &m), "%s", out)
			require.Len(t, m, 4, "%s", out)
			require.Equal(t, 1, m["y"])
			if doc[0] == '{' {
				require.True(t, json.Valid(out), "%s", out)
			}
			switch x := m["x"].(type) {
			case []any:
				require.Equal(t, []any{evil, "b"}, x)
			default:
				require.Contains(t, []string{evil, "a" + evil + "b"}, x)
			}
		}
	}
}

func TestRenderKeepsKeysCommentsAndTheRest(t *testing.T) {
	text := "# ${A}\n\"${A}\": 1  \nb:   '${A}'   # ${A}\r\nc: >\n  x\n"
	out, err := Render("a", []byte(text), map[string]string{"A": "v"})
	require.NoError(t, err)
	require.Equal(t, strings.Replace(text, "'${A}'", `"v"`, 1), string(out))
	out, err = Render("a", []byte("\ufeffä: <A>\n"), map[string]string{"A": "v"})
	require.NoError(t, err)
	require.Equal(t, "\ufeffä: v\n", string(out))
	for _, text := range []string{"a: |\n  ${A}\n", "a: x\n  ${A}\n"} {
		_, err = Render("a", []byte(text), map[string]string{"A": "v"})
		require.Contains(t, err.Error(), "several lines")
	}
}

// flatten lists all nodes of a document.
func flatten(n *yaml.Node, out *[]string) {
	*out = append(*out, fmt.Sprint(n.Kind, len(n.Content), " ", n.Value))
	for _, c := range n.Content {
		flatten(c, out)
	}
}

// FuzzRender checks that filling in changes the values it is meant to and nothing
// else, whatever the value.
func FuzzRender(f *testing.F) {
	for _, doc := range []string{templateText, head + "x: [{{V}}, \"${V}\", '<V>']\n", `{"a": ${V}, "b": "$V"}`, "a: &x <V>\nb: *x\n", "? <V>\n: ${V}\n"} {
		for _, v := range []string{"v", "a\nb: c", "\"'#", ""} {
			f.Add([]byte(doc), v)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, v string) {
		r, err := readTemplate("f", data)
		if err != nil || len(r.spots) == 0 {
			return
		}
		values := map[string]string{}
		for _, s := range r.spots {
			for _, n := range s.names {
				values[n.Name] = v
			}
		}
		out, err := Render("f", data, values)
		if err != nil {
			require.ErrorIs(t, err, ErrPlaceholder)
			return
		}
		before := (&parser{}).document(masked(data[len(data)-len(strings.TrimPrefix(string(data), bom)):]))
		fillNodes(before, r.spots, v)
		if strings.ContainsRune(nodeText(before), mark) {
			return // a variable in a key stays
		}
		after := (&parser{}).document([]byte(strings.TrimPrefix(string(out), bom)))
		require.NotNil(t, after, "%s\n=>\n%s", data, out)
		var want, got []string
		flatten(before, &want)
		flatten(after, &got)
		require.Equal(t, want, got, "%s\n=>\n%s", data, out)
	})
}

func nodeText(n *yaml.Node) string {
	var all []string
	flatten(n, &all)
	return strings.Join(all, "\n")
}

func fillNodes(n *yaml.Node, spots []spot, v string) {
	for _, s := range spots {
		if s.node.Line == n.Line && s.node.Column == n.Column && n.Kind == yaml.ScalarNode && strings.ContainsRune(n.Value, mark) {
			var b strings.Builder
			last := 0
			for _, m := range variables(s.value) {
				b.WriteString(s.value[last:m[0]] + v)
				last = m[1]
			}
			n.Value = b.String() + s.value[last:]
			return
		}
	}
	for _, c := range n.Content {
		fillNodes(c, spots, v)
	}
}
