package install

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/cutover-deploy/cutover/revision"
)

// bundle looks things up in a manifest. Paths are slash-separated; the root is ".".
type bundle struct {
	dir   string
	known map[string]*revision.Entry
	kids  map[string][]string // names in a directory, sorted
}

func newBundle(root string, m revision.Manifest) *bundle {
	b := &bundle{dir: root, known: make(map[string]*revision.Entry, len(m.Entries)+1), kids: map[string][]string{}}
	b.known["."] = &revision.Entry{Path: ".", Mode: fs.ModeDir | 0o755}
	for i := range m.Entries {
		b.add(&m.Entries[i])
	}
	for _, names := range b.kids {
		sort.Strings(names)
	}
	return b
}

func (b *bundle) add(e *revision.Entry) {
	if _, twice := b.known[e.Path]; twice {
		b.known[e.Path] = e // a directory that was implied before
		return
	}
	b.known[e.Path] = e
	parent := path.Dir(e.Path)
	if b.known[parent] == nil {
		b.add(&revision.Entry{Path: parent, Mode: fs.ModeDir | 0o755})
	}
	b.kids[parent] = append(b.kids[parent], path.Base(e.Path))
}

// Where a path in the bundle leads.
type lead int

const (
	leadsIn      lead = iota // to an entry of the bundle
	leadsNowhere             // to nothing, inside the bundle
	leadsOut                 // out of the bundle
	leadsThrough             // through something that is no directory
	leadsRound               // to itself
)

const maxLinks = 40

// resolve follows p from the bundle's root, the last component's link too if last is
// set, and returns the canonical path.
func (b *bundle) resolve(p string, last bool) (string, lead) {
	at, links := ".", 0
	todo := strings.Split(p, "/")
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", leadsOut
			}
			at = path.Dir(at)
			continue
		}
		if e := b.known[at]; e == nil || !e.Mode.IsDir() {
			if e == nil {
				return "", leadsNowhere
			}
			return "", leadsThrough
		}
		next := path.Join(at, name)
		e := b.known[next]
		if e == nil || e.Mode&fs.ModeSymlink == 0 || len(todo) == 0 && !last {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", leadsRound
		}
		if path.IsAbs(e.Link) || filepath.IsAbs(e.Link) {
			return "", leadsOut
		}
		todo = append(strings.Split(e.Link, "/"), todo...)
	}
	if b.known[at] == nil {
		return at, leadsNowhere
	}
	return at, leadsIn
}

// outsideDir says whether a link that leads out of the bundle leads to a directory.
func (b *bundle) outsideDir(p string) bool {
	st, err := os.Stat(filepath.Join(b.dir, filepath.FromSlash(p)))
	return err == nil && st.IsDir()
}

// near lists names of the bundle like the last part of p, for a hint.
func (b *bundle) near(p string) []string {
	base := strings.ToLower(strings.TrimSpace(path.Base(p)))
	var out []string
	for q := range b.known {
		if len(base) > 2 && q != "." && strings.Contains(strings.ToLower(path.Base(q)), strings.TrimSuffix(base, path.Ext(base))) {
			out = append(out, q)
		}
	}
	sort.Strings(out)
	return out[:min(3, len(out))]
}
