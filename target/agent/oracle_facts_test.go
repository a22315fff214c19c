//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-deploy/cutover/revision"
)

// Facts about a deployment that rules ask for.

// overwrote reports whether a deployment of the case, up to this one, was allowed
// to replace foreign files.
func (x *comparison) overwrote() bool {
	for i := range x.n + 1 {
		if strings.EqualFold(x.c.Deployments[i].FileExists, "OVERWRITE") || strings.Contains(x.specText(i), "OVERWRITE") {
			return true
		}
	}
	return false
}

// wasBefore reports whether e was there, as it is, before some deployment.
func (x *comparison) wasBefore(e treeEntry) bool {
	return slices.ContainsFunc(x.earlier, func(g *gotDeploy) bool {
		return slices.ContainsFunc(g.before, func(b treeEntry) bool { return same(b, e) })
	})
}

// madeBefore reports whether an earlier deployment made the path.
func (x *comparison) madeBefore(e treeEntry) bool {
	at := func(list []treeEntry) bool {
		return slices.ContainsFunc(list, func(b treeEntry) bool { return b.Path == e.Path })
	}
	return slices.ContainsFunc(x.earlier, func(g *gotDeploy) bool { return !at(g.before) && at(g.Tree) })
}

// upwards reports whether a destination has a .. in it.
func (x *comparison) upwards() bool {
	for _, line := range strings.Split(x.specText(x.n), "\n") {
		if strings.Contains(line, "destination") && strings.Contains(line, "..") {
			return true
		}
	}
	return false
}

// specText is the AppSpec of deployment i, if its bundle is a folder.
func (x *comparison) specText(i int) string {
	data, _ := os.ReadFile(filepath.Join(x.c.dir, x.c.Deployments[i].Bundle, "appspec.yml"))
	return string(data)
}

// reused reports whether the id of the deployment was used before in the case.
func (x *comparison) reused() bool {
	for i := range x.n {
		if x.c.Deployments[i].ID == x.d.ID && x.c.Deployments[i].Group == x.d.Group {
			return true
		}
	}
	return false
}

// endedMore reports whether all probes that differ are of processes that live on
// with the agent and not with us.
func (x *comparison) endedMore() bool {
	if len(x.want.Probes) != len(x.got.Probes) {
		return false
	}
	for i, w := range x.want.Probes {
		g := x.got.Probes[i]
		if same(w, g) {
			continue
		}
		if w.Op != "probe_pid" || string(w.Result) != "true" || string(g.Result) != "false" {
			return false
		}
	}
	return true
}

// ofBooks reports whether a path is one that only the agent's bookkeeping has.
func ofBooks(path string) bool {
	return strings.HasPrefix(path, "{{ROOT}}/agent/") && !strings.Contains(path, "/"+archiveDir) && !strings.Contains(path, "/logs") &&
		strings.Count(path, "/") != 3
}

// touchesBooks reports whether the case changes the agent's books by hand, before
// this deployment.
func (x *comparison) touchesBooks() bool {
	list := slices.Clone(x.c.Setup)
	for i := range x.n + 1 {
		list = append(list, x.c.Deployments[i].Before...)
	}
	return slices.ContainsFunc(list, func(o oracleOp) bool { return strings.HasPrefix(o.Path, "{{ROOT}}/agent/deployment-instructions") })
}

// probesOfBooks reports whether all probes that differ look at books.
func (x *comparison) probesOfBooks() bool {
	if len(x.want.Probes) != len(x.got.Probes) {
		return false
	}
	for i, w := range x.want.Probes {
		if !same(w, x.got.Probes[i]) && !ofBooks(w.Path) {
			return false
		}
	}
	return true
}

// lookIn notes what scripts have made of the revision's folder.
func (r *oracleRun) lookIn(d oracleDeploy, got *gotDeploy) {
	dir := filepath.Join(r.root, "agent", part(d.Group), part(d.ID))
	rel, err := readRelease(dir)
	if err != nil {
		return
	}
	m, err := readManifest(filepath.Join(dir, manifestFile))
	if err != nil {
		return
	}
	now, err := revision.Dir(filepath.Join(dir, archiveDir)).Open(context.Background(), "")
	if err != nil {
		return
	}
	for _, e := range now.Manifest.Entries {
		if m.Find(e.Path) == nil {
			got.extra = append(got.extra, e.Path)
		}
	}
	was, is := m.Find(rel.AppSpec), now.Manifest.Find(rel.AppSpec)
	got.specEdited = is == nil || was != nil && was.Digest != is.Digest
}

