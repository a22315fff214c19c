package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keepAll gives every file that is to go and to be kept a second name in State, or a
// copy there if State lies on another file system.
func (p *Plan) keepAll(ctx context.Context) error {
	for _, k := range p.keeps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.effect("keep %s", k.path); err != nil {
			return err
		}
		to := filepath.Join(p.req.State, keptName, filepath.FromSlash(k.as.ID))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := duplicate(k.path, to, k.as); err != nil {
			return fmt.Errorf("keeping %s: %w", k.path, err)
		}
	}
	return nil
}

// stageRestore brings a kept file back beside its destination.
func (p *Plan) stageRestore(r restore) error {
	if err := p.effect("stage kept file %s", r.op.path()); err != nil {
		return err
	}
	from := filepath.Join(p.req.State, keptName, filepath.FromSlash(r.from.ID))
	if err := duplicate(from, filepath.Join(r.op.Dir, r.op.Temp), r.from); err != nil {
		return fmt.Errorf("bringing %s back: %w", r.op.path(), err)
	}
	return nil
}

// duplicate gives a file a second name, or makes a copy that is alike in everything
// we can set.
func duplicate(from, to string, k *kept) error {
	src, err := openParent(from)
	if err != nil {
		return err
	}
	defer src.close()
	dst, err := openParent(to)
	if err != nil {
		return err
	}
	defer dst.close()
	name, as := filepath.Base(from), filepath.Base(to)
	if src.linkTo(name, dst, as) == nil {
		return nil
	}
	if k.Kind == kindLink {
		text, err := src.readlink(name)
		if err != nil {
			return err
		}
		if err := dst.symlink(text, as); err != nil {
			return err
		}
		_ = dst.setTimes(as, k.Mt)
		return dst.giveTo(as, k.UID, k.GID)
	}
	c := &copier{like: true}
	_, err = c.copyFile(src, name, dst, as, &node{size: k.Size, mode: k.Mode, uid: k.UID, gid: k.GID, mtime: k.Mt})
	return err
}

// giveTo is lchown where that changes something.
func (d *dir) giveTo(name string, uid, gid int) error {
	st, err := d.lstat(name)
	if err != nil || st.UID == uid && st.GID == gid {
		return err
	}
	return d.lchown(name, uid, gid)
}

// prune drops kept files that the books do not need any more.
func prune(state string, b *books) error {
	needed := map[string]bool{}
	for _, r := range b.records {
		if r.Took != nil {
			needed[r.Took.ID] = true
		}
	}
	root := filepath.Join(state, keptName)
	groups, err := os.ReadDir(root)
	if os.IsNotExist(err) {
		return nil
	}
	for _, g := range groups {
		at := filepath.Join(root, g.Name())
		if txn, edited := strings.CutSuffix(g.Name(), editedSuffix); edited {
			if !slices.Contains(b.head.Edited, txn) {
				err = firstError(err, os.RemoveAll(at))
			}
			continue
		}
		files, _ := os.ReadDir(at)
		for _, f := range files {
			if !needed[g.Name()+"/"+f.Name()] {
				err = firstError(err, os.RemoveAll(filepath.Join(at, f.Name())))
			}
		}
		_ = os.Remove(at) // fails if something is still needed
	}
	return err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
