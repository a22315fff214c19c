//go:build !linux && !darwin

package install

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// dir is an open directory. Names given to its methods are single components and
// links are never followed.
type dir struct{ root *os.Root }

const (
	syncsDirs = false // the system has no such call
	syncsAll  = false
)

func openRootDir(path string) (*dir, error) {
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dir{r}, nil
}

// open opens a directory in d. That it is the one that was looked at, and no link,
// is checked after opening, so a swap in between is noticed.
func (d *dir) open(name string) (*dir, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, &fs.PathError{Op: "open directory", Path: name, Err: errors.New("not a directory")}
	}
	sub, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	after, err := sub.Stat(".")
	if err != nil || !os.SameFile(before, after) {
		sub.Close()
		return nil, &fs.PathError{Op: "open directory", Path: name, Err: errors.New("was replaced meanwhile")}
	}
	return &dir{sub}, nil
}

func (d *dir) close() {
	if d != nil {
		d.root.Close()
	}
}

func (d *dir) lstat(name string) (stat, error) {
	fi, err := d.root.Lstat(name)
	if err != nil {
		return stat{}, err
	}
	return toStat(fi), nil
}

func (d *dir) self() (stat, error) { return d.lstat(".") }

func toStat(fi fs.FileInfo) stat {
	s := stat{Kind: kindOf(fi.Mode()), Mode: fi.Mode() & modeBits, Mtime: fi.ModTime().UnixNano(), UID: -1, GID: -1}
	if s.Kind == kindFile {
		s.Size = fi.Size()
	}
	return s
}

func (d *dir) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.Readdirnames(-1)
	slices.Sort(list)
	return list, err
}

func (d *dir) mkdir(name string, perm fs.FileMode) error { return d.root.Mkdir(name, perm) }
func (d *dir) openFile(name string) (*os.File, error)    { return d.root.Open(name) }
func (d *dir) symlink(text, name string) error           { return d.root.Symlink(text, name) }
func (d *dir) readlink(name string) (string, error)      { return d.root.Readlink(name) }
func (d *dir) link(from, to string) error                { return d.root.Link(from, to) }
func (d *dir) rename(from, to string) error              { return d.root.Rename(from, to) }
func (d *dir) unlink(name string) error                  { return d.root.Remove(name) }
func (d *dir) rmdir(name string) error                   { return d.root.Remove(name) }
func (d *dir) lchown(string, int, int) error             { return nil }
func (d *dir) linkTo(string, *dir, string) error         { return errors.ErrUnsupported }
func (d *dir) setSelf(_, _ int, mode fs.FileMode) error  { return d.root.Chmod(".", mode) }
func (d *dir) setAll(*node) error                        { return nil }
func (d *dir) acls() []attr                              { return nil }
func (d *dir) setACLs([]attr) error                      { return nil }
func (d *dir) takesACLs() bool                           { return false }
func (d *dir) sync() error                               { return nil }
func (d *dir) locked(string) string                      { return "" }
func (d *dir) writable() bool                            { return true }
func selinuxActive() bool                                { return false }
func (d *dir) space() (_, _, _ uint64, _ bool, err error) {
	return 0, 1, 0, false, errors.ErrUnsupported
}
func differs(want, have int) int {
	if want == have {
		return -1
	}
	return want
}

func (d *dir) renameNew(from, to string) error {
	if _, err := d.root.Lstat(to); err == nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	return d.root.Rename(from, to)
}

func (d *dir) setTimes(name string, mtime int64) error {
	if fi, err := d.root.Lstat(name); err != nil || fi.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return d.root.Chtimes(name, unixTime(mtime), unixTime(mtime))
}

// copier copies files from one tree into another; one goroutine uses it.
type copier struct {
	buf  []byte
	like bool
}

// copyFile makes the file name in to, new, from file from in src. It fails if the
// source has another size than it should.
func (c *copier) copyFile(src *dir, from string, to *dir, name string, n *node) (stat, error) {
	in, err := src.openFile(from)
	if err != nil {
		return stat{}, err
	}
	defer in.Close()
	out, err := to.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return stat{}, err
	}
	defer out.Close()
	if c.buf == nil {
		c.buf = make([]byte, 128<<10)
	}
	done, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, c.buf)
	if err == nil && done != n.size {
		err = errChanged
	}
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		err = to.setTimes(name, n.mtime)
	}
	if err == nil {
		err = to.root.Chmod(name, n.mode.Perm())
	}
	if err != nil {
		return stat{}, &fs.PathError{Op: "copy", Path: filepath.ToSlash(from), Err: err}
	}
	return to.lstat(name)
}
