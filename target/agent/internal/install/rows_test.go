package install

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func notes(p *Plan) string {
	var b strings.Builder
	for _, n := range p.Notes {
		b.WriteString(n.Text + "\n")
	}
	return b.String()
}

func TestE5_FileExistsBehaviours(t *testing.T) {
	w := newWorld(t)
	w.write("srv/a", "foreign", 0o600)
	w.write("srv/mine", "mine")
	require.Equal(t, []Code{DestinationExists}, codes(w.refused(files{"app/a": "1"})))
	w.deploy(files{"app/a": "1", "app/b": "1"}, retain)
	require.Equal(t, "foreign", w.read("srv/a"))
	w.deploy(files{"app/c": "1"}, retain)
	require.Equal(t, []string{"srv", "srv/a", "srv/c", "srv/mine"}, w.tree(), "a retained file is never removed")
	w.deploy(files{"app/a": "1", "app/d": "1"}, func(r *Request) { r.Spec.FileExists = "OVERWRITE"; r.FileExists = "DISALLOW" })
	require.Equal(t, "1", w.read("srv/a"))
	st, _ := lstatPath(w.path("srv/a"))
	require.Equal(t, fs.FileMode(0o644), st.Mode)
	require.Equal(t, "mine", w.read("srv/mine"))
}

func TestE6_TakenFileComesBack(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		w := newWorld(t)
		state := func(*Request) {}
		if elsewhere { // State on another file system: kept as copies
			dir := otherFileSystem(t, w.base)
			state = func(r *Request) { r.State = filepath.Join(dir, "state") }
		}
		w.write("srv/a", "foreign", 0o640)
		w.write("srv/taken again", "foreign 2", 0o600)
		require.NoError(t, os.Symlink("../elsewhere", w.path("srv/l")))
		before := snapshot(t, w.root)
		w.deploy(files{"app/a": "1", "app/l": "1", "app/taken again": "1"}, overwrite, state)
		w.deploy(files{"app/a": "2", "app/taken again": "2", "app/l": "-> a"}, state)
		require.Equal(t, "2", w.read("srv/a"))
		p := w.deploy(files{"app/taken again": "3"}, state)
		var back []string
		for c := range p.Changes() {
			if c.Action == Restore {
				back = append(back, filepath.Base(c.Path))
			}
		}
		require.Equal(t, []string{"a", "l"}, back)
		require.Equal(t, "foreign", w.read("srv/a"))
		w.deploy(files{"app/": ""}, state)
		require.Equal(t, before, snapshot(t, w.root))
	}
}

