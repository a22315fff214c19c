package install

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// check refuses what would fail in the middle: no space, read-only places, missing
// support for ACLs and labels, names that the file system merges.
func (p *planner) check(plan *Plan) {
	need := &demands{byDir: map[string]*demand{}, byDev: map[uint64]*demand{}}
	checked := map[string]bool{}
	for _, o := range plan.ops {
		if !checked[o.Dir] {
			checked[o.Dir] = true
			p.checkDir(o.Dir)
		}
		p.checkOld(o)
	}
	for _, n := range p.list {
		if n.action == Keep {
			continue
		}
		if q := p.demandOn(need, filepath.Dir(n.path)); q != nil {
			q.files++
			q.bytes += (uint64(n.size) + q.block - 1) / q.block * q.block
		}
	}
	for _, d := range need.list {
		p.checkSpace(d)
	}
	p.checkACLs()
	p.checkLabels(plan)
	p.checkNames()
}

// standing is the deepest directory on the way to path that exists on disk now.
func (p *planner) standing(path string) (*dir, string) {
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		if d := p.openAt(at); d != nil {
			return d, at
		}
		if at == filepath.Dir(at) {
			return nil, at
		}
	}
}

func (p *planner) checkDir(path string) {
	d := p.openAt(path)
	if d == nil {
		return
	}
	if _, _, _, ro, err := d.space(); err == nil && ro {
		p.refuse(ReadOnly, path, appspec.Pos{}, "%s lies on a read-only file system; mount it writable", path)
		return
	}
	if why := d.locked(""); why != "" {
		p.refuse(ReadOnly, path, appspec.Pos{}, "directory %s is %s; take the attribute away", path, why)
		return
	}
	if !d.writable() {
		p.refuse(ReadOnly, path, appspec.Pos{}, "directory %s is not writable for this user", path)
	}
}

// checkOld looks at a file that has to give way.
func (p *planner) checkOld(o *op) {
	d := p.openAt(o.Dir)
	if d == nil || o.Park == "" {
		return
	}
	if why := d.locked(o.Name); why != "" {
		p.refuse(ReadOnly, o.path(), appspec.Pos{}, "%s is %s and cannot be replaced; take the attribute away", o.path(), why)
	}
	self, err := d.self()
	if st, ok := d.exists(o.Name); ok && err == nil && st.Dev != self.Dev {
		p.refuse(CrossDevice, o.path(), appspec.Pos{}, "%s is a mount point and cannot be replaced by a rename; unmount it", o.path())
	}
}

// demand is what a file system must take.
type demand struct {
	at           string
	bytes, files uint64
	free, slots  uint64
	block        uint64
}

// demandOn is the account of the file system that dir is, or will be, on.
func (p *planner) demandOn(need *demands, dir string) *demand {
	if q, known := need.byDir[dir]; known {
		return q
	}
	var q *demand
	if n := p.nodes[dir]; n != nil && n.action == Create {
		q = p.demandOn(need, filepath.Dir(dir))
	} else if d := p.openAt(dir); d != nil {
		q = need.on(d, dir)
	}
	need.byDir[dir] = q
	return q
}

type demands struct {
	byDir map[string]*demand
	byDev map[uint64]*demand
	list  []*demand
}

func (need *demands) on(d *dir, at string) *demand {
	st, err := d.self()
	if err != nil {
		return nil
	}
	q := need.byDev[st.Dev]
	if q == nil {
		q = &demand{at: at}
		if q.free, q.block, q.slots, _, err = d.space(); err != nil {
			return nil
		}
		need.byDev[st.Dev] = q
		need.list = append(need.list, q)
	}
	return q
}

func (p *planner) checkSpace(q *demand) {
	if want := q.bytes + q.bytes/20; want > q.free {
		p.refuse(NoSpace, q.at, appspec.Pos{}, "the file system of %s is too full: need %s, free %s", q.at, size(want), size(q.free))
	}
	if want := q.files + q.files/20; want > q.slots {
		p.refuse(NoSpace, q.at, appspec.Pos{}, "the file system of %s takes too few files: need %d, free %d", q.at, want, q.slots)
	}
}

func (p *planner) checkACLs() {
	for _, n := range p.list {
		if len(n.raw) == 0 {
			continue
		}
		if d, at := p.standing(n.path); d != nil && !d.takesACLs() {
			p.refuse(ACLUnsupported, n.path, *n.perm, "the file system of %s has no ACLs; install elsewhere or take acls out of the AppSpec", at)
			return
		}
	}
}

// checkLabels decides how contexts are applied: by the system's tools if they are
// there, else as attributes if the kernel knows SELinux, else not at all.
func (p *planner) checkLabels(plan *Plan) {
	for _, c := range p.view.order {
		if c.Label != nil && !c.stays && plan.tools.found() {
			plan.unlabel = append(plan.unlabel, rule{c.Path, c.Label})
		}
	}
	for _, n := range p.list {
		switch {
		case n.label == nil:
		case plan.tools.found():
			plan.labels = append(plan.labels, rule{n.path, n.label})
		case selinuxActive():
			n.label.direct = true
			if len(plan.labels) == 0 {
				p.notes = append(p.notes, lifecycle.Note{Text: fmt.Sprintf("SELinux context of %s: there is no semanage, so a relabelling of the system undoes it", n.path)})
			}
		default:
			p.refuse(ContextUnsupported, n.path, *n.perm, "the context of %s cannot be set: this host has neither semanage and restorecon nor an active SELinux", n.path)
			return
		}
	}
}

// checkNames finds names that a file system takes for one.
func (p *planner) checkNames() {
	type place struct{ dir, name string }
	seen := map[place]string{}
	folds := map[string]bool{}
	for _, n := range p.list {
		parent := filepath.Dir(n.path)
		merges, known := folds[parent]
		if !known {
			merges = p.merges(n.path)
			folds[parent] = merges
		}
		if !merges {
			continue
		}
		key := place{parent, fold(filepath.Base(n.path))}
		if other, ok := seen[key]; ok {
			p.refuse(NameCollision, n.path, n.pos, "%s and %s are one name on this file system; rename one of them", other, n.path)
			continue
		}
		seen[key] = n.path
	}
}

// merges says whether the directory that path goes to takes names that differ in
// case, or in the way accents are written, for one.
func (p *planner) merges(path string) bool {
	d, at := p.standing(path)
	if p.req.folds != nil {
		return p.req.folds(at)
	}
	return d != nil && d.folds()
}

// folds asks for an entry, or the directory itself, by a name in the other case.
func (d *dir) folds() bool {
	names, err := d.names()
	if err != nil {
		return false
	}
	for _, name := range names[:min(len(names), 64)] {
		other := strings.ToUpper(name)
		if other == name {
			other = strings.ToLower(name)
		}
		if other == name {
			continue
		}
		a, aok := d.exists(name)
		b, bok := d.exists(other)
		return aok && bok && sameFile(a, b)
	}
	return d.casefolded()
}
