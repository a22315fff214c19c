package appspec

import (
	"fmt"
	"path"
	"strings"

	"gopkg.in/yaml.v3"
)

var fileKeys = []string{"source", "destination"}

func (p *parser) files(n *yaml.Node) []File {
	members, ok := p.list(n, "a list of entries with source and destination")
	if !ok {
		p.partial = true
		return nil
	}
	out := make([]File, 0, len(members))
	first := map[[2]string]int{}
	p.mappings(members, fileKeys, "a mapping with source and destination", func(m *yaml.Node) {
		f := p.fileEntry(m)
		out = append(out, f)
		key := [2]string{f.Source, f.Destination}
		if line, twice := first[key]; twice && f.Source != "" {
			p.warn(ErrDuplicateDestination, m, fmt.Sprintf("the same entry stands on line %d", line)).
				hint("remove one: installing a file twice is refused")
			return
		}
		first[key] = m.Line
	})
	p.partial = len(out) < len(members)
	return out
}

func (p *parser) fileEntry(m *yaml.Node) File {
	var f [2]*yaml.Node
	p.fields(m, fileKeys, f[:])
	file := File{Pos: at(m)}
	p.at("source", func() {
		if text, ok := p.requiredPath(m, f[0], "no source"); ok {
			file.Source = text
			p.source(f[0], text)
		}
	})
	p.at("destination", func() {
		if text, ok := p.requiredPath(m, f[1], "no destination"); ok {
			file.Destination = text
			p.destination(f[1], text)
		}
	})
	return file
}

// requiredPath reads a required path, which has to be text: the agent hands
// anything else to the file system as it is, and fails there.
func (p *parser) requiredPath(m, n *yaml.Node, missing string) (string, bool) {
	if isNull(n) {
		where := m
		if n != nil {
			where = n
		}
		p.err(ErrMissingField, where, missing)
		return "", false
	}
	text, ok := plainText(n)
	if !ok {
		pr := p.wrongType(n, "text")
		if n.Kind == yaml.ScalarNode {
			pr.hint("put quotes around it")
		}
		return "", false
	}
	p.placeholder(n, text)
	return text, p.controls(n, text)
}

// controls looks for characters that have no place in a path. NUL cannot work at
// all; the others are legal, and nearly always a slip such as a block scalar.
func (p *parser) controls(n *yaml.Node, text string) bool {
	switch i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }); {
	case i < 0:
		return true
	case strings.ContainsRune(text, 0):
		p.err(ErrBadPath, n, "a path cannot hold a NUL character").found(text)
		return false
	default:
		p.warn(ErrBadPath, n, "the path holds a line break or another control character").found(text)
		return true
	}
}

// slashed gives a path with slashes on either system.
func (p *parser) slashed(text string) string {
	if p.windows() {
		return strings.ReplaceAll(text, `\`, "/")
	}
	return text
}

// climbs reports whether a path in the revision leaves it. A leading slash means
// the revision's root.
func climbs(slashed string) bool {
	depth := 0
	for part := range strings.SplitSeq(slashed, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

func (p *parser) source(n *yaml.Node, text string) {
	s := p.slashed(text)
	switch {
	case climbs(s):
		p.err(ErrPathEscapes, n, "the source is outside of the revision").found(text).
			allowed("a path in the revision").hint("a leading slash means the revision's root")
	case p.windows() && hasDrive(s):
		p.warn(ErrBadPath, n, "the source names a drive, but it is taken from the revision").found(text).
			allowed("a path in the revision")
	case text == "":
		p.warn(ErrBadPath, n, "an empty source means the whole revision").allowed("/ for the whole revision")
	case strings.ContainsAny(s, "*?") && !p.windows() || strings.Contains(s, "*"):
		p.warn(ErrBadPath, n, "wildcards are not expanded, the name is taken literally").found(text).
			hint("name the directory: everything in it is installed")
	}
}

// hasDrive reports whether a Windows path names a drive.
func hasDrive(s string) bool {
	return len(s) >= 2 && s[1] == ':' && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
}

func (p *parser) absolute(slashed string) bool {
	if p.windows() {
		return strings.HasPrefix(slashed, "/") || hasDrive(slashed)
	}
	return strings.HasPrefix(slashed, "/")
}

// system are directories that belong to the system as a whole. Installing below
// most of them is normal; giving a whole tree to one of them is not.
var system = map[string]bool{"/": true, "/bin": true, "/boot": true, "/dev": true, "/etc": true, "/lib": true,
	"/lib64": true, "/proc": true, "/run": true, "/sbin": true, "/sys": true, "/usr": true,
	"/usr/bin": true, "/usr/lib": true, "/usr/sbin": true, "/var": true}

func (p *parser) destination(n *yaml.Node, text string) {
	s := p.slashed(text)
	const want = "an absolute path of a directory"
	switch clean := path.Clean(s); {
	case text == "":
		p.warn(ErrBadPath, n, "an empty destination means the host's root").allowed(want)
	case strings.HasPrefix(s, "~"):
		p.warn(ErrBadPath, n, "~ is not expanded, it is taken literally").found(text).allowed(want)
	case !p.absolute(s):
		pr := p.warn(ErrBadPath, n, "a relative destination is taken from the host's root").found(text).allowed(want)
		if hasDrive(s) {
			pr.hint("this is a path of Windows: for its hosts write os: windows")
		}
	case p.protected(clean):
		p.err(ErrProtectedDestination, n, "nothing may be installed there").found(text)
	case system[clean], under(clean, "/proc"), under(clean, "/sys"), under(clean, "/dev"):
		p.warn(ErrProtectedDestination, n, "this directory belongs to the system").found(text).
			hint("install into a directory of your own below it")
	}
}

// protected reports whether a destination lies in a directory that the caller
// protects.
func (p *parser) protected(clean string) bool {
	for _, dir := range p.opt.Protected {
		if under(clean, path.Clean(p.slashed(dir))) {
			return true
		}
	}
	return false
}

// under reports whether name is dir or lies in it. Both are clean.
func under(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
