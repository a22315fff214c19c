package install

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// passFlags opens a directory for passing through it: no permission to read needed.
const passFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func statTimes(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

func renameNoReplace(fd int, from, to string) error {
	return unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
}

func futimes(fd int, ts unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", []unix.Timespec{ts, ts}, unix.AT_EMPTY_PATH)
}

// syncsAll: one sync makes a whole file system durable.
const syncsAll = true

// syncFile does nothing: a file system is synced once, after all files were
// written. 20,000 single syncs would each wait for the disk.
func syncFile(int) error { return nil }

// sync writes the directory's whole file system to disk and reports write errors.
func (d *dir) sync() error {
	fd, err := openat(d.fd, ".", dirFlags, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("syncfs", unix.Syncfs(fd))
}

// space says how many bytes and files the directory's file system takes, for us.
func (d *dir) space() (bytes, block, files uint64, readOnly bool, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return 0, 1, 0, false, os.NewSyscallError("statfs", err)
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	if st.Blocks == 0 {
		return 1 << 62, uint64(st.Bsize), 1 << 62, false, nil // keeps no count, such as ramfs
	}
	files = st.Ffree
	if st.Files == 0 {
		files = 1 << 62 // made as needed
	}
	return free * uint64(st.Bsize), uint64(st.Bsize), files, st.Flags&unix.ST_RDONLY != 0, nil
}

// locked names what forbids changing name in d (empty: d itself): a file attribute, or
// nothing.
func (d *dir) locked(name string) string {
	var st unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Statx(d.fd, name, flags, 0, &st); err != nil {
		return ""
	}
	switch {
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return "immutable (chattr +i)"
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		return "append-only (chattr +a)"
	}
	return ""
}

// writable says whether we may make and remove entries.
func (d *dir) writable() bool {
	err := unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	return err == nil || errors.Is(err, unix.ENOSYS)
}
