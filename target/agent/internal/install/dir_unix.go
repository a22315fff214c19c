//go:build linux || darwin

package install

import (
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// dir is an open directory. Names given to its methods are single components and
// links are never followed.
type dir struct{ fd int }

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func openRootDir(path string) (*dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, passFlags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: path, Err: err}
	}
	return &dir{fd}, nil
}

// open opens a directory in d. One that may be passed but not read (mode 0711 of
// somebody else) is opened for passing.
func (d *dir) open(name string) (*dir, error) {
	fd, err := openat(d.fd, name, dirFlags, 0)
	if err == unix.EACCES {
		fd, err = openat(d.fd, name, passFlags, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: name, Err: err}
	}
	return &dir{fd}, nil
}

func openat(at int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (d *dir) close() {
	if d != nil && d.fd >= 0 {
		_ = unix.Close(d.fd)
		d.fd = -1
	}
}

func (d *dir) lstat(name string) (stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return stat{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return toStat(&st), nil
}

func (d *dir) self() (stat, error) { return fstat(d.fd) }

func fstat(fd int) (stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return stat{}, os.NewSyscallError("fstat", err)
	}
	return toStat(&st), nil
}

func toStat(st *unix.Stat_t) stat {
	s := stat{
		Mode: fs.FileMode(st.Mode & 0o777), Size: st.Size, Ino: st.Ino, Dev: uint64(st.Dev),
		UID: int(st.Uid), GID: int(st.Gid),
	}
	s.Mtime, s.Ctime = statTimes(st)
	if st.Mode&unix.S_ISUID != 0 {
		s.Mode |= fs.ModeSetuid
	}
	if st.Mode&unix.S_ISGID != 0 {
		s.Mode |= fs.ModeSetgid
	}
	if st.Mode&unix.S_ISVTX != 0 {
		s.Mode |= fs.ModeSticky
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		s.Kind = kindFile
	case unix.S_IFDIR:
		s.Kind = kindDir
	case unix.S_IFLNK:
		s.Kind = kindLink
	default:
		s.Kind = kindOther
	}
	return s
}

func sysMode(m fs.FileMode) uint32 {
	u := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		u |= unix.S_ISUID
	}
	if m&fs.ModeSetgid != 0 {
		u |= unix.S_ISGID
	}
	if m&fs.ModeSticky != 0 {
		u |= unix.S_ISVTX
	}
	return u
}

