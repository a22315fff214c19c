package install

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/revision"
)

func TestE2_RefusalTouchesNothing(t *testing.T) {
	perm := func(pm ...appspec.Permission) func(*Request) {
		return func(r *Request) {
			for i := range pm {
				pm[i].Pos = appspec.Pos{Line: 20 + i}
				if pm[i].Pattern == "" {
					pm[i].Pattern = "**"
				}
				if pm[i].Types == nil {
					pm[i].Types = []appspec.ObjectType{appspec.TypeFile, appspec.TypeDirectory}
				}
			}
			r.Spec.Permissions = pm
		}
	}
	to := func(pairs ...string) func(*Request) { return func(r *Request) { r.Spec = spec(pairs...) } }
	for name, c := range map[string]struct {
		files  files
		change func(*Request)
		codes  []Code
	}{
		"existing file":            {files{"app/foreign": "1"}, nil, []Code{DestinationExists}},
		"dangling link exists":     {files{"app/dangling": "1"}, nil, []Code{DestinationExists}},
		"unknown behaviour":        {files{"app/foreign": "1"}, func(r *Request) { r.FileExists = "REPLACE" }, []Code{BadFileExists}},
		"missing source":           {files{"app/a": "1"}, to("b", "/srv"), []Code{SourceMissing}},
		"wildcard":                 {files{"app/a": "1"}, to("app/*", "/srv"), []Code{SourceMissing}},
		"line break in source":     {files{"app/a": "1"}, to("app/a\n", "/srv"), []Code{SourceMissing}},
		"slash after a file":       {files{"app/a": "1"}, to("app/a/", "/srv"), []Code{SourceNotDirectory}},
		"source climbs out":        {files{"app/a": "1"}, to("../../etc/passwd", "/srv"), []Code{SourceEscapes}},
		"several at once":          {files{"app/foreign": "1", "app/dir": "2"}, to("app", "/srv", "b", "/srv"), []Code{DestinationExists, DestinationExists, SourceMissing}},
		"one target twice":         {files{"x/a": "1", "y/a": "1"}, to("x/a", "/srv", "y/a", "/srv"), []Code{DuplicateDestination}},
		"file over directory":      {files{"x/i": "1", "t": "1"}, to("x", "/srv/t", "t", "/srv"), []Code{FileOverDirectory}},
		"directory over file":      {files{"x/i": "1", "t": "1"}, to("t", "/srv", "x", "/srv/t"), []Code{DirectoryOverFile}},
		"directory in the way":     {files{"app/dir": "1"}, overwrite, []Code{DirectoryInTheWay}},
		"file for a directory":     {files{"app/foreign/x": "1"}, overwrite, []Code{NotDirectory}},
		"file as a parent":         {files{"app/x": "1"}, to("app", "/srv/foreign/sub"), []Code{NotDirectory}},
		"link loop":                {files{"app/x": "1", "app/self": "-> ."}, nil, []Code{LinkLoop}},
		"link loop over two":       {files{"app/a/b": "-> ../c", "app/c/d": "-> ../a"}, nil, []Code{LinkLoop, LinkLoop}},
		"link out to a directory":  {files{"app/x": "-> /usr"}, nil, []Code{LinkEscapes}},
		"tilde":                    {files{"app/x": "1"}, to("app", "~/x"), []Code{BadPath}},
		"NUL":                      {files{"app/x": "1"}, to("app", "/srv/\x00"), []Code{BadPath}},
		"two entries for one file": {files{"app/x": "1"}, perm(appspec.Permission{Object: "/srv"}, appspec.Permission{Object: "/srv/x"}), []Code{DuplicatePermission}},
		"pattern on a file":        {files{"app/x": "1"}, perm(appspec.Permission{Object: "/srv/x", Pattern: "*"}), []Code{PermissionPatternOnFile}},
		"except on a file":         {files{"app/x": "1"}, perm(appspec.Permission{Object: "/srv/x", Except: []string{"y"}}), []Code{PermissionExceptOnFile}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("srv/foreign", "f")
			w.write("srv/dir/in", "in")
			require.NoError(t, os.Symlink("nowhere", w.path("srv/dangling")))
			var changes []func(*Request)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			got := codes(w.refused(c.files, changes...))
			slices.Sort(got)
			slices.Sort(c.codes)
			require.Equal(t, c.codes, got)
		})
	}
}

