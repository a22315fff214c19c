package appspec

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// bundleRules says how severe each finding about the revision's files is, and
// why. What is certain to fail at run time is an error, so that it fails before
// any host is touched.
var bundleRules = map[Code]struct {
	severity Severity
	reason   string
}{
	ErrScriptMissing:        {Error, "the event fails when it comes to the script, after earlier events have changed the host"},
	ErrScriptType:           {Error, "only a regular file inside of the revision can be a script that was reviewed with it"},
	ErrScriptCRLF:           {Error, "the system looks for an interpreter whose name ends in a carriage return"},
	ErrScriptUnreadable:     {Error, "what cannot be read cannot be checked or run"},
	ErrSourceMissing:        {Error, "the agent notices it only when other files were replaced"},
	ErrDuplicateDestination: {Error, "Install refuses two files with one path"},
	ErrPathEscapes:          {Error, "what is installed must be what was reviewed with the revision"},
	ErrPattern:              {Error, "Install refuses it when it comes to the permissions"},
	ErrACLDefaultOnFile:     {Error, "Install refuses it when it comes to the permissions"},
	ErrObjectNotManaged:     {Warning, "the entry is silently without effect"},
	ErrScriptEmpty:          {Warning, "the agent runs it and counts it as success, but nobody wants it"},
	ErrScriptNoShebang:      {Warning, "the agent falls back to the system's shell"},
	ErrScriptLineEnds:       {Warning, "a shell takes a carriage return for a part of the word before it"},
}

// CheckBundle checks the AppSpec against the files of its revision, before any
// host is touched: scripts are there, regular, inside of the revision and able to
// start, as far as their beginning tells; sources are there, and no two of them end
// at one path. That time limits add up, [Parse] has checked. With opt.Deep this
// holds for all files in directories, too, and permissions are for what is
// installed. Findings come in file order, errors and warnings together; opt.Strict
// makes all of them errors. Their File is the AppSpec's, if name is given. fsys is
// only read; if it can read links (os.DirFS, os.Root), a link that leaves the
// revision is found.
func (s *Spec) CheckBundle(name string, fsys fs.FS, opt Options) []*Problem {
	c := &bundle{spec: s, file: name, fsys: fsys, placed: placing{map[string]int{}, map[string]int{}}, deep: opt.Deep}
	for i, f := range s.Files {
		c.source(i, f)
	}
	if opt.Deep {
		for i, p := range s.Permissions {
			c.permission(i, p)
		}
	}
	checked := map[string]bool{}
	for _, h := range s.Hooks {
		if !lifecycle.Server.Takes(h.Event) {
			continue // never runs, which Parse has said
		}
		for i, sc := range h.Scripts {
			c.script(fmt.Sprintf("hooks.%s[%d].location", plainKey(string(h.Event)), i), sc, checked)
		}
	}
	return finish(c.problems, opt.Strict)
}

// bundle checks one revision.
type bundle struct {
	spec     *Spec
	file     string
	fsys     fs.FS
	placed   placing
	deep     bool
	problems []*Problem
}

func (c *bundle) add(code Code, pos Pos, where, why string) *Problem {
	pr := &Problem{File: c.file, Line: pos.Line, Col: pos.Col, Path: where,
		Severity: bundleRules[code].severity, Code: code, Why: why}
	c.problems = append(c.problems, pr)
	return pr
}

// inside converts a path of the AppSpec to one of fsys.
func (c *bundle) inside(text string) string {
	name := path.Clean(strings.TrimLeft(path.Clean("/"+c.slashed(text)), "/"))
	if c.spec.OS != osWindows || exists(c.fsys, name) {
		return name
	}
	return cmp.Or(c.folded(name), name) // there, letters have no case
}

func (c *bundle) source(i int, f File) {
	where := fmt.Sprintf("files[%d].source", i)
	name := c.inside(f.Source)
	info, err := lstat(c.fsys, name)
	if err != nil {
		pr := c.add(ErrSourceMissing, f.Pos, where, "the revision has no such file or directory").found(f.Source)
		if near := c.near(name); near != "" {
			pr.nearest(near)
		}
		return
	}
	if _, found, why := follow(c.fsys, name); c.deep && found != nil && !found.IsDir() && why != "" {
		c.add(ErrPathEscapes, f.Pos, where, why).found(f.Source).allowed("a file or directory in the revision")
		return
	}
	if !info.IsDir() || c.deep {
		c.place(i, f, name, info)
	}
}

