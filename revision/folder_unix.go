//go:build linux || darwin

package revision

import (
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fdFolder is a folder by means of the system's own calls, relative to an open
// directory. It costs about half of what os.Root does, and is as safe: every
// name is one component, opened without following links.
type fdFolder struct{ fd int }

// openFolder opens a directory, following links in the path to it.
func openFolder(dir string) (folder, error) {
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return fdFolder{fd}, nil
}

// openat repeats what a signal has interrupted.
func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

func (d fdFolder) sub(name string) (folder, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return fdFolder{fd}, nil
}

func (d fdFolder) stat(name string) (fs.FileMode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return fromUnix(uint32(st.Mode)), nil
}

func (d fdFolder) readlink(name string) (string, error) {
	for size := 256; ; size *= 2 {
		b := make([]byte, size)
		n, err := unix.Readlinkat(d.fd, name, b)
		if err != nil {
			return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
		}
		if n < size {
			return string(b[:n]), nil
		}
	}
}

// open does not wait for the other end of a pipe, should the file have become
// one.
func (d fdFolder) open(name string) (reader, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return fdFile(fd), nil
}

func (d fdFolder) mkdir(name string, mode fs.FileMode) error {
	return pathError("mkdir", name, unix.Mkdirat(d.fd, name, canonicalMode(mode)&0o7777))
}

func (d fdFolder) symlink(text, name string) error {
	return pathError("symlink", name, unix.Symlinkat(text, d.fd, name))
}

func (d fdFolder) create(name string, mode fs.FileMode) (writer, error) {
	fd, err := openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, canonicalMode(mode)&0o7777)
	if err != nil {
		return nil, err
	}
	return fdFile(fd), nil
}

func (d fdFolder) finish(name string, mode fs.FileMode, t time.Time) error {
	if mode.IsDir() {
		if err := unix.Fchmodat(d.fd, name, canonicalMode(mode)&0o7777, 0); err != nil {
			return pathError("chmod", name, err)
		}
	}
	if t.IsZero() {
		return nil
	}
	ts := unix.NsecToTimespec(t.UnixNano())
	return pathError("utimes", name, unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

func (d fdFolder) remove(name string) error {
	return pathError("remove", name, unix.Unlinkat(d.fd, name, 0))
}

func (d fdFolder) close() error { return unix.Close(d.fd) }

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// fdFile is an open regular file, without what os.File does for pipes and
// sockets.
type fdFile int

func (f fdFile) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (f fdFile) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := unix.Write(int(f), b[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, os.NewSyscallError("write", err)
		}
		done += n
	}
	return done, nil
}

func (f fdFile) Close() error { return unix.Close(int(f)) }
func (f fdFile) sync() error  { return unix.Fsync(int(f)) }

func (f fdFile) chmod(mode fs.FileMode) error {
	return unix.Fchmod(int(f), canonicalMode(mode)&0o7777)
}

func (f fdFile) mode() (fs.FileMode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f), &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return fromUnix(uint32(st.Mode)), nil
}

// fromUnix turns the system's mode into Go's.
func fromUnix(u uint32) fs.FileMode {
	m := fs.FileMode(u & 0o777)
	for _, x := range [...]struct {
		unix uint32
		bit  fs.FileMode
	}{{unix.S_ISUID, fs.ModeSetuid}, {unix.S_ISGID, fs.ModeSetgid}, {unix.S_ISVTX, fs.ModeSticky}} {
		if u&x.unix != 0 {
			m |= x.bit
		}
	}
	switch u & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	default:
		m |= fs.ModeIrregular
	}
	return m
}
