package install

import "golang.org/x/sys/unix"

// casefolded says whether the directory itself has the attribute chattr +F.
func (d *dir) casefolded() bool {
	fd, err := openat(d.fd, ".", dirFlags, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	const casefoldFlag = 0x40000000
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	return err == nil && flags&casefoldFlag != 0
}
