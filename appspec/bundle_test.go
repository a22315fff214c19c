package appspec

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// revision is a directory of files; keys ending in a slash are directories.
func revision(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if name[len(name)-1] == '/' {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

// bundleOf checks text against a directory, both ways a caller may open it.
func bundleOf(t *testing.T, text, dir string) []*Problem {
	t.Helper()
	spec, errs, _ := check(t, text, Options{})
	require.Empty(t, errs)
	problems := spec.CheckBundle("appspec.yml", os.DirFS(dir), Options{})
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	require.Equal(t, problems, spec.CheckBundle("appspec.yml", root.FS(), Options{}))
	return problems
}

func scriptProblem(t *testing.T, location, dir string, code Code, sev Severity) *Problem {
	t.Helper()
	problems := bundleOf(t, hook("AfterInstall", "location: '"+location+"'"), dir)
	require.Len(t, problems, 1, lines(problems))
	p := with(t, problems, code)
	require.Equal(t, sev, p.Severity)
	require.Equal(t, "hooks.AfterInstall[0].location", p.Path)
	return p
}

func TestBundleThatIsRight(t *testing.T) {
	dir := revision(t, map[string]string{"ops/a.sh": "#!/bin/sh\n", "bin/tool": "\x7fELF\x02", "web/": "", "conf": ""})
	require.Empty(t, bundleOf(t, head+`files:
  - {source: /, destination: /srv}
  - {source: web, destination: /srv/web}
  - {source: /conf, destination: /opt}
hooks:
  AfterInstall: [{location: /ops/a.sh, timeout: 9}, {location: ./bin/../bin/tool, timeout: 9}, {location: ops/a.sh, timeout: 9}]
`, dir))
}

func TestY26_SourceMissing(t *testing.T) {
	dir := revision(t, map[string]string{"web/index.html": "", "build.d/x": ""})
	for source, near := range map[string]string{"web/indx.html": "web/index.html", "/buildd": "build.d", "zzz": ""} {
		problems := bundleOf(t, head+"files:\n  - {source: "+source+", destination: /b}\n", dir)
		p := with(t, problems, ErrSourceMissing)
		require.Equal(t, near, p.Nearest)
		require.Equal(t, Error, p.Severity)
		require.Equal(t, 4, p.Line)
	}
	windows := "version: 0.0\nos: windows\nfiles:\n  - {source: '\\web\\index.html', destination: 'c:\\b'}\n"
	require.Empty(t, bundleOf(t, windows, dir))
}

func TestY29_TwoFilesToOnePath(t *testing.T) {
	dir := revision(t, map[string]string{"a/x": "", "b/x": "", "b/y": ""})
	problems := bundleOf(t, head+"files:\n  - {source: a/x, destination: /d}\n  - {source: b/x, destination: /d/}\n  - {source: b/y, destination: /d}\n", dir)
	require.Len(t, problems, 1)
	require.Contains(t, with(t, problems, ErrDuplicateDestination).Error(), `line 4 installs a file with the same path: found "/d/x"`)
}

func TestD10_ScriptMissing(t *testing.T) {
	dir := revision(t, map[string]string{"ops/start.sh": "#!/bin/sh\n"})
	require.Equal(t, "ops/start.sh", scriptProblem(t, "ops/strat.sh", dir, ErrScriptMissing, Error).Nearest)
	require.Contains(t, scriptProblem(t, "ops/start.sh --now", dir, ErrScriptMissing, Error).Hint, "no arguments")
	require.Contains(t, scriptProblem(t, "/bin/true", dir, ErrScriptMissing, Error).Hint, "revision's root")
	// A custom event never runs by itself, so nothing is missing.
	require.Empty(t, bundleOf(t, hook("MyOwnEvent", "location: gone"), dir))
}

func TestD13_ScriptOfAnotherKind(t *testing.T) {
	dir := revision(t, map[string]string{"dir/": "", "real.sh": "#!/bin/sh\n", "d/real.sh": "#!/bin/sh\n"})
	require.Contains(t, scriptProblem(t, "dir", dir, ErrScriptType, Error).Why, "directory")
	require.Contains(t, scriptProblem(t, "/", dir, ErrScriptType, Error).Why, "directory")
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED scripts that are links: making links needs a privilege on this system")
	}
	for link, target := range map[string]string{"out": "/bin/sh", "up": "../x", "d/deep": "../../x", "loop": "loop", "dirlink": "/bin"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
		location := link
		if link == "dirlink" {
			location = "dirlink/sh"
		}
		require.Contains(t, scriptProblem(t, location, dir, ErrScriptType, Error).Why, "link")
	}
	require.NoError(t, os.Symlink("gone", filepath.Join(dir, "dangling")))
	scriptProblem(t, "dangling", dir, ErrScriptMissing, Error)
	require.NoError(t, os.Symlink("../real.sh", filepath.Join(dir, "d", "good")))
	require.NoError(t, os.Symlink("d", filepath.Join(dir, "e")))
	require.Empty(t, bundleOf(t, hook("AfterInstall", "location: e/good"), dir))
}

func TestS6_PipesAndDevicesAreNoScripts(t *testing.T) {
	for mode, why := range map[fs.FileMode]string{fs.ModeNamedPipe: "named pipe", fs.ModeDevice: "device",
		fs.ModeSocket: "regular", fs.ModeIrregular: "regular"} {
		fsys := fstest.MapFS{"a": &fstest.MapFile{Mode: mode}}
		spec := clean(t, hook("AfterInstall", "location: a"))
		problems := spec.CheckBundle("", fsys, Options{})
		require.Contains(t, with(t, problems, ErrScriptType).Why, why)
	}
}

func TestS1_EmptyScript(t *testing.T) {
	dir := revision(t, map[string]string{"a.sh": ""})
	scriptProblem(t, "a.sh", dir, ErrScriptEmpty, Warning)
	spec := clean(t, hook("AfterInstall", "location: a.sh"))
	require.Equal(t, Error, spec.CheckBundle("", os.DirFS(dir), Options{Strict: true})[0].Severity)
}

func TestS2_NoShebang(t *testing.T) {
	dir := revision(t, map[string]string{"a.sh": "echo hi\n", "b.sh": "\xef\xbb\xbf#!/bin/sh\n"})
	scriptProblem(t, "a.sh", dir, ErrScriptNoShebang, Warning)
	require.Contains(t, scriptProblem(t, "b.sh", dir, ErrScriptNoShebang, Warning).Why, "byte order mark")
	require.Empty(t, bundleOf(t, "version: 0.0\nos: windows\nhooks:\n  AfterInstall: [{location: a.sh}]\n", dir))
}

func TestD12_CarriageReturnInShebang(t *testing.T) {
	dir := revision(t, map[string]string{"a.sh": "#!/bin/sh\r\necho hi\r\n"})
	p := scriptProblem(t, "a.sh", dir, ErrScriptCRLF, Error)
	require.Equal(t, `"#!/bin/sh\r"`, p.Found)
}

// TestS3_CRLFShebang is the same check under the name that the catalogue of
// scripts gives it.
func TestS3_CRLFShebang(t *testing.T) { TestD12_CarriageReturnInShebang(t) }

// Every finding about files has a severity and a reason for it.
func TestBundleRulesAreComplete(t *testing.T) {
	for code, rule := range bundleRules {
		require.NotEmpty(t, rule.reason, code)
		require.Contains(t, []Severity{Error, Warning}, rule.severity)
	}
}

func TestFind(t *testing.T) {
	yml, yaml, other := &fstest.MapFile{}, &fstest.MapFile{}, &fstest.MapFile{}
	for _, c := range []struct {
		fsys       fstest.MapFS
		configured string
		want       string
		note       Code
	}{
		{fstest.MapFS{"appspec.yml": yml}, "", "appspec.yml", ""},
		{fstest.MapFS{"appspec.yaml": yaml}, "", "appspec.yaml", ""},
		{fstest.MapFS{"appspec.yml": yml, "ops/prod.yml": other}, "ops/prod.yml", "ops/prod.yml", ""},
		{fstest.MapFS{"appspec.yml": yml, "ops/prod.yml": other}, "/ops/./prod.yml", "ops/prod.yml", ""},
		{fstest.MapFS{"appspec.yml": yml}, "ops/prod.yml", "appspec.yml", ErrAppSpecMissing},
		{fstest.MapFS{"appspec.yml": yml}, "appspec.yml", "appspec.yml", ""},
	} {
		name, notes, err := Find(c.fsys, c.configured)
		require.NoError(t, err)
		require.Equal(t, c.want, name)
		require.Equal(t, c.note != "", len(notes) == 1)
		if c.note != "" {
			require.Equal(t, c.note, notes[0].Code)
		}
	}
	_, _, err := Find(fstest.MapFS{"appspec.yml": yml}, "../appspec.yml")
	require.ErrorIs(t, err, ErrPathEscapes)
}

func TestY18_BothNames(t *testing.T) {
	name, notes, err := Find(fstest.MapFS{"appspec.yml": &fstest.MapFile{}, "appspec.yaml": &fstest.MapFile{}}, "")
	require.NoError(t, err)
	require.Equal(t, "appspec.yml", name)
	require.Equal(t, "appspec.yml: warning: appspec.yaml is there, too, and is ignored; remove one of them", with(t, notes, ErrAppSpecAmbiguous).Error())
}

func TestFindNamesWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		fsys fstest.MapFS
		want string
	}{
		{fstest.MapFS{}, "error: the revision has no AppSpec: found an empty revision; want appspec.yml or appspec.yaml"},
		{fstest.MapFS{"AppSpec.yml": &fstest.MapFile{}, "web": &fstest.MapFile{}},
			`error: the revision has no AppSpec: found "AppSpec.yml", "web"; want appspec.yml or appspec.yaml; did you mean AppSpec.yml?`},
		{fstest.MapFS{"app-1.2/appspec.yml": &fstest.MapFile{}},
			`error: the revision has no AppSpec: found "app-1.2"; want appspec.yml or appspec.yaml; it lies in the directory "app-1.2": pack the content of that directory, not the directory`},
	} {
		_, _, err := Find(c.fsys, "")
		require.ErrorIs(t, err, ErrAppSpecMissing)
		require.EqualError(t, err, c.want)
	}
}

