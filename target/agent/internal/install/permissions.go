package install

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// permissions applies the permissions section to what this install makes, by the
// official agent's rules: a file object means itself, a directory object everything
// planned below it and never itself.
func (p *planner) permissions() {
	if len(p.req.Spec.Permissions) == 0 {
		return
	}
	byText := make(map[string]*node, len(p.list))
	for _, n := range p.list {
		byText[n.text] = n
	}
	for i := range p.req.Spec.Permissions {
		pm := &p.req.Spec.Permissions[i]
		object, err := p.ground.locate(pm.Object)
		if err != nil {
			p.refuse(BadPath, pm.Object, pm.Pos, "object: %v", err)
			continue
		}
		p.permission(pm, object, byText[object])
	}
}

func (p *planner) permission(pm *appspec.Permission, object string, n *node) {
	files := slices.Contains(pm.Types, appspec.TypeFile)
	switch {
	case n != nil && n.kind != kindDir:
		if !files {
			p.unused(pm, "is a file, and the entry is for directories only")
		} else if p.fileObject(pm, object) {
			p.grant(pm, n)
		}
		return
	case n == nil && !p.isDir(object):
		p.unused(pm, "is not installed by this AppSpec")
		return
	}
	hits := 0
	for _, n := range p.list {
		if n.text == object || !under(n.text, object) || !p.matches(pm, object, n) {
			continue
		}
		if n.kind != kindDir && hasDefault(pm) {
			p.refuse(DefaultACLOnFile, n.path, pm.Pos, "%s is a file and cannot have default ACL entries; give the entry type directory", n.path)
			return
		}
		p.grant(pm, n)
		hits++
	}
	if hits == 0 {
		p.unused(pm, "matches nothing that this AppSpec installs below it")
	}
}

func (p *planner) isDir(object string) bool {
	_, missing, prob := p.follow(object)
	return prob == nil && len(missing) == 0
}

// fileObject checks what an entry for a single file may not have.
func (p *planner) fileObject(pm *appspec.Permission, object string) bool {
	switch {
	case pm.Pattern != "**":
		p.refuse(PermissionPatternOnFile, object, pm.Pos, "object %s is a file; take the pattern away", pm.Object)
	case len(pm.Except) > 0:
		p.refuse(PermissionExceptOnFile, object, pm.Pos, "object %s is a file; take the except list away", pm.Object)
	case hasDefault(pm):
		p.refuse(DefaultACLOnFile, object, pm.Pos, "object %s is a file and cannot have default ACL entries", pm.Object)
	default:
		return true
	}
	return false
}

func hasDefault(pm *appspec.Permission) bool {
	return slices.ContainsFunc(pm.ACLs, func(e appspec.ACLEntry) bool { return e.Default })
}

// matches says whether an entry for a directory object means n, which lies below it.
func (p *planner) matches(pm *appspec.Permission, object string, n *node) bool {
	want := appspec.TypeFile
	if n.kind == kindDir {
		want = appspec.TypeDirectory
	}
	if !slices.Contains(pm.Types, want) {
		return false
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(n.text, object), string(filepath.Separator))
	if pm.Pattern != "**" && !glob(pm.Pattern, rel) {
		return false
	}
	return !slices.ContainsFunc(pm.Except, func(e string) bool { return glob(e, rel) })
}

// glob matches direct children only. A star is any run of characters; everything
// else is itself.
func glob(pattern, name string) bool {
	if strings.ContainsRune(name, filepath.Separator) {
		return false
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, last)
}

// unused reports an entry without effect, which the official agent skips silently.
func (p *planner) unused(pm *appspec.Permission, why string) {
	if p.req.Strict {
		p.refuse(PermissionUnused, pm.Object, pm.Pos, "permissions object %s %s", pm.Object, why)
		return
	}
	p.notes = append(p.notes, lifecycle.Note{Text: fmt.Sprintf("appspec line %d: permissions object %s %s; the entry has no effect", pm.Pos.Line, pm.Object, why)})
}

// grant gives n what the entry says.
func (p *planner) grant(pm *appspec.Permission, n *node) {
	if n.perm != nil {
		p.refuse(DuplicatePermission, n.path, pm.Pos, "%s is meant by two permissions entries, at lines %d and %d; except it in one", n.path, n.perm.Line, pm.Pos.Line)
		return
	}
	n.perm = &pm.Pos
	if pm.Owner != "" {
		n.uid = p.id(pm, "owner", pm.Owner, p.ids.user)
	}
	if pm.Group != "" {
		n.gid = p.id(pm, "group", pm.Group, p.ids.group)
	}
	if (pm.Owner != "" || pm.Group != "") && !p.ids.mayGive(n.uid, n.gid) {
		p.refuse(OwnerNotPermitted, n.path, pm.Pos, "%s cannot be given to owner %q group %q: that needs root", n.path, pm.Owner, pm.Group)
	}
	if n.kind == kindLink {
		return // modes, ACLs and contexts are those of what a link leads to
	}
	if pm.Mode != nil {
		n.mode, n.fixed = *pm.Mode&modeBits, true
	}
	n.acl = pm.ACLs
	if pm.Context != nil {
		n.label = &label{User: pm.Context.User, Type: pm.Context.Type, Range: pm.Context.Range}
	}
}

// id looks an account up; an unknown one is reported once per entry.
func (p *planner) id(pm *appspec.Permission, what, name string, find func(string) (int, error)) int {
	id, err := find(name)
	if err != nil && !p.ids.told[pm.Pos.Line][what+name] {
		if p.ids.told[pm.Pos.Line] == nil {
			p.ids.told[pm.Pos.Line] = map[string]bool{}
		}
		p.ids.told[pm.Pos.Line][what+name] = true
		p.refuse(UnknownOwner, pm.Object, pm.Pos, "permissions of %s: there is no %s %q on this host: %v", pm.Object, what, name, err)
	}
	return id
}
