package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// claim is an owned path together with what is there now.
type claim struct {
	*record
	now    stat // Kind is kindNone if it is gone
	same   bool // as it was installed
	edited bool // content is not what was installed
	stays  bool // directory with something in it that is not the group's, or a path that is no longer ours
}

// view is the destination as it will be when the previous revision's files are
// gone: what the official agent plans against, though here they are still there.
type view struct {
	claims map[string]*claim
	order  []*claim // by path
	notes  []lifecycle.Note
	others *others
}

func newView(ctx context.Context, b *books, o *others) (*view, error) {
	v := &view{claims: make(map[string]*claim, len(b.records)), others: o}
	var at string
	var d *dir
	defer func() { d.close() }()
	for i, r := range b.records {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c := &claim{record: r}
		v.claims[r.Path] = c
		v.order = append(v.order, c)
		parent, name := filepath.Split(r.Path)
		if parent != at {
			d.close()
			at = parent
			// A parent that is gone, or is a link now, holds nothing of ours.
			d, _ = openDir(filepath.Clean(parent))
		}
		if d == nil {
			v.note("%s is gone: its directory was removed or replaced", r.Path)
			continue
		}
		v.compare(c, d, name, b.settled)
	}
	for i := len(v.order) - 1; i >= 0; i-- { // children before parents
		if c := v.order[i]; c.now.Kind == kindDir {
			c.stays = c.stays || !v.empties(c.Path)
		}
	}
	return v, nil
}

func (v *view) note(format string, args ...any) {
	v.notes = append(v.notes, lifecycle.Note{Text: fmt.Sprintf(format, args...)})
}

// compare finds out whether a path is still what was installed. Size, time and inode
// decide, and where the system says that it changed since the books were closed (or
// within the same tick of its clock), the digest does.
func (v *view) compare(c *claim, d *dir, name string, settled int64) {
	st, err := d.lstat(name)
	if err != nil {
		v.note("%s was removed by somebody", c.Path)
		return
	}
	c.now = st
	meta := st.Mode == c.Mode && st.UID == c.UID && st.GID == c.GID
	switch {
	case st.Kind != c.Kind:
		c.edited = true
	case st.Kind == kindDir:
		c.same = meta
		return
	case st.Kind == kindLink:
		text, _ := d.readlink(name)
		c.edited = text != c.Link
		c.same = !c.edited && st.UID == c.UID && st.GID == c.GID
	case st.Ino == c.Ino && st.Size == c.Size && st.Mtime == c.Mtime && st.Ctime < settled:
		c.same = meta
	default:
		c.edited = st.Size != c.Size || digestOf(d, name) != c.Digest
		c.same = !c.edited && meta && st.Mtime == c.Mtime
	}
	if !c.edited {
		return
	}
	if g := v.others.owner(c.Path); g != "" {
		c.stays = true
		v.note("%s now belongs to deployment group %s and is left alone", c.Path, g)
	}
}

func digestOf(d *dir, name string) string {
	f, err := d.openFile(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// empties says whether a directory will be empty once all of the group's own is gone
// from it.
func (v *view) empties(path string) bool {
	d, err := openDir(path)
	if err != nil {
		return false
	}
	defer d.close()
	names, err := d.names()
	if err != nil {
		return false
	}
	for _, name := range names {
		c := v.claims[filepath.Join(path, name)]
		if c == nil || c.stays || c.Took != nil {
			return false
		}
	}
	return true
}

// lookup is what will be at path when the previous files are gone. Path's parents are
// directories that stay or go; through a link it does not look.
func (v *view) lookup(d *dir, path string) stat {
	if c := v.claims[path]; c != nil && !c.stays {
		return stat{}
	}
	st, err := d.lstat(filepath.Base(path))
	if err != nil {
		return stat{}
	}
	return st
}

// others knows what other groups own. Their books are read at the first question.
type others struct {
	states map[string]string
	paths  map[string]string // path to group; nil: not read yet
	lost   []error           // why some lists cannot be read
}

func (o *others) owner(path string) string {
	if o.paths == nil {
		o.paths = map[string]string{}
		for group, state := range o.states {
			b, err := readOwned(state)
			if err != nil {
				o.lost = append(o.lost, fmt.Errorf("deployment group %s: %w", group, err))
				continue
			}
			for _, r := range b.records {
				if r.Kind != kindDir {
					o.paths[r.Path] = group
				}
			}
		}
	}
	return o.paths[path]
}
