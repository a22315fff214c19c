package inventory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/inventory"
	"github.com/cutover-deploy/cutover/target/tags"
)

func parse(t *testing.T, text string) *inventory.Inventory {
	t.Helper()
	inv, err := inventory.Parse("f", []byte(text))
	require.NoError(t, err)
	return inv
}

func TestHostsInTheOrderOfTheFileWithDefaults(t *testing.T) {
	inv := parse(t, `
defaults: {user: deploy, port: 2200, zone: x, os: linux, jump: [a, "b@[::1]:99"], tags: {env: prod, build: 007}}
hosts:
  z:
  a: {address: web.example.com, user: root, port: "22", zone: y, os: windows, jump: [], tags: {env: test, on: yes, blank: }}
`)
	require.Equal(t, []inventory.Host{
		{Name: "z", Address: "z", User: "deploy", Port: 2200, Zone: "x", OS: "linux", Jump: []string{"a", "b@[::1]:99"},
			Tags: map[string]string{"env": "prod", "build": "007"}, Pos: inventory.Pos{Line: 4, Col: 3}},
		{Name: "a", Address: "web.example.com", User: "root", Port: 22, Zone: "y", OS: "windows", Jump: []string{},
			Tags: map[string]string{"env": "test", "build": "007", "on": "yes", "blank": ""}, Pos: inventory.Pos{Line: 5, Col: 3}},
	}, inv.Hosts)
}

func TestJSONIsTheSame(t *testing.T) {
	yml := parse(t, fleet)
	js := parse(t, `{
  "defaults": {"user": "deploy", "jump": "gate.example.com", "tags": {"env": "prod"}},
  "hosts": {
    "web-1": {"address": "10.0.0.1", "zone": "a", "tags": {"role": "web"}},
    "web-2": {"address": "10.0.0.2", "zone": "b", "tags": {"role": "web", "env": "canary"}},
    "db-1": {"address": "fd00::1", "port": 2222, "tags": {"role": "db"}}
  },
  "groups": {"web": {"tagSet": [
    [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}],
    [{"Key": "env", "Value": "prod", "Type": "KEY_AND_VALUE"}, {"Key": "env", "Value": "canary", "Type": "KEY_AND_VALUE"}]]}}
}`)
	for i := range yml.Hosts {
		yml.Hosts[i].Pos, js.Hosts[i].Pos = inventory.Pos{}, inventory.Pos{}
	}
	yml.Groups[0].Pos, js.Groups[0].Pos = inventory.Pos{}, inventory.Pos{}
	require.Equal(t, yml, js)
}

func TestLogin(t *testing.T) {
	for want, h := range map[string]inventory.Host{
		"web":              {Address: "web"},
		"me@web:22":        {Address: "web", User: "me", Port: 22},
		"[fd00::1]":        {Address: "fd00::1"},
		"me@[fd00::1]:443": {Address: "fd00::1", User: "me", Port: 443},
	} {
		require.Equal(t, want, h.Login())
	}
}

func TestGroups(t *testing.T) {
	inv := parse(t, fleet+`  any: {filters: [{Key: role, Value: db}, {Value: canary}]}
  none: nosuch
`)
	for group, want := range map[string][]string{"web": {"web-1", "web-2"}, "any": {"web-2", "db-1"}, "none": nil} {
		hosts, err := inv.Group(group)
		require.NoError(t, err)
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		require.Equal(t, want, names, group)
	}
	_, err := inv.Group("wbe")
	require.EqualError(t, err, `inventory: there is no group "wbe"; the file has web, any, none`)
	_, err = parse(t, "hosts: {a: }").Group("web")
	require.EqualError(t, err, `inventory: there is no group "web": the file has no groups`)
	require.Empty(t, inv.Select(tags.Selection{}), "nothing said is nothing chosen")
}

// Two sites may use the same addresses, each behind a gate of its own.
func TestOneAddressBehindDifferentJumpHostsIsTwoMachines(t *testing.T) {
	inv := parse(t, "hosts:\n  a: {address: 10.0.0.1, jump: one}\n  b: {address: 10.0.0.1, jump: two}\n  c: {address: 10.0.0.1, jump: []}\n")
	require.Len(t, inv.Hosts, 3)
	_, err := inventory.Parse("f", []byte("hosts:\n  a: {address: 10.0.0.1, jump: one}\n  b: {address: 10.0.0.1, jump: one}\n"))
	require.ErrorContains(t, err, "hosts.b: is at 10.0.0.1 port 22 behind one, where a of line 2 is already")
}