// near looks for a name like that of a missing file: the same in other letters,
// or one beside it, or anywhere at the top.
func (c *bundle) near(name string) string {
	if same := c.folded(name); same != "" && same != name {
		return same
	}
	dir := path.Dir(name)
	if n := nearest(path.Base(name), entries(c.fsys, dir)); n != "" && path.Join(dir, n) != name {
		return path.Join(dir, n)
	}
	if n := nearest(name, entries(c.fsys, ".")); n != name {
		return n
	}
	return ""
}

// folded finds a path in other letters, as Windows does; empty: there is none.
func (c *bundle) folded(name string) string {
	at := "."
	for part := range strings.SplitSeq(name, "/") {
		names := entries(c.fsys, at)
		i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, part) })
		if i < 0 {
			return ""
		}
		at = path.Join(at, names[i])
	}
	return at
}

// entries lists a directory, a limited number of names.
func entries(fsys fs.FS, dir string) []string {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	names := make([]string, 0, min(len(list), 1000))
	for _, e := range list[:min(len(list), 1000)] {
		names = append(names, e.Name())
	}
	return names
}

func (c *bundle) script(where string, s Script, checked map[string]bool) {
	if s.Location == "" {
		return // Parse has said so
	}
	name := c.inside(s.Location)
	found, info, why := follow(c.fsys, name)
	switch {
	case why == "":
	case info == nil:
		pr := c.add(ErrScriptMissing, s.Pos, where, why).found(s.Location)
		c.missingHint(pr, name, s.Location)
		return
	default:
		c.add(ErrScriptType, s.Pos, where, why).found(s.Location).allowed("a regular file in the revision")
		return
	}
	if !checked[found] {
		checked[found] = true
		c.content(where, s, found, info)
	}
}

// missingHint explains the usual reasons for a script that is not there.
func (c *bundle) missingHint(pr *Problem, name, location string) {
	first, _, args := strings.Cut(name, " ")
	switch {
	case args && fs.ValidPath(first) && exists(c.fsys, first):
		pr.hint("a location takes no arguments: put the command line into a script")
	case strings.HasPrefix(location, "/"):
		pr.hint("a leading slash means the revision's root, not the host's")
	default:
		pr.nearest(c.near(name))
	}
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

// maxLinks is how many links are followed in one path, as in Linux.
const maxLinks = 40

// follow walks a path inside of the revision, part by part, and follows links by
// itself: the file system would follow them to anywhere. why is empty when a
// regular file is found. Otherwise info is nil if nothing is there.
func follow(fsys fs.FS, name string) (found string, info fs.FileInfo, why string) {
	const missing = "the revision has no such script"
	rest := strings.Split(name, "/")
	at := "."
	info, _ = lstat(fsys, at)
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			if at == "." {
				return "", info, "it is a link that leaves the revision"
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		var err error
		if info, err = lstat(fsys, next); err != nil {
			if links > 0 {
				return "", nil, "it is a link to what the revision does not have"
			}
			return "", nil, missing
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := fs.ReadLink(fsys, next)
		if links++; err != nil || links > maxLinks || path.IsAbs(target) {
			return "", info, "it is a link that leaves the revision or leads nowhere"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, info, regular(info)
}

// regular says why a file cannot be a script; empty: it can.
func regular(info fs.FileInfo) string {
	switch {
	case info == nil || info.IsDir():
		return "it is a directory"
	case info.Mode()&fs.ModeNamedPipe != 0:
		return "it is a named pipe"
	case info.Mode()&fs.ModeDevice != 0:
		return "it is a device"
	case !info.Mode().IsRegular():
		return "it is not a regular file"
	}
	return ""
}

// lstat does not follow the last link where the file system can tell.
func lstat(fsys fs.FS, name string) (fs.FileInfo, error) { return fs.Lstat(fsys, name) }