// deepBundle is bundleOf with everything that an install would find.
func deepBundle(t *testing.T, text, dir string) []*Problem {
	t.Helper()
	spec, errs, _ := check(t, text, Options{})
	require.Empty(t, errs)
	return spec.CheckBundle("appspec.yml", os.DirFS(dir), Options{Deep: true})
}

func TestY29_CollisionsInsideOfDirectories(t *testing.T) {
	dir := revision(t, map[string]string{"a/x/y": "", "b/x/y": "", "c/x": "", "d/x/z": ""})
	entry := func(list ...string) string {
		text := head + "files:\n"
		for _, s := range list {
			text += "  - {source: " + s + ", destination: /d}\n"
		}
		return text
	}
	for why, text := range map[string]string{
		"line 4 installs a file with the same path":                   entry("a", "b"),
		"line 4 installs a file where this entry has a directory":     entry("c", "a"),
		"line 4 makes a directory where this entry has a file":        entry("a", "c/x"),
		"line 4 makes a directory where this entry has a file: found": entry("a", "c"),
	} {
		problems := deepBundle(t, text, dir)
		require.Len(t, problems, 1, lines(problems))
		require.Equal(t, ErrDuplicateDestination, problems[0].Code)
		require.Contains(t, problems[0].Error(), why)
		require.Equal(t, 5, problems[0].Line)
	}
	require.Empty(t, deepBundle(t, entry("a", "d"), dir))
}

