package install

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cutover-deploy/cutover/appspec"
)

// decide turns the wanted tree and the view into what is to be done.
func (p *planner) decide() *Plan {
	var id [6]byte
	_, _ = rand.Read(id[:])
	plan := &Plan{req: *p.req, nodes: p.list, tools: newLabeller(p.req)}
	plan.txn = hex.EncodeToString(id[:])
	plan.prev = p.books
	plan.bundle = canonical(p.req.Bundle)
	parked := map[string]bool{}
	for _, n := range p.list {
		p.settle(plan, n, parked)
	}
	p.leave(plan, parked)
	for _, path := range p.retained {
		plan.shown = append(plan.shown, Change{Retain, path, kindFile.String()})
	}
	slices.SortFunc(plan.shown, func(a, b Change) int { return comparePaths(a.Path, b.Path) })
	return plan
}

// settle decides what becomes of a wanted path.
func (p *planner) settle(plan *Plan, n *node, parked map[string]bool) {
	if up := p.nodes[filepath.Dir(n.path)]; up != nil && up.action == Create {
		n.inside = up
	}
	if c := p.view.claims[n.path]; c != nil && !c.stays {
		n.claim, n.now, n.took = c, c.now, c.Took
	}
	if n.kind == kindDir {
		p.dirMode(n)
	}
	raw, err := encodeACLs(n.acl, n.mode, p.ids)
	if err != nil {
		p.refuse(UnknownOwner, n.path, *n.perm, "ACL of %s: %v", n.path, err)
	}
	n.raw = raw
	p.act(plan, n, parked)
	plan.shown = append(plan.shown, Change{n.action, n.path, n.kind.String()})
}

func (p *planner) act(plan *Plan, n *node, parked map[string]bool) {
	c := n.claim
	switch {
	case n.action == Take:
		n.took = plan.keep(n.path, n.now, plan.txn)
	case c == nil || c.now.Kind == kindNone:
		n.action = Create
	case n.kind == kindDir && c.now.Kind == kindDir:
		n.action = Keep
		if m := p.adjust(n); m != nil {
			plan.metas = append(plan.metas, m)
			n.action = Replace
		}
		return
	case unchanged(c, n):
		n.action = Keep
		return
	default:
		n.action = Replace
		if n.kind == kindDir {
			n.action = Create // its content is staged in it
		}
		p.drift(plan, c)
	}
	if n.inside != nil {
		return
	}
	o := plan.op(doPlace, n.path)
	o.Temp, o.Tree = o.mark+".new", n.kind == kindDir
	n.temp = o.Temp
	if n.now.Kind != kindNone {
		o.Park, o.Old = o.mark+".old", n.now.Ino
		o.OldDir = n.now.Kind == kindDir
		if o.OldDir {
			parked[n.path] = true
		}
	}
	plan.ops = append(plan.ops, o)
	plan.tops = append(plan.tops, n)
}

// unchanged says that what is there is what would be put there.
func unchanged(c *claim, n *node) bool {
	if !c.same || c.Kind != n.kind || c.Digest != n.digest || c.Link != n.link || c.Attrs != "" || len(n.raw) > 0 || n.label != nil || c.Label != nil {
		return false
	}
	if n.uid >= 0 && n.uid != c.UID || n.gid >= 0 && n.gid != c.GID {
		return false
	}
	return n.kind == kindLink || c.Mode == n.mode && (!n.stamp || c.Mtime == n.mtime)
}

// drift keeps an edited file, or refuses.
func (p *planner) drift(plan *Plan, c *claim) {
	if !c.edited || c.now.Kind == kindDir {
		return
	}
	if p.req.Drift == DriftFail {
		p.refuse(Drift, c.Path, appspec.Pos{}, "%s was changed by somebody since it was installed; put it back, or remove it", c.Path)
		return
	}
	if c.now.Kind == kindOther {
		p.view.note("%s was replaced by a special file, which is removed", c.Path)
		return
	}
	k := plan.keep(c.Path, c.now, plan.txn+editedSuffix)
	p.view.note("%s was changed by somebody since it was installed; the changed one is kept as %s", c.Path, filepath.Join(p.req.State, keptName, k.ID))
}

// leave decides what becomes of the previous revision's paths that are not wanted.
func (p *planner) leave(plan *Plan, parked map[string]bool) {
	for _, c := range p.view.order {
		if p.nodes[c.Path] != nil && !c.stays {
			continue
		}
		switch {
		case c.stays:
			if c.Kind == kindDir && c.now.Kind == kindDir {
				plan.linger = append(plan.linger, c.record)
			}
		case parked[filepath.Dir(c.Path)]:
			if c.now.Kind == kindDir {
				parked[c.Path] = true
			}
			p.drift(plan, c)
			plan.shown = append(plan.shown, Change{Remove, c.Path, c.Kind.String()})
		case c.now.Kind == kindDir && c.Took == nil:
			plan.drops = append(plan.drops, c.Path)
			plan.shown = append(plan.shown, Change{Remove, c.Path, kindDir.String()})
		default:
			p.leaveFile(plan, c, parked)
		}
	}
}

