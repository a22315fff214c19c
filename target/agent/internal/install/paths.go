package install

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
)

// ground is where installing is allowed, with all links resolved.
type ground struct {
	root      string   // canonical
	bases     []string // canonical: root and the allowed directories
	aliases   [][2]string
	protected []string
}

func newGround(req *Request) (*ground, error) {
	if !filepath.IsAbs(req.Root) {
		return nil, fmt.Errorf("root %q is not an absolute path", req.Root)
	}
	root, err := filepath.EvalSymlinks(req.Root)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	g := &ground{root: root}
	g.base(req.Root)
	for _, a := range req.Allow {
		if !filepath.IsAbs(a) {
			return nil, fmt.Errorf("allowed directory %q is not an absolute path", a)
		}
		g.base(a)
	}
	for _, p := range append([]string{req.State, req.Bundle}, req.Protected...) {
		if p != "" {
			g.protected = append(g.protected, canonical(p))
		}
	}
	return g, nil
}

func (g *ground) base(path string) {
	path = filepath.Clean(path)
	real := canonical(path)
	g.bases = append(g.bases, real)
	g.aliases = append(g.aliases, [2]string{path, real}, [2]string{real, real})
}

// canonical resolves the links of the part of a path that exists.
func canonical(path string) string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(canonical(parent), filepath.Base(path))
}

func (g *ground) allows(real string) bool {
	for _, b := range g.bases {
		if under(real, b) {
			return true
		}
	}
	return false
}

func (g *ground) protects(real string) string {
	for _, p := range g.protected {
		if under(real, p) {
			return p
		}
	}
	return ""
}

// locate turns a path of the AppSpec into one of this machine, by text alone. The
// result lies under a base.
func (g *ground) locate(text string) (string, error) {
	switch {
	case strings.ContainsRune(text, 0):
		return "", fmt.Errorf("path %q holds a NUL character", text)
	case strings.HasPrefix(text, "~"):
		return "", fmt.Errorf("path %q: a tilde is not expanded; write the directory out", text)
	}
	p := filepath.FromSlash(text)
	if filepath.IsAbs(p) {
		p = filepath.Clean(p)
		for _, a := range g.aliases {
			if under(p, a[0]) {
				return filepath.Join(a[1], strings.TrimPrefix(p, a[0])), nil
			}
		}
		p = p[len(filepath.VolumeName(p)):]
	}
	return filepath.Join(g.root, filepath.Clean(string(filepath.Separator)+p)), nil
}

// follow walks a located path through the view and the plan so far. It returns the
// directory with links resolved, and what of the path does not exist yet.
func (p *planner) follow(text string) (real string, missing []string, prob *Problem) {
	base := p.ground.root
	for _, b := range p.ground.bases {
		if under(text, b) && (len(b) > len(base) || !under(text, base)) {
			base = b
		}
	}
	real, links, link, after := base, 0, "", -1 // the last link, and how many parts follow it
	todo := components(text[len(base):])
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			real = filepath.Dir(real)
			continue
		}
		next := filepath.Join(real, name)
		st := p.look(next)
		switch st.Kind {
		case kindDir:
			real = next
		case kindNone:
			if len(todo) >= after && link != "" {
				real, missing, prob = p.inGround(text, real, append([]string{name}, todo...))
				if prob == nil {
					prob = &Problem{Code: NotDirectory, Path: link, Text: fmt.Sprintf(
						"a directory is needed at %s, where there is a link to nothing; make its target, or remove it", link)}
				}
				return real, missing, prob
			}
			return p.inGround(text, real, append([]string{name}, todo...))
		case kindLink:
			if links++; links > maxLinks {
				return "", nil, &Problem{Code: DestinationEscapes, Path: text, Text: "destination " + text + ": too many links at " + next}
			}
			target := p.readlink(next)
			link, after = next, len(todo)
			if filepath.IsAbs(target) {
				real = filepath.VolumeName(target) + string(filepath.Separator)
			}
			todo = append(components(target), todo...)
		default:
			if n := p.nodes[next]; n != nil {
				return "", nil, &Problem{Code: DirectoryOverFile, Path: next, Text: fmt.Sprintf(
					"a directory is needed at %s, where %s is to be installed; change one of the destinations", next, n.src)}
			}
			return "", nil, &Problem{Code: NotDirectory, Path: next, Text: fmt.Sprintf(
				"a directory is needed at %s, where there is a %s; move it away", next, st.Kind)}
		}
	}
	return p.inGround(text, real, nil)
}

func components(path string) []string {
	var out []string
	for _, c := range strings.Split(filepath.ToSlash(path), "/") {
		if c != "" && c != "." {
			out = append(out, c)
		}
	}
	return out
}

func (p *planner) inGround(text, real string, missing []string) (string, []string, *Problem) {
	if !p.ground.allows(real) {
		return "", nil, &Problem{Code: DestinationEscapes, Path: text, Text: fmt.Sprintf(
			"destination %s leads through a link to %s, outside the host's root; allow that directory or install there", text, real)}
	}
	for i, name := range missing {
		if name == ".." {
			return "", nil, &Problem{Code: DestinationEscapes, Path: text, Text: fmt.Sprintf(
				"destination %s leads through a link over a directory that does not exist, %s", text, filepath.Join(append([]string{real}, missing[:i]...)...))}
		}
	}
	return real, missing, nil
}

// look is lookup with what the plan will make; the directory handle is kept for the
// next question.
func (p *planner) look(real string) stat {
	if n := p.nodes[real]; n != nil {
		return stat{Kind: n.kind}
	}
	parent := filepath.Dir(real)
	if n := p.nodes[parent]; n != nil {
		return stat{} // the plan makes the parent
	}
	d := p.openAt(parent)
	if d == nil {
		return stat{}
	}
	return p.view.lookup(d, real)
}

func (p *planner) openAt(path string) *dir {
	if p.at != path || p.atDir == nil {
		p.atDir.close()
		p.at = path
		p.atDir, _ = openDir(path)
	}
	return p.atDir
}

func (p *planner) readlink(real string) string {
	d := p.openAt(filepath.Dir(real))
	if d == nil {
		return ""
	}
	text, _ := d.readlink(filepath.Base(real))
	return text
}

func (p *planner) refuse(code Code, path string, pos appspec.Pos, format string, args ...any) {
	p.problems = append(p.problems, &Problem{Code: code, Path: path, Pos: pos, Text: fmt.Sprintf(format, args...)})
}
