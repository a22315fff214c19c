package appspec

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxPlaced bounds how many files of a revision are looked at for collisions.
const maxPlaced = 100_000

// placing knows what installing would put where.
type placing struct {
	files map[string]int // path on the host, to the line that installs it
	dirs  map[string]int
}

// place walks one source and reports the first path that another entry, or the
// same one, puts something else at. Directories of one name are merged, as at
// Install; links are left alone.
func (c *bundle) place(i int, f File, name string, info fs.FileInfo) {
	dest := path.Join("/", c.slashed(f.Destination))
	if !info.IsDir() {
		c.put(i, f, path.Join(dest, path.Base(name)), false)
		return
	}
	_ = fs.WalkDir(c.fsys, name, func(at string, e fs.DirEntry, err error) error {
		if err != nil || len(c.placed.files)+len(c.placed.dirs) > maxPlaced {
			return fs.SkipAll
		}
		target := path.Join(dest, strings.TrimPrefix(strings.TrimPrefix(at, name), "/"))
		if name == "." {
			target = path.Join(dest, at)
		}
		if e.Type()&fs.ModeSymlink == 0 && !c.put(i, f, target, e.IsDir()) {
			return fs.SkipAll
		}
		return nil
	})
}

func (c *bundle) put(i int, f File, target string, dir bool) bool {
	key := c.caseless(target)
	fileLine, file := c.placed.files[key]
	dirLine, isDir := c.placed.dirs[key]
	why := ""
	switch {
	case dir && file:
		why = fmt.Sprintf("line %d installs a file where this entry has a directory", fileLine)
	case !dir && isDir:
		why = fmt.Sprintf("line %d makes a directory where this entry has a file", dirLine)
	case !dir && file:
		why = fmt.Sprintf("line %d installs a file with the same path", fileLine)
	case dir:
		c.placed.dirs[key] = f.Pos.Line
		return true
	default:
		c.placed.files[key] = f.Pos.Line
		return true
	}
	c.add(ErrDuplicateDestination, f.Pos, fmt.Sprintf("files[%d].source", i), why).found(target)
	return false
}

func (c *bundle) slashed(text string) string {
	if c.spec.OS == osWindows {
		return strings.ReplaceAll(text, `\`, "/")
	}
	return text
}

// caseless makes equal what is one path on Windows.
func (c *bundle) caseless(target string) string {
	if c.spec.OS == osWindows {
		return strings.ToLower(target)
	}
	return target
}

// permission checks an entry against what would be installed.
func (c *bundle) permission(i int, p Permission) {
	object := path.Join("/", p.Object)
	where := fmt.Sprintf("permissions[%d]", i)
	if _, file := c.placed.files[object]; file {
		if !slices.Contains(p.Types, TypeFile) {
			c.add(ErrObjectNotManaged, p.Pos, where+".object", "the object is a file, and the entry is for directories only, so it has no effect").found(p.Object)
			return
		}
		if p.Pattern != "**" || len(p.Except) > 0 {
			c.add(ErrPattern, p.Pos, where+".pattern", "the object is a file, for which Install refuses pattern and except").found(p.Object).
				hint("name the directory as the object")
		}
		if slices.ContainsFunc(p.ACLs, func(a ACLEntry) bool { return a.Default }) {
			c.add(ErrACLDefaultOnFile, p.Pos, where+".acls", "the object is a file, which cannot have default entries").found(p.Object)
		}
		return
	}
	if managed(p.Object, c.spec.Files) && !c.reaches(object) {
		c.add(ErrObjectNotManaged, p.Pos, where+".object", "nothing is installed there, so the entry has no effect").found(p.Object)
	}
}

// reaches reports whether something is installed at or below a directory. Past the
// limit nobody knows, and nothing is said.
func (c *bundle) reaches(dir string) bool {
	if len(c.placed.files)+len(c.placed.dirs) > maxPlaced {
		return true
	}
	for _, m := range []map[string]int{c.placed.files, c.placed.dirs} {
		for target := range m {
			if under(target, dir) {
				return true
			}
		}
	}
	return false
}
