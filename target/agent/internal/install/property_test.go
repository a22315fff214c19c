package install

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawTree makes a small tree of files, directories and links with names that often
// meet: what is a file in one is a directory in another.
func drawTree(t *rapid.T, label string) files {
	f := files{}
	dirs := map[string]bool{}
	n := rapid.IntRange(0, 8).Draw(t, label+" files")
	for i := range n {
		depth := rapid.IntRange(1, 3).Draw(t, "depth")
		var parts []string
		for range depth {
			parts = append(parts, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"))
		}
		p := strings.Join(parts, "/")
		if clash(f, dirs, p) {
			continue
		}
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
		f[p] = rapid.SampledFrom([]string{"one", "two", "three", "-> ../gone", "-> nowhere"}).Draw(t, fmt.Sprintf("content %d", i))
	}
	return f
}

func clash(f files, dirs map[string]bool, p string) bool {
	if _, there := f[p]; there || dirs[p] {
		return true
	}
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if _, file := f[d]; file {
			return true
		}
	}
	return false
}

// plant puts foreign files into the destination where nothing is in their way.
func (w *world) plant(f files) {
	for p, content := range f {
		at := w.path("srv/" + p)
		if _, err := os.Lstat(at); err == nil {
			continue
		}
		if os.MkdirAll(path.Dir(at), 0o755) == nil {
			_ = os.WriteFile(at, []byte("foreign "+content), 0o640)
		}
	}
}

// foreign lists the files that plant made and that are there.
func (w *world) foreign(list []string) (out []string) {
	for _, line := range list {
		if strings.Contains(line, `"foreign `) {
			out = append(out, line)
		}
	}
	return out
}

func app(f files) files {
	out := files{"app/": ""}
	for k, v := range f {
		out["app/"+k] = v
	}
	return out
}

func TestE5_E16_ForeignFilesSurviveEverything(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w := worldIn(t, fmt.Sprintf("%s/%d", base, run))
		defer os.RemoveAll(w.base)
		require.NoError(t, os.MkdirAll(w.path("srv"), 0o755))
		taken := map[string]string{} // foreign files under ours, by path
		for step := range rapid.IntRange(1, 4).Draw(rt, "steps") {
			w.plant(drawTree(rt, "foreign"))
			before := snapshot(t, w.root)
			behave := rapid.SampledFrom([]string{"DISALLOW", "OVERWRITE", "RETAIN"}).Draw(rt, "behaviour")
			r := w.request(app(drawTree(rt, "revision")), func(r *Request) { r.FileExists = behave })
			fail := rapid.IntRange(0, 60).Draw(rt, "fails at")
			boom := errors.New("boom")
			r.seam = countdown(fail, func() error { return boom })
			p, err := NewPlan(t.Context(), r)
			if err != nil {
				if !slices.Equal(before, snapshot(t, w.root)) {
					rt.Fatalf("step %d: a refusal changed something: %v", step, err)
				}
				continue
			}
			if err = p.Apply(t.Context()); err != nil {
				if after := snapshot(t, w.root); !slices.Equal(before, after) {
					rt.Fatalf("step %d: not put back after %v:\n%s\nnow\n%s", step, err, strings.Join(before, "\n"), strings.Join(after, "\n"))
				}
				continue
			}
			if _, err := Recover(t.Context(), r.State); err != nil {
				rt.Fatal(err)
			}
			w.account(rt, p, before, taken)
		}
		w.deploy(app(files{}))
		end := snapshot(t, w.root)
		for name, line := range taken {
			// A directory that holds foreign files now cannot give way to it.
			blocked := slices.ContainsFunc(end, func(l string) bool { return strings.HasPrefix(l, name+"/") })
			if !blocked && !slices.Contains(end, line) {
				rt.Fatalf("taken and never brought back: %s", line)
			}
		}
		for _, line := range end {
			if strings.Contains(line, tempPrefix) || strings.Contains(line, " f") && !strings.Contains(line, `"foreign `) {
				rt.Fatalf("left behind: %s", line)
			}
		}
	})
}

// account checks one install: every foreign file is where it was, or was taken, and
// everything of the revision is there.
func (w *world) account(rt *rapid.T, p *Plan, before []string, taken map[string]string) {
	after := snapshot(w.t, w.root)
	for _, line := range w.foreign(before) {
		name := strings.Fields(line)[0]
		if slices.Contains(after, line) {
			continue
		}
		took := slices.ContainsFunc(p.nodes, func(n *node) bool { return n.path == w.path(name) && n.action == Take })
		if !took {
			rt.Fatalf("foreign file changed: %s", line)
		}
		taken[name] = line
	}
	for name, line := range taken {
		if slices.Contains(after, line) {
			delete(taken, name)
		}
	}
	for _, n := range p.nodes {
		st, err := lstatPath(n.path)
		if err != nil || st.Kind != n.kind {
			rt.Fatalf("%s %s is not there", n.kind, n.path)
		}
		if n.kind == kindFile && digestAt(n.path) != n.digest {
			rt.Fatalf("%s has wrong content", n.path)
		}
	}
}

func digestAt(p string) string {
	d, err := openParent(p)
	if err != nil {
		return ""
	}
	defer d.close()
	return digestOf(d, path.Base(p))
}