// repeats reports whether the deployment has an event more than once.
func (x *comparison) repeats(event string) bool {
	n := 0
	for _, e := range x.d.Events {
		if e == event {
			n++
		}
	}
	return n > 1
}

// retained reports whether existing files stay in this deployment.
func (x *comparison) retained() bool {
	text := x.specText(x.n)
	return strings.Contains(text, "RETAIN") || strings.EqualFold(x.d.FileExists, "RETAIN") && !strings.Contains(text, "file_exists_behavior")
}

// wroteThroughLink reports whether a link was there before, and the agent has left
// it there and written elsewhere, or we have not.
func (x *comparison) wroteThroughLink() bool {
	return slices.ContainsFunc(x.got.before, func(e treeEntry) bool {
		if e.Type != "symlink" || !inTree(x.want.Tree, e) {
			return false
		}
		if inTree(x.got.Tree, e) { // kept
			more, less := treeDiff(x.want.Tree, x.got.Tree)
			return len(more) == 0 && len(less) == 1 && path.Base(e.Target) == path.Base(less[0].Path)
		}
		return slices.ContainsFunc(x.got.Tree, func(g treeEntry) bool { return g.Path == e.Path && g.Type == "file" })
	})
}

// renamedSpec reports whether an earlier deployment of the group had another AppSpec.
func (x *comparison) renamedSpec() bool {
	return slices.ContainsFunc(x.c.Deployments[:x.n], func(d oracleDeploy) bool { return d.Group == x.d.Group && d.AppSpec != x.d.AppSpec })
}

// replacedByLink reports whether a link stands where a file was.
func (x *comparison) replacedByLink() bool {
	return slices.ContainsFunc(x.got.before, func(e treeEntry) bool {
		return e.Type == "file" && slices.ContainsFunc(x.got.Tree, func(g treeEntry) bool { return g.Path == e.Path && g.Type == "symlink" })
	})
}

// linkForDirectory reports whether a link stands where an earlier deployment had
// made a directory.
func (x *comparison) linkForDirectory() bool {
	return slices.ContainsFunc(x.got.before, func(e treeEntry) bool {
		return e.Type == "symlink" && slices.ContainsFunc(x.earlier, func(g *gotDeploy) bool {
			return slices.ContainsFunc(g.Tree, func(o treeEntry) bool { return o.Path == e.Path && o.Type == "dir" })
		})
	})
}

func inTree(list []treeEntry, e treeEntry) bool {
	return slices.ContainsFunc(list, func(o treeEntry) bool { return same(o, e) })
}

// linkedIn reports whether a link beside e leads to it.
func linkedIn(list []treeEntry, e treeEntry) bool {
	return slices.ContainsFunc(list, func(l treeEntry) bool {
		return l.Type == "symlink" && path.Join(path.Dir(l.Path), l.Target) == e.Path
	})
}

// withoutDangers is the mode of an archive's member without what is not taken over.
func withoutDangers(e treeEntry) string {
	mode, err := strconv.ParseUint(withoutSpecial(e.Mode), 8, 32)
	if err != nil || e.Type != "file" {
		return e.Mode
	}
	return fmt.Sprintf("%04o", mode&^0o002)
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func onlyTree(want, got []treeEntry, ok func(w, g treeEntry) bool) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !same(want[i], got[i]) && !ok(want[i], got[i]) {
			return false
		}
	}
	return true
}

func withoutSpecial(mode string) string {
	if len(mode) == 4 {
		return "0" + mode[1:]
	}
	return mode
}

// treeDiff lists what got has and want lacks, and the other way round. Entries
// that are in both, but differ, are in both lists.
func treeDiff(want, got []treeEntry) (more, less []treeEntry) {
	in := func(list []treeEntry, e treeEntry) bool {
		return slices.ContainsFunc(list, func(o treeEntry) bool { return same(o, e) })
	}
	for _, e := range got {
		if !in(want, e) {
			more = append(more, e)
		}
	}
	for _, e := range want {
		if !in(got, e) {
			less = append(less, e)
		}
	}
	return more, less
}
