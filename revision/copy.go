package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// CopyOptions says how [Bundle.Copy] copies.
type CopyOptions struct {
	Workers int         // files copied at once; 0: 4
	Umask   fs.FileMode // permission bits withheld from a directory's files and folders, besides those of the process's umask; 0: none
	Sync    bool        // do not return before everything is on disk; false: the system writes it when it likes
}

// Copy copies the revision into dst, a directory that is empty or does not exist
// yet, and compares every file with the manifest on the way: one that changed
// since the revision was opened is an error with code DigestMismatch. Only what
// the manifest lists is copied; links are made as the manifest tells.
//
// A revision from a directory is copied as CodeDeploy's agent does: modes of
// files pass the umask, folders get default modes, times are new. One from an
// archive gets exactly the modes and times that the archive gave, except that
// folders can always be read and changed by their owner. The owner is the
// caller.
//
// On an error dst holds part of the revision; it is the caller's to remove.
func (b *Bundle) Copy(ctx context.Context, dst string, o CopyOptions) error {
	return b.copy(ctx, dst, o, openFolder)
}

func (b *Bundle) copy(ctx context.Context, dst string, o CopyOptions, open func(string) (folder, error)) error {
	if err := emptyDir(dst, open); err != nil {
		return err
	}
	entries := b.Manifest.Entries
	for i := range entries {
		if err := wellFormed(&entries[i]); err != nil {
			return in(ctx, b.Dir, err)
		}
	}
	if err := b.makeDirs(ctx, dst, o, open); err != nil {
		return in(ctx, dst, err)
	}
	start := func() (*copier, error) { return b.newCopier(dst, o, open) }
	err := each(ctx, len(entries), o.Workers, start, (*copier).stop, func(c *copier, i int) error { return c.copy(ctx, &entries[i]) })
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == WriteFailed {
		return in(ctx, dst, err)
	}
	if err != nil {
		return in(ctx, b.Dir, err)
	}
	if err := b.finishDirs(dst, open); err != nil {
		return in(ctx, dst, err)
	}
	if o.Sync {
		if err := syncTree(dst, entries); err != nil {
			return in(ctx, dst, unwritable("", err))
		}
	}
	return nil
}

// emptyDir makes sure that dst is an empty directory.
func emptyDir(dst string, open func(string) (folder, error)) error {
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return in(context.Background(), dst, unwritable("", err))
	}
	f, err := open(dst)
	if err != nil {
		return in(context.Background(), dst, unwritable("", err))
	}
	defer f.close()
	items, err := f.list()
	if err == nil && len(items) > 0 {
		err = fmt.Errorf("directory is not empty (it holds %q); give an empty one", items[0].name)
	}
	if err != nil {
		return in(context.Background(), dst, unwritable("", err))
	}
	return nil
}

// wellFormed guards against manifests that were not made by this package: their
// paths are split into names, and each name goes to the system as it is.
func wellFormed(e *Entry) error {
	if !cleanPath(e.Path) {
		return refuse(MemberPath, e.Path, "is not a clean relative path; the manifest is not one of an opened revision")
	}
	return supported(*e)
}

// cleanPath reports whether every part of p is a name. Unlike fs.ValidPath it
// takes names of any bytes.
func cleanPath(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.IndexByte(part, 0) >= 0 {
			return false
		}
	}
	return true
}

// makeDirs makes the folders. Parents come before their children in a manifest.
func (b *Bundle) makeDirs(ctx context.Context, dst string, o CopyOptions, open func(string) (folder, error)) error {
	mode := 0o777 &^ o.Umask.Perm()
	if b.Kind == KindArchive {
		mode = 0o700
	}
	return b.eachDir(dst, open, false, func(f folder, name string, _ *Entry) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return f.mkdir(name, mode)
	})
}

// finishDirs gives the folders of an archive their modes and times, children
// first: what is done inside a folder changes its time.
func (b *Bundle) finishDirs(dst string, open func(string) (folder, error)) error {
	if b.Kind != KindArchive {
		return nil
	}
	return b.eachDir(dst, open, true, func(f folder, name string, e *Entry) error {
		return f.finish(name, e.Mode|0o700, e.ModTime)
	})
}

func (b *Bundle) eachDir(dst string, open func(string) (folder, error), backwards bool, do func(folder, string, *Entry) error) error {
	root, err := open(dst)
	if err != nil {
		return unwritable("", err)
	}
	c := newCursor(root)
	defer c.close()
	for i := range b.Manifest.Entries {
		if backwards {
			i = len(b.Manifest.Entries) - 1 - i
		}
		e := &b.Manifest.Entries[i]
		if !e.Mode.IsDir() {
			continue
		}
		f, name, err := c.parent(e.Path)
		if err == nil {
			err = do(f, name, e)
		}
		if err != nil {
			return unwritable(e.Path, err)
		}
	}
	return nil
}

// copier is what one worker needs.
type copier struct {
	src, dst *cursor
	content  func(Entry) (io.ReadCloser, error) // instead of src
	exact    bool                               // modes and times as in the manifest
	umask    fs.FileMode
	syncEach bool
	buf      []byte
}

