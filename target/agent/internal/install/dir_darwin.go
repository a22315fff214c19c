package install

import (
	"os"

	"golang.org/x/sys/unix"
)

const passFlags = dirFlags

func statTimes(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

func renameNoReplace(fd int, from, to string) error {
	return unix.RenameatxNp(fd, from, fd, to, unix.RENAME_EXCL)
}

func futimes(fd int, ts unix.Timespec) error {
	tv := unix.NsecToTimeval(ts.Nano())
	return unix.Futimes(fd, []unix.Timeval{tv, tv})
}

const syncsAll = false

// syncFile syncs one file; there is no call for a whole file system that waits.
func syncFile(fd int) error { return os.NewSyscallError("fsync", unix.Fsync(fd)) }

func (d *dir) sync() error { return os.NewSyscallError("fsync", unix.Fsync(d.fd)) }

func (d *dir) space() (bytes, block, files uint64, readOnly bool, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return 0, 1, 0, false, os.NewSyscallError("statfs", err)
	}
	return st.Bavail * uint64(st.Bsize), uint64(st.Bsize), st.Ffree, st.Flags&unix.MNT_RDONLY != 0, nil
}

func (d *dir) locked(string) string { return "" }

func (d *dir) writable() bool { return unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, 0) == nil }