func TestP1_PermissionsForWhatIsInstalled(t *testing.T) {
	dir := revision(t, map[string]string{"web/x.html": "", "web/sub/y": "", "run": ""})
	files := head + "files:\n  - {source: web, destination: /srv}\n  - {source: run, destination: /srv}\npermissions:\n  - {object: "
	for entry, code := range map[string]Code{"/srv/run, type: [file], mode: 755": "", "/srv, pattern: '*.html'": "", "/srv/sub": "", "/": "",
		"/srv/run, pattern: '*.sh'": ErrPattern, "/srv/run, except: [x]": ErrPattern, "/srv/run, type: [directory]": ErrObjectNotManaged,
		"/srv/none": ErrObjectNotManaged, "/srv/run, acls: ['d:u:shop:rw']": ErrACLDefaultOnFile} {
		problems := deepBundle(t, files+entry+"}\n", dir)
		if code == "" {
			require.Empty(t, problems, lines(problems))
			continue
		}
		require.Len(t, problems, 1, entry)
		require.Equal(t, code, problems[0].Code, entry)
	}
}

func TestSourceThatLeavesTheRevision(t *testing.T) {
	dir := revision(t, map[string]string{"web/x": ""})
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink("../..", filepath.Join(dir, "web", "up")))
	require.NoError(t, os.Symlink("web/x", filepath.Join(dir, "in")))
	for source, bad := range map[string]bool{"out": true, "web/up": true, "in": false, "web": false} {
		problems := deepBundle(t, head+"files:\n  - {source: "+source+", destination: /d}\n", dir)
		require.Equal(t, bad, len(problems) == 1 && problems[0].Code == ErrPathEscapes, "%s %s", source, lines(problems))
	}
}

