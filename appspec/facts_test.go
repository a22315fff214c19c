package appspec

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// readings are what the official agent makes of values, by field, derived from the
// description of its behaviour and not from recorded cases. %s is the value, at is
// where it ends up in the normalised result. A row is a value, and the result as
// JSON; no: refused; yes: accepted, whatever it becomes.
var readings = []struct {
	text string
	at   []any
	rows map[string]string
}{
	{"version: %s\nos: linux\n", nil, map[string]string{
		"0.00": "yes", "+0": "yes", "-0": "yes", "0x00": "yes", "0b00": "yes", "0:0:0": "yes", "0.e+1": "yes", ".0e-3": "yes", "00.0": "yes", "0_0.0": "yes",
		"0,0.0": "yes", "-.0": "yes", "1.0e-999": "yes", "0__0": "yes",
		"0e0": "no", "0o0": "no", "0.0f": "no", "\"0\"": "no", "0.1": "no", ".": "no", "~": "no", "1e-400": "no", "- 0.0": "no", "08": "no", "0x": "no", "0.0.": "no"}},
	{"version: 0.0\nos: %s\n", []any{"os"}, map[string]string{
		"linux ": `"linux"`, "!!str linux": `"linux"`, ">-\n  linux": `"linux"`, `"lin\u0075x"`: `"linux"`, "linux # c": `"linux"`,
		`" linux"`: "no", "|\n  linux": "no", ":linux": "no", "[linux, windows]": "no", "true": "no"}},
	{head + "file_exists_behavior: %s\n", []any{"file_exists_behavior"}, map[string]string{
		"RETAIN ": `"RETAIN"`, "~": "null", "\"RETAIN \"": "no", "[OVERWRITE]": "no", "0": "no", ":RETAIN": "no", "no": "no"}},
	{head + "files: %s\n", []any{"files"}, map[string]string{
		"no": "[]", "{}": "[]", "off": "[]", "true": "no", "0": "no", "''": "no", "all": "no", "[-]": "no", "[~]": "no", "[[a]]": "no", "[{}]": "no",
		"[{source: '\"', destination: ' b '}]": `[{"source": "\"", "destination": " b "}]`}},
	{head + "files:\n  - source: %s\n    destination: /b\n", []any{"files", 0, "source"}, map[string]string{
		`"null"`: `"null"`, "''": `""`, "' a '": `" a "`, ">\n      a": `"a\n"`, "a\n      b": `"a b"`, "08": `"08"`, "1:2x": `"1:2x"`, "Null": "no", "~": "no", "": "no"}},
	{head + "hooks: %s\n", []any{"hooks"}, map[string]string{
		"false": "[]", "{}": "[]", "{A: ~}": "[]", "{A: no}": "[]", "{A: []}": `[{"event": "A", "scripts": []}]`,
		"7": "no", "[]": "no", "word": "no", "{A: true}": "no", "{A: a.sh}": "no", "{A: [~]}": "no", "{A: [[]]}": "no"}},
	{head + "hooks:\n  B: []\n  AfterInstall:\n    - location: %s\n", []any{"hooks", 1, "scripts", 0, "location"}, map[string]string{
		"'  a.sh\t'": `"a.sh"`, "12": `"12"`, "010": `"8"`, "1.50": `"1.5"`, "yes": `"true"`, "off": `"false"`, "'\u00a0'": "\"\u00a0\"", "1.0e+20": `"1.0e+20"`,
		".inf": `"Infinity"`, "0x1F": `"31"`, ":a": `"a"`, "|\n        a.sh": `"a.sh"`, "''": "no", "\"\\n\"": "no", "~": "no"}},
	{head + "hooks:\n  AfterInstall:\n    - location: a\n      timeout: %s\n", []any{"hooks", 0, "scripts", 0, "timeout"}, map[string]string{
		"10": "10", `"10"`: "10", "10s": "10", `"10.9"`: "10", "10.9": "10", `"010"`: "10", "010": "8", "0777": "511", "0778": "778", "077_7": "511", "09": "9",
		`"1_0"`: "10", `"1__0"`: "1", "1,000": "1000", `"1,000"`: "1", "1_": "1", "1:30": "5400", "1:00:30": "3630", "0:30": "1800", "60:00": "216000", "1:75": "1",
		"1:2:3:4": "1", "2_0:00": "72000", "'1:30'": "1", "1e3": "1", "1.5e+3": "1500", "1.5e3": "1", "1.2e+1": "12", "0b101": "5", "100.": "100", "12.5.3": "12",
		"~": "3600", "": "3600", "no": "3600", "'+7'": "7", "+7": "7", "' 7 '": "7", "\"7\\n\"": "7", "7200": "7200", "!!int '60'": "60", "|\n        90": "90", "60 s": "60",
		"0.9": "no", "-5": "no", "abc": "no", `"0x20"`: "no", "0o17": "no", "on": "no", "[5]": "no", "{a: 1}": "no", ".nan": "no", "-.inf": "no", "'-3'": "no", "00": "no",
		`""`: "no", "0.0": "no", "_1": "no", ".5": "no", "'\uff11\uff12'": "no", "\u0663": "no", "-0": "no"}},
	{head + "hooks:\n  AfterInstall:\n    - location: a\n      runas: %s\n", []any{"hooks", 0, "scripts", 0, "runas"}, map[string]string{
		"' ec2-user '": `"ec2-user"`, "~": "null", "''": `""`, "'  '": `""`, "1000": `"1000"`, "0001": `"1"`, "yes": `"true"`, "web.1": `"web.1"`}},
	{head + "permissions:\n  - object: %s\n", []any{"permissions", 0, "object"}, map[string]string{
		"5": `"5"`, "false": `"false"`, "' /a '": `"/a"`, "'  '": "no", "~": "no"}},
	{head + "permissions:\n  - object: /a\n    mode: %s\n", []any{"permissions", 0, "mode"}, map[string]string{
		"755": `"755"`, `"0755"`: `"0755"`, "5": `"005"`, "75": `"075"`, "4755": `"4755"`, `""`: `"000"`, "~": "null", "!!str 0644": `"0644"`, "0": `"000"`, "|-\n      644": `"644"`,
		`"04755"`: "no", "75555": "no", "8": "no", "'7 5'": "no", "' 755'": "no", "-7": "no", "7.5": "no", "true": "no", "u+x": "no", "[7]": "no", "0o755": "no", "7e1": "no",
		"'\u0667\u0665\u0665'": "no", "|\n      644": "no", "75.0": "no", "1:1": "no"}},
	{head + "permissions:\n  - object: /a\n    type: %s\n", []any{"permissions", 0, "type"}, map[string]string{
		"[directory, file]": `["directory", "file"]`, "[file, file]": `["file", "file"]`, "[]": "[]", "~": `["file", "directory"]`, "false": `["file", "directory"]`,
		"file": "no", "[File]": "no", "[link]": "no", "[~]": "no", "['file ']": "no", "[1]": "no", "7": "no"}},
	{head + "permissions:\n  - object: /a\n    except: %s\n", []any{"permissions", 0, "except"}, map[string]string{
		`[a, "*.b", c?d]`: `["a", "*.b", "c?d"]`, "[]": "[]", "~": "[]", "false": "[]", "word": "no", "7": "no"}},
	{head + "permissions:\n  - object: /a\n    pattern: %s\n", []any{"permissions", 0, "pattern"}, map[string]string{
		"~": `"**"`, "a/b": `"a/b"`, "' x '": `" x "`, "''": `""`, "*.sh": "no", "**": "no"}},
	{head + "permissions:\n  - object: /a\n    acls: ['%s']\n", []any{"permissions", 0, "acls", 0}, map[string]string{
		"bob:7": `"user:bob:rwx"`, "user:bob:6": `"user:bob:rw-"`, "m:r": `"mask::r--"`, "d:o:r": `"default:other::r--"`, "default:o::5": `"default:other::r-x"`,
		"d::rwx": `"default:user::rwx"`, "d:g::": `"default:group::---"`, "d:mask:r": `"default:mask::r--"`, "u:bob:": `"user:bob:---"`, "u:bob:xwr": `"user:bob:rwx"`,
		"u:m:r": `"user:mask:r--"`, "g:other:r": `"group:other:r--"`, "user:a b:r": `"user:a b:r--"`, "d:d:r": `"default:user:d:r--"`, "d:r": `"user:d:r--"`, "u:u:r": `"user:u:r--"`,
		"o:r": "no", "u::r": "no", "::r": "no", ":r": "no", "u:bob:8": "no", "u:bob:77": "no", "u:bob:R": "no", "u:bob: r": "no", "bob": "no", "a:u:bob:r": "no",
		"d:u:bob:r:x": "no", "d:d:bob:r": "no", "default:default:r:x": "no", "o:bob:r": "no", "d:m:bob:r": "no", "U:bob:r": "no", "default::bob:r": "no", "d:::": "no", ":": "no"}},
	{head + "permissions:\n  - object: /a\n    context: {type: t, range: '%s'}\n", []any{"permissions", 0, "context", "range"}, map[string]string{
		"s0-s0": `"s0"`, "s1-s10": `"s1-s10"`, "s0:c3,c1,c2": `"s0:c1.c3"`, "s0:c1.c3,c4": `"s0:c1.c4"`, "s0:c5,c1.c2": `"s0:c1.c2,c5"`, "s0:c1023": `"s0:c1023"`,
		"s00": `"s0"`, "s0:c007": `"s0:c7"`, "s0:c1.c1": `"s0:c1"`, "s0:c1,c3": `"s0:c1,c3"`, "s0-s1:c0.c1023": `"s0-s1:c0.c1023"`,
		"s2-s1": "no", "s0:c1,c1": "no", "s0:c1.c5,c3": "no", "s0:c5.c1": "no", "s0:c1024": "no", "s0:": "no", "s": "no", "S0": "no", "c0": "no", "s0-": "no", "-s0": "no",
		"s0-s1-s2": "no", "s0:c0:c1": "no", "s0:c1.c2.c3": "no", "s0 ": "no", "s0:c1, c2": "no", "s0:c": "no", "s0:c1,,c2": "no", "s0:,c1": "no", "s1.5": "no", "s0:c1.": "no", "": "no"}},
}