func (b *Bundle) newCopier(dst string, o CopyOptions, open func(string) (folder, error)) (*copier, error) {
	to, err := open(dst)
	if err != nil {
		return nil, in(context.Background(), dst, unwritable("", err))
	}
	c := &copier{
		dst: newCursor(to), content: b.Content, buf: make([]byte, bufferSize),
		exact: b.Kind == KindArchive, umask: o.Umask, syncEach: o.Sync && !syncsTrees,
	}
	if c.content != nil {
		return c, nil
	}
	from, err := open(b.Dir)
	if err != nil {
		c.dst.close()
		return nil, unreadable("", err)
	}
	c.src = newCursor(from)
	return c, nil
}

func (c *copier) stop() {
	if c.src != nil {
		c.src.close()
	}
	if c.dst != nil {
		c.dst.close()
	}
}

func (c *copier) copy(ctx context.Context, e *Entry) error {
	if e.Mode.IsDir() {
		return nil
	}
	to, name, err := c.dst.parent(e.Path)
	if err != nil {
		return unwritable(e.Path, err)
	}
	if e.Mode.IsRegular() {
		if err := c.file(ctx, to, name, e); err != nil {
			return err
		}
	} else if err := to.symlink(e.Link, name); err != nil {
		return unwritable(e.Path, err)
	}
	if !c.exact || e.ModTime.IsZero() || !e.Mode.IsRegular() {
		return nil
	}
	return c.written(e, to.finish(name, e.Mode, e.ModTime))
}

func (c *copier) file(ctx context.Context, to folder, name string, e *Entry) error {
	r, err := c.source(e)
	if err != nil {
		return err
	}
	defer r.Close()
	// A file that fits the buffer is compared before anything is written.
	n, rest, err := c.whole(r, e)
	if err != nil {
		return unreadable(e.Path, err)
	}
	sum := sha256.Sum256(c.buf[:n])
	if !rest && !c.same(e, int64(n), sum[:]) {
		return changed(e)
	}
	w, err := to.create(name, e.Mode&^c.umask.Perm())
	if err != nil {
		return unwritable(e.Path, err)
	}
	err = c.fill(ctx, w, r, n, rest, e)
	if err2 := w.Close(); err == nil {
		err = c.written(e, err2)
	}
	if err != nil {
		to.remove(name) // best effort: the copy has failed, and the caller removes it all
	}
	return err
}

// source opens the file to read.
func (c *copier) source(e *Entry) (io.ReadCloser, error) {
	if c.content != nil {
		r, err := c.content(*e)
		if err != nil {
			return nil, missing(e, err)
		}
		return r, nil
	}
	f, name, err := c.src.parent(e.Path)
	if err != nil {
		return nil, missing(e, err)
	}
	r, err := f.open(name)
	if err != nil {
		return nil, missing(e, err)
	}
	return r, nil
}

// whole reads into the buffer, and reports whether there may be more.
func (c *copier) whole(r io.Reader, e *Entry) (n int, rest bool, err error) {
	for n < len(c.buf) {
		k, err := r.Read(c.buf[n:])
		n += k
		if err == io.EOF || err == nil && int64(n) == e.Size {
			return n, false, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, true, nil
}

// fill writes what is in the buffer, then the rest.
func (c *copier) fill(ctx context.Context, w writer, r io.Reader, n int, rest bool, e *Entry) error {
	if _, err := w.Write(c.buf[:n]); err != nil {
		return unwritable(e.Path, err)
	}
	if rest {
		if err := c.tail(ctx, w, r, n, e); err != nil {
			return err
		}
	}
	if c.exact {
		if err := w.chmod(e.Mode); err != nil {
			return unwritable(e.Path, err)
		}
	}
	if c.syncEach {
		return c.written(e, w.sync())
	}
	return nil
}

// tail copies what did not fit the buffer, and compares at the end.
func (c *copier) tail(ctx context.Context, w io.Writer, r io.Reader, n int, e *Entry) error {
	h := sha256.New()
	h.Write(c.buf[:n])
	size := int64(n)
	for {
		k, err := r.Read(c.buf)
		size += int64(k)
		if size > e.Size {
			return changed(e)
		}
		h.Write(c.buf[:k])
		if _, err := w.Write(c.buf[:k]); err != nil {
			return unwritable(e.Path, err)
		}
		switch {
		case err == io.EOF:
			if !c.same(e, size, h.Sum(nil)) {
				return changed(e)
			}
			return nil
		case err != nil:
			return unreadable(e.Path, err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

func (c *copier) same(e *Entry, size int64, sum []byte) bool {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum)
	return size == e.Size && string(text[:]) == e.Digest
}

func (c *copier) written(e *Entry, err error) error {
	if err == nil {
		return nil
	}
	return unwritable(e.Path, err)
}

// unwritable gives an error of the place written to its code.
func unwritable(member string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Code: WriteFailed, Member: member, Err: fmt.Errorf("cannot be written: %w", reason(err))}
}