func otherFileSystem(t *testing.T, than string) string {
	t.Helper()
	const shm = "/dev/shm"
	a, err := lstatPath(than)
	require.NoError(t, err)
	b, err := lstatPath(shm)
	if err != nil || a.Dev == b.Dev {
		t.Skip("SKIPPED keeping files on another file system: there is no second one at " + shm)
	}
	dir, err := os.MkdirTemp(shm, "cutover-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestE7_ParentIsALink(t *testing.T) {
	w := newWorld(t)
	out := t.TempDir()
	require.NoError(t, os.MkdirAll(w.path("real/sub"), 0o755))
	require.NoError(t, os.Symlink(w.path("real"), w.path("in")))
	require.NoError(t, os.Symlink("real/sub", w.path("rel")))
	require.NoError(t, os.Symlink(out, w.path("out")))
	require.NoError(t, os.MkdirAll(w.path("deep"), 0o755))
	require.NoError(t, os.Symlink(out, w.path("deep/app")))
	to := func(d string) func(*Request) { return func(r *Request) { r.Spec = spec("top", d) } }
	f := files{"top/app/a": "1"}
	for _, d := range []string{"/out", "/out/more", "/deep", "/in/../out"} {
		if d == "/in/../out" {
			continue // dots are resolved by text: this is /out
		}
		require.Equal(t, []Code{DestinationEscapes}, codes(w.refused(f, to(d))), d)
	}
	w.deploy(f, to("/in/x"))
	require.FileExists(t, w.path("real/x/app/a"))
	w.deploy(f, to("/rel"))
	require.FileExists(t, w.path("real/sub/app/a"))
	require.NoFileExists(t, w.path("real/x/app/a"))
	w.deploy(f, to("/deep"), func(r *Request) { r.Allow = []string{out} })
	require.FileExists(t, filepath.Join(out, "a"))
	w.deploy(files{"top/": ""}, to("/deep"))
	require.NoFileExists(t, filepath.Join(out, "a"))
	require.DirExists(t, out)
}

func TestE7_LinkAtTheFileItself(t *testing.T) {
	w := newWorld(t)
	w.write("outside/real", "real")
	require.NoError(t, os.MkdirAll(w.path("srv"), 0o755))
	require.NoError(t, os.Symlink(w.path("outside/real"), w.path("srv/a")))
	require.Equal(t, []Code{DestinationExists}, codes(w.refused(files{"app/a": "1"})))
	w.deploy(files{"app/a": "new"}, overwrite)
	require.Equal(t, "real", w.read("outside/real"), "the link is replaced, not written through")
	require.Equal(t, "new", w.read("srv/a"))
}

// The swap is made at the worst moment: after the plan, before each effect.
func TestE8_DirectorySwappedForALink(t *testing.T) {
	for _, when := range []string{"write undo log", "stage", "sync", "place", "remove", "commit"} {
		w := newWorld(t)
		out := filepath.Join(t.TempDir(), "out")
		writeFile(t, filepath.Join(out, "old"), "precious")
		w.deploy(files{"app/old": "1", "app/x": "1"})
		w.write("srv/foreign", "keeps the directory")
		r := w.request(files{"app/new": "2", "app/x": "2"})
		swapped := false
		r.seam = func(effect string) error {
			if !swapped && strings.HasPrefix(effect, when) {
				swapped = true
				require.NoError(t, os.Rename(w.path("srv"), w.path("away")))
				require.NoError(t, os.Symlink(out, w.path("srv")))
			}
			return nil
		}
		before := snapshot(t, out)
		_, err := w.try(r)
		require.True(t, swapped)
		require.Equal(t, before, snapshot(t, out), "nothing was written or removed behind the link (%s)", when)
		if err == nil {
			continue // the directory was open already: the install went to the real one
		}
		require.NoError(t, os.Remove(w.path("srv")))
		require.NoError(t, os.Rename(w.path("away"), w.path("srv")))
		_, err = Recover(t.Context(), r.State)
		require.NoError(t, err)
		require.Equal(t, []string{"srv", "srv/foreign", "srv/old", "srv/x"}, w.tree(), when)
		require.Equal(t, "1", w.read("srv/x"))
	}
}

func TestE14_FileRemovedByOperator(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1", "app/b": "1", "app/d/x": "1"})
	require.NoError(t, os.Remove(w.path("srv/a")))
	require.NoError(t, os.RemoveAll(w.path("srv/d")))
	p := w.deploy(files{"app/b": "2"})
	require.Equal(t, []string{"srv", "srv/b"}, w.tree())
	require.Contains(t, notes(p), "srv/a was removed by somebody")
	require.Contains(t, notes(p), "srv/d/x is gone")
}

func TestE15_FileEditedByOperator(t *testing.T) {
	w := newWorld(t)
	first := files{"app/a": "one", "app/b": "one", "app/touched": "one", "app/l": "-> a"}
	w.deploy(first)
	st, err := os.Stat(w.path("srv/a"))
	require.NoError(t, err)
	w.write("srv/a", "two") // same size, and the same time: the digest tells
	require.NoError(t, os.Chtimes(w.path("srv/a"), st.ModTime(), st.ModTime()))
	w.write("srv/b", "edited")
	require.NoError(t, os.Chtimes(w.path("srv/touched"), st.ModTime(), unixTime(1e18)))
	require.NoError(t, os.Remove(w.path("srv/l")))
	require.NoError(t, os.Symlink("b", w.path("srv/l")))

	ps := w.refused(first, func(r *Request) { r.Drift = DriftFail })
	require.Equal(t, []Code{Drift, Drift, Drift}, codes(ps))

	p := w.deploy(files{"app/a": "one", "app/touched": "one", "app/l": "-> a"})
	require.Equal(t, "one", w.read("srv/a"))
	require.Equal(t, []string{"srv", "srv/a", "srv/l", "srv/touched"}, w.tree())
	text := notes(p)
	require.NotContains(t, text, "touched")
	for i, content := range map[string]string{"srv/a was": "two", "srv/b was": "edited"} {
		line := text[strings.Index(text, i):]
		kept := strings.TrimSpace(line[strings.Index(line, "kept as ")+8 : strings.Index(line, "\n")])
		b, err := os.ReadFile(kept)
		require.NoError(t, err, text)
		require.Equal(t, content, string(b))
	}
	for range 3 {
		w.deploy(first)
	}
	kept, _ := filepath.Glob(filepath.Join(w.state("g"), keptName, "*", "*"))
	require.Empty(t, kept, "edited copies do not pile up")
}

func TestE16_RemovalIsForOwnThingsOnly(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/d/a": "1", "app/e/x": "1", "app/f": "1", "app/g": "1", "app/h": "1"})
	other := func(r *Request) { r.State, r.Group = w.state("other"), "other" }
	// d gets a foreign file; e is replaced by a link to precious things; f becomes a
	// directory with content, g an empty one; h now belongs to another group.
	w.write("srv/d/foreign", "f")
	w.write("precious/x", "p")
	require.NoError(t, os.RemoveAll(w.path("srv/e")))
	require.NoError(t, os.Symlink(w.path("precious"), w.path("srv/e")))
	for _, p := range []string{"f", "g", "h"} {
		require.NoError(t, os.Remove(w.path("srv/"+p)))
	}
	w.write("srv/f/in", "in")
	require.NoError(t, os.Mkdir(w.path("srv/g"), 0o755))
	w.deploy(files{"h": "theirs"}, other, func(r *Request) { r.Spec = spec("h", "/srv") })

	others := func(r *Request) { r.Others = map[string]string{"other": w.state("other")} }
	w.deploy(files{"app/z": "2"}, others)
	require.Equal(t, []string{"precious", "precious/x", "srv", "srv/d", "srv/d/foreign", "srv/f", "srv/f/in", "srv/h", "srv/z"}, w.tree())
	require.Equal(t, "theirs", w.read("srv/h"))
	// A directory that survived is still ours, and goes when it is empty.
	require.NoError(t, os.Remove(w.path("srv/d/foreign")))
	w.deploy(files{"app/z": "3"}, others)
	require.NoDirExists(t, w.path("srv/d"))
	require.DirExists(t, w.path("srv/f"))
}

func TestB10_TwoGroupsOneFile(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1"})
	second := func(r *Request) {
		r.State, r.Group = w.state("second"), "second"
		r.Others = map[string]string{"first": w.state("g")}
	}
	for _, how := range []func(*Request){func(*Request) {}, overwrite} {
		ps := w.refused(files{"app/a": "2"}, second, how)
		require.Equal(t, []Code{OwnedByOther}, codes(ps))
		require.Equal(t, "first", ps[0].Group)
		require.Contains(t, ps[0].Text, "srv/a was installed by deployment group first")
	}
}

// Where the list of another group is damaged, nobody knows whose a file is: it is not
// overwritten. What is in nobody's way is installed.
func TestB10_WhatMayBeAnotherGroupsIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1"})
	second := func(r *Request) {
		r.State, r.Group = w.state("second"), "second"
		r.Others = map[string]string{"first": w.state("g")}
	}
	require.NoError(t, os.WriteFile(filepath.Join(w.state("g"), ownedName), []byte("damaged"), 0o600))
	ps := w.refused(files{"app/a": "2"}, second, overwrite)
	require.Equal(t, []Code{BooksLost}, codes(ps))
	require.Contains(t, ps[0].Text, "first")
	require.Equal(t, "1", w.read("srv/a"))
	w.deploy(files{"app/b": "2"}, second, overwrite)
}