// TestReadings compares each with the parser, and the schema with the parser on it.
func TestReadings(t *testing.T) {
	schema := compiledSchema(t)
	for _, field := range readings {
		for value, want := range field.rows {
			text := fmt.Sprintf(field.text, value)
			spec, errs, _ := check(t, text, Options{OS: "linux"})
			agree(t, schema, value, []byte(text))
			require.Equal(t, want == "no", len(errs) > 0, "%s\n%s", text, lines(errs))
			if want == "no" || want == "yes" {
				continue
			}
			got, err := json.Marshal(dig(normalised(t, spec), field.at))
			require.NoError(t, err)
			require.JSONEq(t, want, string(got), text)
		}
	}
}

// dig follows keys and indices.
func dig(v any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(map[string]any)[step]
		case int:
			v = v.([]any)[step]
		}
	}
	return v
}

// What is on Windows is told apart by the system the AppSpec itself names.
func TestReadingsOnWindows(t *testing.T) {
	for body, want := range map[string]Code{"permissions: []\n": "", "permissions:\n": "", "permissions: {}\n": "", "permissions: [x]\n": ErrNotSupportedOnOS,
		"files: [{source: '\\a', destination: 'c:\\b'}]\n": "", "hooks: {AfterInstall: [{location: a.ps1, runas: x}]}\n": ""} {
		_, errs, _ := check(t, "version: 0.0\nos: windows\n"+body, Options{OS: "windows"})
		require.Equal(t, want != "", len(errs) > 0, "%s\n%s", body, lines(errs))
		if want != "" {
			with(t, errs, want)
		}
	}
}