func TestS4_InterpreterLine(t *testing.T) {
	for content, want := range map[string]string{
		"#!sh\n": "no absolute path", "#! bin/sh\n": "no absolute path", "#!\n": "no absolute path",
		"#!/usr/bin/env\n": "env has no interpreter", "#!/usr/bin/env bash -x\n": "as one word",
		"\n#!/bin/sh\n": "first two characters", " #!/bin/sh\n": "first two characters",
		"\xff\xfe#\x00!\x00": "neither a script", "PK\x03\x04": "neither a script", "MZ\x90\x00": "neither a script",
		"#!/bin/sh\necho a\necho b\r\n": "carriage returns", "echo a\r\n": "carriage returns",
		"#! /bin/sh\n": "", "#!/bin/sh -e": "", "#!/usr/bin/env bash\n": "", "#!/usr/bin/env -S bash -x\n": "", "#!/bin/sh\nprintf '\\r'\n": "",
	} {
		problems := bundleOf(t, hook("AfterInstall", "location: a.sh"), revision(t, map[string]string{"a.sh": content}))
		if want == "" {
			require.Empty(t, problems, content)
			continue
		}
		require.Len(t, problems, 1, content)
		require.Contains(t, problems[0].Why, want, content)
		require.Equal(t, Warning, problems[0].Severity)
		require.NotEmpty(t, problems[0].Hint)
	}
}

func TestScriptInOtherLetters(t *testing.T) {
	dir := revision(t, map[string]string{"ops/Start.sh": "#!/bin/sh\n", "OPS2/x.ps1": "x"})
	require.Equal(t, "ops/Start.sh", scriptProblem(t, "Ops/start.sh", dir, ErrScriptMissing, Error).Nearest)
	require.Empty(t, bundleOf(t, "version: 0.0\nos: windows\nfiles: [{source: 'Ops\\start.SH', destination: 'c:\\a'}]\nhooks:\n  AfterInstall: [{location: 'ops2\\X.ps1'}]\n", dir))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "link.sh")))
	p := scriptProblem(t, "link.sh", dir, ErrScriptMissing, Error)
	require.Contains(t, p.Why, "a link to what")
	require.Empty(t, p.Nearest)
}

func TestY29_OnePathInTwoLetterCases(t *testing.T) {
	dir := revision(t, map[string]string{"a/x": "", "b/X": ""})
	text := "version: 0.0\nos: %s\nfiles: [{source: a, destination: /d}, {source: b, destination: /D}]\n"
	require.Empty(t, deepBundle(t, fmt.Sprintf(text, "linux"), dir))
	require.Len(t, deepBundle(t, fmt.Sprintf(text, "windows"), dir), 1)
}
