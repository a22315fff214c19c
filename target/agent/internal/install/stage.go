package install

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"sync"
	"syscall"
)

const (
	workers   = 4   // more gain nothing on one disk
	batchSize = 128 // files that a worker takes at once
)

// stagePath is where a node is made before the commit.
func (n *node) stagePath() string {
	if n.inside == nil {
		return filepath.Join(filepath.Dir(n.path), n.temp)
	}
	return filepath.Join(n.inside.stagePath(), filepath.Base(n.path))
}

// batch is files of one directory.
type batch struct {
	dir   string
	nodes []*node
}

// stage makes everything new under hidden names, and copies what is to be kept.
func (p *Plan) stage(ctx context.Context) error {
	if err := p.keepAll(ctx); err != nil {
		return err
	}
	var dirs []*node
	var batches []batch
	for _, n := range p.nodes {
		switch {
		case n.action == Keep || n.kind == kindDir && n.action == Replace:
			continue
		case n.kind == kindDir:
			if err := p.stageDir(n); err != nil {
				return err
			}
			dirs = append(dirs, n)
			continue
		}
		at := filepath.Dir(n.path)
		if n.inside != nil {
			at = n.inside.stagePath()
		}
		if k := len(batches) - 1; k < 0 || batches[k].dir != at || len(batches[k].nodes) == batchSize {
			batches = append(batches, batch{dir: at})
		}
		b := &batches[len(batches)-1]
		b.nodes = append(b.nodes, n)
	}
	if err := p.copyAll(ctx, batches); err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- { // content before the directory, which may be read-only
		if err := p.finishDir(dirs[i]); err != nil {
			return err
		}
	}
	for _, r := range p.restores {
		if err := p.stageRestore(r); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) effect(format string, args ...any) error {
	if p.req.seam == nil {
		return nil
	}
	return p.req.seam(fmt.Sprintf(format, args...))
}

func (p *Plan) stageDir(n *node) error {
	if err := p.effect("stage directory %s", n.path); err != nil {
		return err
	}
	at := n.stagePath()
	d, err := openDir(filepath.Dir(at))
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.mkdir(filepath.Base(at), 0o777); err != nil {
		return p.explain(n, err)
	}
	return nil
}

// finishDir gives a staged directory its owner, mode and ACL, and notes what it is.
func (p *Plan) finishDir(n *node) error {
	if err := p.effect("finish directory %s", n.path); err != nil {
		return err
	}
	d, err := openDir(n.stagePath())
	if err != nil {
		return err
	}
	defer d.close()
	st, err := d.self()
	if err != nil {
		return err
	}
	mode := st.Mode
	if n.fixed {
		mode = n.mode
	}
	uid, gid := differs(n.uid, st.UID), differs(n.gid, st.GID)
	if mode != st.Mode || uid >= 0 || gid >= 0 || len(n.raw) > 0 || n.label != nil {
		if err := d.setSelf(uid, gid, mode); err != nil {
			return p.explain(n, err)
		}
		if err := d.setAll(n); err != nil {
			return p.explain(n, err)
		}
	}
	n.made, err = d.self()
	return err
}

// copyAll copies files with a few workers. The first error stops them.
func (p *Plan) copyAll(ctx context.Context, batches []batch) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan batch)
	var wg sync.WaitGroup
	for range min(workers, len(batches)) {
		wg.Go(func() {
			w := &worker{plan: p}
			defer w.close()
			for b := range todo {
				if ctx.Err() != nil {
					continue
				}
				if err := w.run(ctx, b); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, b := range batches {
		if ctx.Err() != nil {
			break
		}
		todo <- b
	}
	close(todo)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// worker copies batches. It keeps the last source directory open.
type worker struct {
	plan *Plan
	copier
	at  string
	src *dir
}

func (w *worker) close() { w.src.close() }

func (w *worker) run(ctx context.Context, b batch) error {
	to, err := openDir(b.dir)
	if err != nil {
		return err
	}
	defer to.close()
	for _, n := range b.nodes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.plan.effect("stage file %s", n.path); err != nil {
			return err
		}
		name := n.temp
		if n.inside != nil {
			name = filepath.Base(n.path)
		}
		if err := w.one(to, name, n); err != nil {
			return w.plan.explain(n, err)
		}
	}
	return nil
}

func (w *worker) one(to *dir, name string, n *node) (err error) {
	if n.kind == kindLink {
		if err := to.symlink(n.link, name); err != nil {
			return err
		}
		if n.made, err = to.lstat(name); err != nil {
			return err
		}
		if uid, gid := differs(n.uid, n.made.UID), differs(n.gid, n.made.GID); uid >= 0 || gid >= 0 {
			if err := to.lchown(name, uid, gid); err != nil {
				return err
			}
		}
		if err := to.setTimes(name, n.mtime); err != nil {
			return err
		}
		n.made, err = to.lstat(name)
		return err
	}
	at := path.Dir(n.src)
	if w.src == nil || w.at != at {
		w.src.close()
		w.at = at
		if w.src, err = openDir(filepath.Join(w.plan.bundle, filepath.FromSlash(at))); err != nil {
			return err
		}
	}
	n.made, err = w.copyFile(w.src, path.Base(n.src), to, name, n)
	return err
}

// explain says which path an error is about, and what to do about the common ones.
func (p *Plan) explain(n *node, err error) error {
	err = cause(err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		free := "unknown"
		if d, derr := openDir(filepath.Dir(n.path)); derr == nil {
			if b, _, _, _, serr := d.space(); serr == nil {
				free = size(b)
			}
			d.close()
		}
		return fmt.Errorf("%s: the disk is full (need %s, free %s): %w", n.path, size(uint64(n.size)), free, err)
	case errors.Is(err, fs.ErrExist):
		return &Problem{Code: NameCollision, Path: n.path, Text: n.path + ": the file system takes its name for that of another file of the revision; rename one of them"}
	}
	return fmt.Errorf("%s: %w", n.path, err)
}

func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// nextHead begins the list of what the group owns after the commit.
func (p *Plan) nextHead() booksHead {
	h := booksHead{Version: booksVersion, Txn: p.txn, Group: p.req.Group, Deployment: p.req.Deployment}
	h.Edited = append([]string{p.txn}, p.prev.head.Edited...)
	h.Edited = h.Edited[:min(3, len(h.Edited))]
	return h
}

// nextRecords are its lines, made one at a time: there may be very many.
func (p *Plan) nextRecords(yield func(*record) bool) {
	rest := p.linger
	for _, n := range p.nodes {
		for len(rest) > 0 && comparePaths(rest[0].Path, n.path) < 0 {
			if !yield(rest[0]) {
				return
			}
			rest = rest[1:]
		}
		if !yield(n.record(p.req.Deployment)) {
			return
		}
	}
	for _, r := range rest {
		if !yield(r) {
			return
		}
	}
}

// record is the books' line for a node.
func (n *node) record(deployment string) *record {
	if n.action == Keep && n.kind != kindDir {
		r := *n.claim.record
		r.Ino, r.Mtime = n.claim.now.Ino, n.claim.now.Mtime
		return &r
	}
	st := n.made
	if n.kind == kindDir && n.action != Create {
		st = n.claim.now
		if n.action == Replace {
			st.Mode = n.mode
			if n.uid >= 0 {
				st.UID = n.uid
			}
			if n.gid >= 0 {
				st.GID = n.gid
			}
		}
	}
	r := &record{
		Path: n.path, Kind: n.kind, Mode: st.Mode, Mtime: st.Mtime, Ino: st.Ino, UID: st.UID, GID: st.GID,
		Digest: n.digest, Link: n.link, Fixed: n.kind == kindDir && n.fixed, By: deployment, rare: rare{Label: n.label, Took: n.took},
	}
	if n.kind == kindFile {
		r.Size = n.size
	}
	for _, a := range n.raw {
		r.Attrs += hex.EncodeToString(a.Value) + ";"
	}
	return r
}