// names lists the directory, sorted.
func (d *dir) names() ([]string, error) {
	fd, err := openat(d.fd, ".", dirFlags, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	list, err := f.Readdirnames(-1)
	slices.Sort(list)
	return list, err
}

func (d *dir) mkdir(name string, perm fs.FileMode) error {
	return pathErr("mkdir", name, unix.Mkdirat(d.fd, name, sysMode(perm)))
}

func (d *dir) openFile(name string) (*os.File, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d *dir) symlink(text, name string) error {
	return pathErr("symlink", name, unix.Symlinkat(text, d.fd, name))
}

func (d *dir) readlink(name string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(d.fd, name, buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

func (d *dir) link(from, to string) error {
	return pathErr("link", to, unix.Linkat(d.fd, from, d.fd, to, 0))
}

// linkTo gives a file of d a second name in another directory.
func (d *dir) linkTo(name string, other *dir, to string) error {
	return pathErr("link", to, unix.Linkat(d.fd, name, other.fd, to, 0))
}

func (d *dir) rename(from, to string) error {
	return pathErr("rename", to, unix.Renameat(d.fd, from, d.fd, to))
}

// renameNew renames and fails with fs.ErrExist if there is something already.
func (d *dir) renameNew(from, to string) error {
	err := renameNoReplace(d.fd, from, to)
	if err == unix.ENOSYS || err == unix.EINVAL || err == unix.ENOTSUP {
		if _, serr := d.lstat(to); serr == nil {
			return pathErr("rename", to, unix.EEXIST)
		}
		return d.rename(from, to)
	}
	return pathErr("rename", to, err)
}

func (d *dir) unlink(name string) error { return pathErr("remove", name, unix.Unlinkat(d.fd, name, 0)) }

func (d *dir) rmdir(name string) error {
	return pathErr("rmdir", name, unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR))
}

func (d *dir) lchown(name string, uid, gid int) error {
	return pathErr("chown", name, unix.Fchownat(d.fd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW))
}

// setSelf gives the directory itself an owner (-1: leave) and a mode, in the order that
// keeps the special bits.
func (d *dir) setSelf(uid, gid int, mode fs.FileMode) error {
	return setOwnerMode(d.fd, uid, gid, mode)
}

func setOwnerMode(fd, uid, gid int, mode fs.FileMode) error {
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchown(fd, uid, gid); err != nil {
			return os.NewSyscallError("chown", err)
		}
	}
	return os.NewSyscallError("chmod", unix.Fchmod(fd, sysMode(mode)))
}

func (d *dir) setTimes(name string, mtime int64) error {
	ts := unix.NsecToTimespec(mtime)
	return pathErr("utimes", name, unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

func pathErr(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// copier copies files from one tree into another; one goroutine uses it.
type copier struct {
	buf  []byte
	like bool // copy attributes as well
}

const copyBuffer = 128 << 10

// copyFile makes the file name in to, new, from file from in src. It fails if the
// source has another size than it should.
func (c *copier) copyFile(src *dir, from string, to *dir, name string, n *node) (stat, error) {
	in, err := openat(src.fd, from, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return stat{}, pathErr("open", from, err)
	}
	defer unix.Close(in)
	perm := n.mode.Perm()
	if n.uid >= 0 && n.uid != os.Geteuid() || n.gid >= 0 && n.gid != os.Getegid() || n.mode&^fs.ModePerm != 0 || len(n.raw) > 0 {
		perm = 0o600 // nobody else reads it before it has its owner
	}
	out, err := openat(to.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm))
	if err != nil {
		return stat{}, pathErr("create", name, err)
	}
	defer unix.Close(out)
	if err := c.content(in, out, n.size); err != nil {
		return stat{}, pathErr("copy", from, err)
	}
	if c.like {
		copyAttrs(in, out)
	}
	return finishFile(out, n)
}

func (c *copier) content(in, out int, size int64) error {
	if c.buf == nil {
		c.buf = make([]byte, copyBuffer)
	}
	var done int64
	for {
		n, err := unix.Read(in, c.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n > 0 {
			if err := writeAll(out, c.buf[:n]); err != nil {
				return err
			}
		}
		done += int64(n)
		if n == 0 || done > size || done == size && n < len(c.buf) {
			break
		}
	}
	if done != size {
		return errChanged
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		b = b[n:]
	}
	return nil
}

// finishFile gives a new file its owner, mode, attributes and time, in the order in
// which none undoes another.
func finishFile(fd int, n *node) (stat, error) {
	st, err := fstat(fd)
	if err != nil {
		return st, err
	}
	uid, gid := differs(n.uid, st.UID), differs(n.gid, st.GID)
	if uid >= 0 || gid >= 0 || st.Mode != n.mode {
		if err := setOwnerMode(fd, uid, gid, n.mode); err != nil {
			return st, err
		}
	}
	if err := setAttrs(fd, n); err != nil {
		return st, err
	}
	ts := unix.NsecToTimespec(n.mtime)
	if err := futimes(fd, ts); err != nil {
		return st, os.NewSyscallError("utimes", err)
	}
	if err := syncFile(fd); err != nil {
		return st, err
	}
	return fstat(fd)
}

// setAll sets a directory's own attributes.
func (d *dir) setAll(n *node) error { return setAttrs(d.fd, n) }

// syncsDirs: a directory's entries are made durable by syncing it.
const syncsDirs = true

func differs(want, have int) int {
	if want == have {
		return -1
	}
	return want
}