// leaveFile removes what is at a path, or gives it back what was taken from there.
func (p *planner) leaveFile(plan *Plan, c *claim, parked map[string]bool) {
	if c.Took == nil {
		if c.now.Kind == kindNone {
			return
		}
		p.drift(plan, c)
		o := plan.op(doRemove, c.Path)
		o.Park, o.Old = o.mark+".old", c.now.Ino
		plan.ops = append(plan.ops, o)
		plan.shown = append(plan.shown, Change{Remove, c.Path, c.now.Kind.String()})
		return
	}
	if d := p.openAt(filepath.Dir(c.Path)); d == nil {
		p.view.note("%s: the file that was taken cannot come back, its directory is gone; it is dropped", c.Path)
		return
	}
	o := plan.op(doPlace, c.Path)
	o.Temp = o.mark + ".new"
	if c.now.Kind != kindNone {
		p.drift(plan, c)
		o.Park, o.Old, o.OldDir = o.mark+".old", c.now.Ino, c.now.Kind == kindDir
		parked[c.Path] = o.OldDir
	}
	plan.ops = append(plan.ops, o)
	plan.restores = append(plan.restores, restore{o, c.Took})
	plan.shown = append(plan.shown, Change{Restore, c.Path, c.Took.Kind.String()})
}

// dirMode works out the mode that a new directory has, as the kernel would.
func (p *planner) dirMode(n *node) {
	up := p.look(filepath.Dir(n.path))
	if parent := p.nodes[filepath.Dir(n.path)]; parent != nil {
		up = stat{Mode: parent.mode, GID: parent.gid}
	} else if d := p.openAt(filepath.Dir(n.path)); d != nil {
		up, _ = d.self()
	}
	if up.Mode&fs.ModeSetgid != 0 && n.gid < 0 {
		n.gid = up.GID
	}
	if n.fixed {
		return
	}
	n.mode = 0o777&^p.umask() | up.Mode&fs.ModeSetgid
	n.fixed = p.req.Umask != nil
}

func (p *planner) umask() fs.FileMode {
	if p.req.Umask != nil {
		return p.req.Umask.Perm()
	}
	if p.mask == nil {
		// The mask cannot be read everywhere without changing it, so a directory of
		// our own tells it.
		m := fs.FileMode(0o022)
		if err := os.MkdirAll(p.req.State, 0o700); err == nil {
			probe := filepath.Join(p.req.State, "umask.probe")
			_ = os.Remove(probe)
			if os.Mkdir(probe, 0o777) == nil {
				if st, err := os.Stat(probe); err == nil {
					m = 0o777 &^ st.Mode().Perm()
				}
				_ = os.Remove(probe)
			}
		}
		p.mask = &m
	}
	return *p.mask
}

// adjust says how an owned directory that is used again must change to be as if it had
// been made anew; nil: not at all.
func (p *planner) adjust(n *node) *op {
	c := n.claim
	uid := n.uid
	if uid < 0 {
		uid = p.ids.euid
	}
	gid := n.gid
	if gid < 0 {
		gid = p.ids.egid
	}
	if p.ids.euid < 0 { // no owners here
		uid, gid = -1, -1
	}
	old := meta{UID: c.now.UID, GID: c.now.GID, Mode: c.now.Mode}
	now := meta{UID: uid, GID: gid, Mode: n.mode}
	if len(n.raw) > 0 || c.Attrs != "" {
		if d, err := openDir(n.path); err == nil {
			old.ACLs = d.acls()
			d.close()
		}
		now.ACLs = []attr{{Name: aclAccess}, {Name: aclDefault}}
		for _, a := range n.raw {
			now.ACLs[slices.IndexFunc(now.ACLs, func(b attr) bool { return b.Name == a.Name })] = a
		}
	} else if old.UID == now.UID && old.GID == now.GID && old.Mode == now.Mode {
		return nil
	}
	o := &op{Do: doMeta, Dir: n.path, Was: &old, Now: &now}
	return o
}

func (p *Plan) op(do, path string) *op {
	p.counter++
	return &op{Do: do, Dir: filepath.Dir(path), Name: filepath.Base(path), mark: tempPrefix + p.txn + "-" + strconv.FormatInt(int64(p.counter), 36)}
}

// keep notes that a file is to be kept in State before it goes.
func (p *Plan) keep(path string, st stat, under string) *kept {
	k := &kept{ID: fmt.Sprintf("%s/%d", under, len(p.keeps)+1), Kind: st.Kind, Mode: st.Mode, Size: st.Size, UID: st.UID, GID: st.GID, Mt: st.Mtime}
	p.keeps = append(p.keeps, keep{path, k})
	return k
}