func TestE2_OldRevisionStaysOnRefusal(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1", "app/b/c": "1"})
	w.write("srv/new", "foreign")
	require.Equal(t, []Code{DestinationExists}, codes(w.refused(files{"app/new": "2"})))
	w.deploy(files{"app/a": "3"})
	require.Equal(t, []string{"srv", "srv/a", "srv/new"}, w.tree())
}

func TestY28_Y30_ProtectedDestination(t *testing.T) {
	w := newWorld(t)
	ps := w.refused(files{"app/a": "1"}, func(r *Request) {
		r.Root, r.State = w.base, filepath.Join(w.base, "state")
		r.Protected = []string{filepath.Join(w.base, "agent")}
		r.Spec = spec("app", "/agent/releases", "app", "/state")
	})
	require.Equal(t, []Code{Protected, Protected}, codes(ps))
}

func TestPlan_IsPrintable(t *testing.T) {
	w := newWorld(t)
	w.write("srv/taken", "f")
	w.deploy(files{"app/a": "1", "app/same": "s", "app/gone": "1"})
	p, err := NewPlan(t.Context(), w.request(files{"app/a": "2", "app/same": "s", "app/taken": "t", "app/n/x": ""}, overwrite))
	require.NoError(t, err)
	var lines []string
	for c := range p.Changes() {
		lines = append(lines, strings.ReplaceAll(c.String(), w.root, ""))
	}
	require.Equal(t, []string{
		"replace file /srv/a", "remove file /srv/gone", "create directory /srv/n", "create file /srv/n/x",
		"keep file /srv/same", "take file /srv/taken",
	}, lines)
}

func TestPlan_Cancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := fmt.Errorf("stop")
	cancel(stop)
	_, err := NewPlan(ctx, w.request(files{"app/a": "1"}))
	require.ErrorIs(t, err, stop)
}

func TestPlan_BundleIsNotWhatTheManifestSays(t *testing.T) {
	w := newWorld(t)
	ps := w.refused(files{"app/a": "1"}, func(r *Request) {
		r.Manifest.Entries = append(r.Manifest.Entries, revision.Entry{Path: "app/b", Size: 3})
	})
	require.Equal(t, []Code{SourceChanged}, codes(ps))

	r := w.request(files{"app/a": "1"})
	p, err := NewPlan(t.Context(), r)
	require.NoError(t, err)
	writeFile(t, filepath.Join(r.Bundle, "app/a"), "longer")
	before := snapshot(t, w.root)
	require.ErrorIs(t, p.Apply(t.Context()), errChanged)
	require.Equal(t, before, snapshot(t, w.root))
}

func TestInstall_Destinations(t *testing.T) {
	w := newWorld(t)
	other := filepath.Join(t.TempDir(), "other")
	w.deploy(files{"a": "a", "b": "b", "d/x": "x"}, func(r *Request) {
		r.Allow = []string{filepath.Dir(other)}
		r.Spec = spec("a", "/srv//one/./two/", "b", "/three/../four/", "a", "rel/../deep", "b", w.path("direct"), "d", "",
			"/a", other, "b", "../up")
	})
	require.Equal(t, []string{"deep", "deep/a", "direct", "direct/b", "four", "four/b", "srv", "srv/one", "srv/one/two", "srv/one/two/a", "up", "up/b", "x"}, w.tree())
	require.FileExists(t, filepath.Join(other, "a"))
}

func TestInstall_WholeRevision(t *testing.T) {
	for _, source := range []string{"/", "", ".", "./"} {
		w := newWorld(t)
		w.deploy(files{"appspec.yml": "v", "s/run.sh": "x", "e/": ""}, func(r *Request) { r.Spec = spec(source, "/srv") })
		require.Equal(t, []string{"srv", "srv/appspec.yml", "srv/e", "srv/s", "srv/s/run.sh"}, w.tree(), source)
	}
}

func TestInstall_Links(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{
		"app/a": "a", "app/rel": "-> a", "app/dangling": "-> nowhere", "app/abs": "-> /etc/hostname", "app/up": "-> ../appspec.yml",
		"appspec.yml": "", "app/v1/x": "x", "app/current": "-> v1", "app/round": "-> round",
	})
	require.Equal(t, []string{"srv", "srv/a", "srv/abs", "srv/current", "srv/current/x", "srv/dangling", "srv/rel", "srv/round", "srv/up", "srv/v1", "srv/v1/x"}, w.tree())
	to, err := os.Readlink(w.path("srv/up"))
	require.NoError(t, err)
	require.Equal(t, "../appspec.yml", to)
	st, err := os.Lstat(w.path("srv/current"))
	require.NoError(t, err)
	require.True(t, st.IsDir())
}

