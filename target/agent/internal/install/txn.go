package install

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
)

const (
	tempPrefix   = ".cutover-" // of hidden names beside destinations
	editedSuffix = ".edited"
)

// What an op does.
const (
	doPlace  = "place"  // put Temp at Name, Park what is there
	doRemove = "remove" // put Name at Park
	doMeta   = "meta"   // change owner, mode, ACLs of Dir itself
)

// op is one foretold change of the visible tree. Each can be done and undone any
// number of times: the hidden names tell how far it got.
type op struct {
	Do     string `json:"do"`
	Dir    string `json:"dir"`
	Name   string `json:"name,omitempty"`
	Temp   string `json:"temp,omitempty"`
	Park   string `json:"park,omitempty"`
	Tree   bool   `json:"tree,omitempty"`   // Temp is a directory
	OldDir bool   `json:"oldDir,omitempty"` // what is parked is a directory
	Old    uint64 `json:"old,omitempty"`    // inode of what is parked
	Was    *meta  `json:"was,omitempty"`
	Now    *meta  `json:"now,omitempty"`

	mark string
}

func (o *op) path() string { return filepath.Join(o.Dir, o.Name) }

// meta is what an op changes of a directory.
type meta struct {
	UID  int         `json:"u"`
	GID  int         `json:"g"`
	Mode fs.FileMode `json:"m"`
	ACLs []attr      `json:"a,omitempty"`
}

// undoLog is the first line of an undo log; the ops follow.
type undoLog struct {
	Version    int      `json:"version"`
	Txn        string   `json:"txn"`
	Deployment string   `json:"deployment,omitempty"`
	Drops      []string `json:"drops,omitempty"` // directories to remove afterwards if empty
	Labels     []rule   `json:"labels,omitempty"`
	Dropped    []rule   `json:"dropped,omitempty"` // labels of the previous install
	Semanage   string   `json:"semanage,omitempty"`
	Restorecon string   `json:"restorecon,omitempty"`

	ops []*op
}

// rule is an SELinux label of a path.
type rule struct {
	Path  string `json:"p"`
	Label *label `json:"l"`
}

func (l *undoLog) write(path string) error {
	return writeJSONLines(path, func(put func(any) error) error {
		head := *l
		head.Drops, head.Labels, head.Dropped = armourAll(l.Drops), armourRules(l.Labels), armourRules(l.Dropped)
		if err := put(&head); err != nil {
			return err
		}
		for _, o := range l.ops {
			line := *o
			line.Dir, line.Name = armour(o.Dir), armour(o.Name)
			if err := put(&line); err != nil {
				return err
			}
		}
		return nil
	})
}

func readUndo(path string) (*undoLog, error) {
	l := &undoLog{}
	first := true
	err := readLines(path, func(line []byte) error {
		if first {
			first = false
			err := json.Unmarshal(line, l)
			for i := range l.Drops {
				l.Drops[i] = disarm(l.Drops[i])
			}
			for _, rules := range [][]rule{l.Labels, l.Dropped} {
				for i := range rules {
					rules[i].Path = disarm(rules[i].Path)
				}
			}
			return err
		}
		o := &op{}
		err := json.Unmarshal(line, o)
		o.Dir, o.Name = disarm(o.Dir), disarm(o.Name)
		l.ops = append(l.ops, o)
		return err
	})
	return l, err
}

func armourAll(paths []string) (out []string) {
	for _, p := range paths {
		out = append(out, armour(p))
	}
	return out
}

func armourRules(rules []rule) (out []rule) {
	for _, r := range rules {
		out = append(out, rule{armour(r.Path), r.Label})
	}
	return out
}

// exists says what is at a name of d.
func (d *dir) exists(name string) (stat, bool) {
	st, err := d.lstat(name)
	return st, err == nil
}

// do carries the op out in its directory. What is already done is not done again.
func (o *op) do(d *dir) error {
	switch o.Do {
	case doMeta:
		return o.Now.apply(d)
	case doRemove:
		if _, parked := d.exists(o.Park); parked {
			return nil
		}
		if err := o.unchanged(d); err != nil {
			return err
		}
		return d.rename(o.Name, o.Park)
	}
	if o.Park == "" {
		return d.renameNew(o.Temp, o.Name)
	}
	if _, parked := d.exists(o.Park); !parked {
		if err := o.unchanged(d); err != nil {
			return err
		}
		// A second name for the old file first, so that readers see the old or the
		// new one at every moment.
		if o.Tree || o.OldDir || d.link(o.Name, o.Park) != nil {
			if err := d.rename(o.Name, o.Park); err != nil {
				return err
			}
		}
	}
	if o.Tree || o.OldDir {
		return d.renameNew(o.Temp, o.Name)
	}
	return d.rename(o.Temp, o.Name)
}

// unchanged makes sure that what is to be moved away is what was planned with.
func (o *op) unchanged(d *dir) error {
	st, err := d.lstat(o.Name)
	if err != nil {
		return err
	}
	if st.Ino != o.Old {
		return fmt.Errorf("%s was replaced by somebody while installing; deploy again", o.path())
	}
	return nil
}

// undo takes the op back, whatever of it was done. next holds what the install was
// to own; nothing else is removed.
func (o *op) undo(d *dir, next map[string]*record) error {
	switch o.Do {
	case doMeta:
		return o.Was.apply(d)
	case doRemove:
		if _, parked := d.exists(o.Park); !parked {
			return nil
		}
		return d.renameNew(o.Park, o.Name)
	}
	now, there := d.exists(o.Name)
	_, staged := d.exists(o.Temp)
	parked, isParked := d.exists(o.Park)
	switch {
	case o.Park != "" && !isParked:
		return nil // not begun, or undone already
	case o.Park != "" && staged && there && sameFile(now, parked):
		return d.unlink(o.Park) // the second name was made, no more
	case o.Park != "" && staged:
		return d.renameNew(o.Park, o.Name)
	case o.Park != "" && !o.Tree && !o.OldDir:
		return d.rename(o.Park, o.Name)
	case !staged && there && ours(now, next[o.path()], o.Park == "" && next[o.path()] == nil):
		if err := d.renameNew(o.Name, o.Temp); err != nil {
			return err
		}
	}
	if o.Park != "" {
		return d.renameNew(o.Park, o.Name)
	}
	return nil
}

// ours says whether what is at a path is what the install put there. A file that was
// brought back is not in the books; restored says so.
func ours(now stat, r *record, restored bool) bool {
	if r == nil {
		return restored
	}
	return now.Kind == r.Kind && now.Ino == r.Ino && (now.Kind != kindFile || now.Size == r.Size && now.Mtime == r.Mtime)
}

func (m *meta) apply(d *dir) error {
	if err := d.setACLs(m.ACLs); err != nil {
		return err
	}
	if err := d.setSelf(m.UID, m.GID, m.Mode); err != nil {
		return err
	}
	// The mode of an object with an ACL is its mask; the ACL has the last word.
	return d.setACLs(m.ACLs)
}