func TestInstall_UnchangedFilesAreNotRewritten(t *testing.T) {
	w := newWorld(t)
	f := files{"app/a": "1", "app/b": "1", "app/d/c": "1", "app/l": "-> a"}
	w.deploy(f)
	inode := func(p string) uint64 { st, _ := lstatPath(w.path(p)); return st.Ino }
	a, b, c := inode("srv/a"), inode("srv/b"), inode("srv/d/c")
	f["app/b"] = "2"
	w.deploy(f)
	require.Equal(t, a, inode("srv/a"))
	require.Equal(t, c, inode("srv/d/c"))
	require.NotEqual(t, b, inode("srv/b"))
	items, err := Owned(w.state("g"))
	require.NoError(t, err)
	require.Len(t, items, 6)
	require.Equal(t, "d-1", items[1].Deployment)
	require.Equal(t, "d-2", items[2].Deployment)
}

func TestRecover_NothingToDo(t *testing.T) {
	r, err := Recover(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Equal(t, Clean, r.Outcome)
}

// What another build of the library wrote is not taken for an empty list: its files would be
// in nobody's hands.
func TestBooks_OfAnotherBuildAreRefused(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1"})
	list, err := os.ReadFile(filepath.Join(w.state("g"), ownedName))
	require.NoError(t, err)
	for name, c := range map[string]struct{ file, content, says string }{
		"an older one": {"owned.jsonl", "{}", "move owned.jsonl away and deploy once with OVERWRITE"},
		"a newer one":  {ownedName, strings.Replace(string(list), `"version":2`, `"version":3`, 1), "has version 3"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			require.NoError(t, os.RemoveAll(w.state("g")))
			require.NoError(t, os.MkdirAll(w.state("g"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(w.state("g"), c.file), []byte(c.content), 0o600))
			ps := w.refused(files{"app/a": "2"})
			require.Equal(t, []Code{BooksLost}, codes(ps))
			require.Contains(t, ps[0].Text, c.says)
		})
	}
}

func TestBooks_DamageIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1"})
	p := filepath.Join(w.state("g"), ownedName)
	whole, err := os.ReadFile(p)
	require.NoError(t, err)
	for _, bad := range []string{string(whole[:len(whole)-2]), strings.Replace(string(whole), "srv", "etc", 1), "", string(whole) + "x"} {
		require.NoError(t, os.WriteFile(p, []byte(bad), 0o600))
		require.Equal(t, []Code{BooksLost}, codes(w.refused(files{"app/a": "2"})))
	}
	require.NoError(t, os.WriteFile(p, whole, 0o600))
	w.deploy(files{"app/a": "2"})
}
