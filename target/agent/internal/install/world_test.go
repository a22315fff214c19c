package install

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hashicorp/go-multierror"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// world is a host's root, a group's state, and revisions.
type world struct {
	t    testing.TB
	base string
	root string
	n    int
}

func newWorld(t testing.TB) *world { return worldIn(t, t.TempDir()) }

func worldIn(t testing.TB, base string) *world {
	w := &world{t: t, base: base, root: filepath.Join(base, "root")}
	require.NoError(t, os.MkdirAll(w.root, 0o755))
	return w
}

func (w *world) path(p string) string  { return filepath.Join(w.root, filepath.FromSlash(p)) }
func (w *world) state(g string) string { return filepath.Join(w.base, "state-"+g) }

// write makes a file under the root: "path" or "path mode".
func (w *world) write(p, content string, mode ...fs.FileMode) {
	writeFile(w.t, w.path(p), content, mode...)
}

func writeFile(t testing.TB, p, content string, mode ...fs.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, []byte(content), 0o644))
	if len(mode) > 0 {
		require.NoError(t, os.Chmod(p, mode[0]))
	}
}

func (w *world) read(p string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.path(p))
	require.NoError(w.t, err)
	return string(b)
}

// files is a revision: a name ending in "/" is a directory, content "-> x" a link.
type files map[string]string

func (w *world) bundle(f files) string {
	w.n++
	dir := filepath.Join(w.base, fmt.Sprintf("bundle-%d", w.n))
	require.NoError(w.t, os.MkdirAll(dir, 0o755))
	for name, content := range f {
		p := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(w.t, os.MkdirAll(filepath.Dir(p), 0o755))
		if strings.HasSuffix(name, "/") {
			require.NoError(w.t, os.MkdirAll(p, 0o755))
		} else if to, ok := strings.CutPrefix(content, "-> "); ok {
			require.NoError(w.t, os.Symlink(to, p))
		} else {
			writeFile(w.t, p, content)
		}
	}
	return dir
}

func manifestOf(t testing.TB, dir string) revision.Manifest {
	t.Helper()
	var m revision.Manifest
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		e := revision.Entry{Path: filepath.ToSlash(rel), Mode: fi.Mode()}
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			e.Size, e.Digest = fi.Size(), hex.EncodeToString(sum[:])
		case fi.Mode()&fs.ModeSymlink != 0:
			e.Link, _ = os.Readlink(p)
		}
		m.Entries = append(m.Entries, e)
		return nil
	}))
	sort.Slice(m.Entries, func(i, j int) bool { return m.Entries[i].Path < m.Entries[j].Path })
	return m
}

// spec makes an AppSpec from "source destination" pairs.
func spec(pairs ...string) *appspec.Spec {
	s := &appspec.Spec{Platform: lifecycle.Server, OS: "linux"}
	for i := 0; i < len(pairs); i += 2 {
		s.Files = append(s.Files, appspec.File{Source: pairs[i], Destination: pairs[i+1], Pos: appspec.Pos{Line: 4 + i, Col: 5}})
	}
	return s
}

// request is a deployment of bundle, everything in app to /srv unless changed.
func (w *world) request(f files, change ...func(*Request)) Request {
	w.t.Helper()
	dir := w.bundle(f)
	r := Request{
		Root: w.root, State: w.state("g"), Bundle: dir, Manifest: manifestOf(w.t, dir), Spec: spec("app", "/srv"),
		Group: "g", Deployment: fmt.Sprintf("d-%d", w.n),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func (w *world) deploy(f files, change ...func(*Request)) *Plan {
	w.t.Helper()
	p, err := w.try(w.request(f, change...))
	require.NoError(w.t, err)
	return p
}

func (w *world) try(r Request) (*Plan, error) {
	p, err := NewPlan(w.t.Context(), r)
	if err != nil {
		return nil, err
	}
	return p, p.Apply(w.t.Context())
}

// refused deploys, expects a refusal that touched nothing, and returns its codes.
func (w *world) refused(f files, change ...func(*Request)) []*Problem {
	w.t.Helper()
	r := w.request(f, change...)
	before := snapshot(w.t, w.root)
	_, err := w.try(r)
	require.Error(w.t, err)
	e, ok := err.(*lifecycle.Error)
	require.True(w.t, ok, "%T %v", err, err)
	require.Equal(w.t, lifecycle.InstallRefused, e.Code, e.Message)
	require.Equal(w.t, before, snapshot(w.t, w.root), "a refusal touches nothing")
	var out []*Problem
	for _, c := range e.Err.(*multierror.Error).Errors {
		if pr, ok := c.(*Problem); ok {
			out = append(out, pr)
		} else {
			w.t.Fatalf("not a problem: %v", c)
		}
	}
	return out
}

func codes(ps []*Problem) (out []Code) {
	for _, p := range ps {
		out = append(out, p.Code)
	}
	return out
}

// snapshot lists a tree: kind, mode, owner, content or link text of each path.
func snapshot(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		st, err := lstatPath(p)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %c %v %d:%d", rel, st.Kind, st.Mode, st.UID, st.GID)
		switch st.Kind {
		case kindFile:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %q", st.Mtime, b)
		case kindLink:
			to, _ := os.Readlink(p)
			line += " -> " + to
		}
		out = append(out, line)
		return nil
	}))
	return out
}

func lstatPath(p string) (stat, error) {
	d, err := openParent(p)
	if err != nil {
		return stat{}, err
	}
	defer d.close()
	return d.lstat(filepath.Base(p))
}

// tree lists paths under the root only.
func (w *world) tree() (out []string) {
	for _, line := range snapshot(w.t, w.root) {
		out = append(out, strings.Fields(line)[0])
	}
	return out[1:]
}

func overwrite(r *Request) { r.FileExists = "OVERWRITE" }
func retain(r *Request)    { r.FileExists = "retain" }

// countdown calls act at the n-th effect, counted from 1.
func countdown(n int, act func() error) func(string) error {
	var mu sync.Mutex
	seen := 0
	return func(string) error {
		mu.Lock()
		defer mu.Unlock()
		seen++
		if seen == n {
			if err := act(); err != nil {
				return err
			}
		}
		return nil
	}
}