// Each text has one problem, at this place and with these words.
func TestProblems(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for text, want := range map[string]string{
		"":                                       "f: the file is empty",
		"# only a comment\n":                     "f: the file is empty",
		"null":                                   "f: the file is empty",
		"- a\n- b":                               "f:1:1: found a list; want a mapping, lines such as defaults: …",
		"hosts: [a, b]":                          "f:1:8: hosts: found a list; want a mapping, lines such as NAME: …",
		"defaults: {user: x}":                    "f:1:1: there are no hosts",
		"hosts: {}":                              "f:1:1: there are no hosts",
		"hosts: {a: }\nhost: {}":                 `f:2:1: unknown key "host"; known are defaults, hosts, groups`,
		"hosts: {a: }\n---\nhosts: {b: }":        "f:2:1: a second document begins here",
		"hosts:\n  a: {\n":                       "f:2: is no YAML",
		"hosts:\n\ta: 1":                         "f:2: is no YAML: found character that cannot start any token",
		"hosts: {a: \xff}":                       "f: is no YAML",
		"x: &a 1\nhosts: {a: {user: *a}}":        "", // two problems
		"hosts:\n  a: {<<: {user: x}}":           "f:2:7: hosts.a: aliases and merge keys are not read",
		"hosts:\n  a: !x {}":                     `f:2:6: hosts.a: the YAML tag "!x" is not read`,
		"hosts:\n  a: {user: !!str x}":           `f:2:13: hosts.a.user: the YAML tag "!!str" is not read`,
		"hosts:\n  [a]: {}":                      "f:2:3: hosts: found a list as a key; want a text",
		"hosts:\n  ~: {}":                        "f:2:3: hosts: found nothing as a key",
		"hosts:\n  a/b: {}":                      `f:2:3: hosts: found "a/b" as a name`,
		"hosts:\n  \"\": {}":                     `f:2:3: hosts: found "" as a name`,
		"hosts:\n  .: {}":                        `f:2:3: hosts: found "." as a name`,
		"hosts:\n  a: {}\n  b: {address: A}":     "f:3:3: hosts.b: is at a port 22, where a of line 2 is already",
		"hosts:\n  a: 10.0.0.1":                  `f:2:6: hosts.a: found "10.0.0.1"; want a mapping, lines such as address: …`,
		"hosts:\n  a: {address: [x]}":            "f:2:16: hosts.a.address: found a list; want a text",
		"hosts:\n  a: {address: }":               "f:2:16: hosts.a.address: found nothing; want a text",
		"hosts:\n  a: {address: me@x}":           `f:2:16: hosts.a.address: found "me@x"; say who logs in as user:`,
		"hosts:\n  a: {address: '[::1]'}":        `f:2:16: hosts.a.address: found "[::1]"; say the port as port:, and an IPv6 address without brackets`,
		"hosts:\n  a: {address: 'a b'}":          `f:2:16: hosts.a.address: found "a b"; want the name or the IP address`,
		"hosts:\n  a: {address: '-oX'}":          `f:2:16: hosts.a.address: found "-oX"; want the name`,
		"hosts:\n  a: {user: 'a b'}":             `f:2:13: hosts.a.user: found "a b"; want the name of an account`,
		"hosts:\n  a: {port: 0}":                 `f:2:13: hosts.a.port: found "0"; want a number from 1 to 65535`,
		"hosts:\n  a: {port: ssh}":               `f:2:13: hosts.a.port: found "ssh"`,
		"hosts:\n  a: {zone: 'a b'}":             `f:2:13: hosts.a.zone: found "a b"`,
		"hosts:\n  a: {os: Linux}":               `f:2:11: hosts.a.os: found "Linux"; want linux, darwin, windows`,
		"hosts:\n  a: {jump: ['x:0']}":           `f:2:14: hosts.a.jump: found "x:0"; want user@host:port`,
		"hosts:\n  a: {jump: {x: y}}":            "f:2:13: hosts.a.jump: found a mapping; want a text",
		"hosts:\n  a: {tags: [x]}":               "f:2:13: hosts.a.tags: found a list; want a mapping",
		"hosts:\n  a: {tags: {x: [y]}}":          "f:2:17: hosts.a.tags.x: found a list; want a text",
		"hosts:\n  a: {tags: {'': y}}":           "f:2:14: hosts.a.tags: the key of a tag has 0 characters",
		"hosts:\n  a: {tags: {" + long + ": y}}": "f:2:14: hosts.a.tags: the key of a tag has 300 characters; 1 to 128 are allowed",
		"hosts:\n  a: {tags: {x: " + long + "}}": "f:2:17: hosts.a.tags.x: the value has 300 characters; at most 256 are allowed",
		"hosts: {a: }\ngroups:\n  a b: x":        `f:3:3: groups: found "a b" as a name`,
		"hosts: {a: }\ngroups:\n  x: [y]":        "f:3:6: groups.x: found a list; want a text",
		"hosts: {a: }\ngroups:\n  x: 'a,,b'":     "f:3:6: groups.x: at character 3: a filter is missing",
		"hosts: {a: }\ngroups:\n  x: {}":         "f:3:6: groups.x: chooses nothing",
		"hosts: {a: }\ngroups:\n  x: {filters: [{Key: a}, {Key: ''}]}":              "f:3:27: groups.x: filter 2: has neither key nor value",
		"hosts: {a: }\ngroups:\n  x: {filters: [{Key: a}], tagSet: [[{Key: a}]]}":   "f:3:6: groups.x: there are filters and tag groups",
		"hosts: {a: }\ngroups:\n  x: {tagSet: [[{Key: a}], [{Key: a, Type: ANY}]]}": `f:3:29: groups.x: tag group 2: filter 1: type "ANY" is none`,
		"hosts: {a: }\ngroups:\n  x: {filters: [{key: a}]}":                         `f:3:18: groups.x.filters[0]: unknown key "key"; known are Key, Value, Type`,
		"hosts: {a: }\ngroups:\n  x: {filters: [~]}":                                "f:3:17: groups.x.filters[0]: found nothing",
		"hosts: {a: }\ngroups:\n  x: {filters: [a]}":                                `f:3:17: groups.x.filters[0]: found "a"; want a mapping, lines such as Key: …`,
	} {
		t.Run(want, func(t *testing.T) {
			inv, err := inventory.Parse("f", []byte(text))
			require.Nil(t, inv)
			all, ok := errors.AsType[*multierror.Error](err)
			require.True(t, ok)
			if want == "" {
				require.Len(t, all.Errors, 2)
				return
			}
			require.Len(t, all.Errors, 1)
			require.Contains(t, err.Error(), want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	text := "hosts:\n"
	for i := range 80 {
		text += fmt.Sprintf("  h%d: {port: x}\n", i)
	}
	_, err := inventory.Parse("f", []byte(text))
	all, ok := errors.AsType[*multierror.Error](err)
	require.True(t, ok)
	require.Len(t, all.Errors, inventory.MaxProblems+1)
	require.EqualError(t, all.Errors[inventory.MaxProblems], "f:52:15: 30 more problems are not shown; mend the ones above first")
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fleet.yml")
	require.NoError(t, os.WriteFile(name, []byte(fleet), 0o600))
	inv, err := inventory.ReadFile(name)
	require.NoError(t, err)
	require.Len(t, inv.Hosts, 3)
	require.NoError(t, os.WriteFile(name, make([]byte, inventory.MaxBytes+1), 0o600))
	_, err = inventory.ReadFile(name)
	require.ErrorContains(t, err, "larger than 4194304 bytes")
	_, err = inventory.ReadFile(name + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fleet))
	f.Add([]byte(`{"hosts": {"a": {"jump": ["x@y:1"], "tags": {"k": null}}}, "groups": {"g": {"filters": [{"Key": "k"}]}}}`))
	f.Add([]byte("hosts: {a: &x {<<: *x}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := inventory.Parse("f", data)
		if err != nil {
			require.Nil(t, inv)
			all, ok := errors.AsType[*multierror.Error](err)
			require.True(t, ok)
			for _, e := range all.Errors {
				p, ok := errors.AsType[*inventory.Problem](e)
				require.True(t, ok)
				require.NotEmpty(t, p.Why)
			}
			return
		}
		require.NotEmpty(t, inv.Hosts)
		seen := map[string]bool{}
		for _, h := range inv.Hosts {
			require.NotEmpty(t, h.Address)
			require.False(t, seen[h.Name])
			seen[h.Name] = true
			require.True(t, h.Port >= 0 && h.Port <= 65535)
		}
		for _, g := range inv.Groups {
			require.Empty(t, g.Tags.Check())
			require.False(t, g.Tags.Empty())
		}
	})
}