func TestInstall_ModesAndTimes(t *testing.T) {
	w := newWorld(t)
	r := w.request(files{"app/a": "1", "app/s": "2", "app/d/x": "3"})
	mask := fs.FileMode(0o027)
	r.Umask = &mask
	require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/a"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/s"), 0o755|fs.ModeSetuid))
	require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/d"), 0o700))
	require.NoError(t, os.Chtimes(filepath.Join(r.Bundle, "app/a"), unixTime(1e18), unixTime(1e18)))
	require.NoError(t, os.MkdirAll(w.path("srv"), 0o755))
	require.NoError(t, os.Chmod(w.path("srv"), 0o775|fs.ModeSetgid))
	_, err := w.try(r)
	require.NoError(t, err)
	for p, mode := range map[string]fs.FileMode{"a": 0o600, "s": 0o755 | fs.ModeSetuid, "d": 0o750 | fs.ModeSetgid, "d/x": 0o644} {
		st, err := lstatPath(w.path("srv/" + p))
		require.NoError(t, err)
		require.Equal(t, mode, st.Mode, p)
	}
	st, _ := os.Stat(w.path("srv/a"))
	require.True(t, st.ModTime().Equal(unixTime(1e18)))
}

func TestInstall_OddNames(t *testing.T) {
	w := newWorld(t)
	odd := files{"app/x\nvictim": "", "app/tail ": "", "app/ head": "", "app/it's \"q\"": "", "app/*?[a]": "", "app/-rf": "", "app/Žluť/日本語": "", "app/\xff\xfe": ""}
	w.write("victim", "precious")
	w.write("srv/x", "precious")
	w.deploy(odd)
	require.Len(t, w.tree(), len(odd)+4)
	w.deploy(files{"app/kept": ""})
	require.Equal(t, []string{"srv", "srv/kept", "srv/x", "victim"}, w.tree())
}

func TestE20_NamesThatTheFileSystemMerges(t *testing.T) {
	w := newWorld(t)
	folding := func(r *Request) { r.folds = func(string) bool { return true } }
	ps := w.refused(files{"app/Readme": "1", "app/README": "2", "app/caf\u00e9": "3", "app/Cafe\u0301": "4", "app/straße": "5", "app/K": "6", "app/\u212a": "7"}, folding)
	require.Equal(t, []Code{NameCollision, NameCollision, NameCollision}, codes(ps))
	require.Contains(t, ps[0].Text+ps[1].Text, "srv/README")

	w.deploy(files{"app/Readme": "1", "app/README": "2", "app/\u00e9": "3", "app/e\u0301": "4"})
	require.Len(t, w.tree(), 5, "a file system that tells them apart takes them")
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a", true}, {"*", "a/b", false}, {"*.sh", "a.sh", true}, {"*.sh", "d/a.sh", false}, {"a?c", "abc", false}, {"a?c", "a?c", true},
		{"[x]", "x", false}, {"a*b*c", "aXXbYYc", true}, {"a*b*c", "acb", false}, {"*.gz", "a.tar.gz", true}, {".*", ".dot", true},
		{"", "a", false}, {"ab*ba", "aba", false}, {"*a", "a", true}, {"a**b", "ab", true},
	} {
		require.Equal(t, c.want, glob(c.pattern, c.name), "%q %q", c.pattern, c.name)
	}
}

func TestInstall_RootIsTheMachine(t *testing.T) {
	w := newWorld(t)
	dest := w.path("srv/app")
	w.deploy(files{"app/a": "1"}, func(r *Request) { r.Root = "/"; r.Spec = spec("app", dest) })
	require.Equal(t, []string{"srv", "srv/app", "srv/app/a"}, w.tree())
	w.deploy(files{"app/": ""}, func(r *Request) { r.Root = "/"; r.Spec = spec("app", w.root) })
	require.Empty(t, w.tree())
}

func TestTrialPlanTellsTheSameAndIsNotApplied(t *testing.T) {
	w := newWorld(t)
	trial := func(r *Request) { r.Trial = true }
	p, err := NewPlan(t.Context(), w.request(files{"app/a": "1", "app/d/b": "2"}, trial))
	require.NoError(t, err)
	require.Len(t, slices.Collect(p.Changes()), 4)
	require.ErrorContains(t, p.Apply(t.Context()), "trial")
	require.NoDirExists(t, w.path("srv"))
	w.write("srv/a", "foreign")
	w.refused(files{"app/a": "1"}, trial)
}
