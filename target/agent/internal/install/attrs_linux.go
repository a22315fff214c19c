package install

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// setAttrs sets the ACLs, and the label where no tool does it, on an open file.
func setAttrs(fd int, n *node) error {
	for _, a := range n.raw {
		if err := setAttr(fd, a); err != nil {
			return err
		}
	}
	if n.label == nil || !n.label.direct {
		return nil
	}
	buf := make([]byte, 1024)
	size, err := unix.Fgetxattr(fd, "security.selinux", buf)
	if err != nil {
		size = 0
	}
	value := n.label.apply(strings.TrimRight(string(buf[:size]), "\x00"))
	return setAttr(fd, attr{"security.selinux", append([]byte(value), 0)})
}

func setAttr(fd int, a attr) error {
	var err error
	if len(a.Value) == 0 {
		if err = unix.Fremovexattr(fd, a.Name); errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			err = nil
		}
	} else {
		err = unix.Fsetxattr(fd, a.Name, a.Value, 0)
	}
	if err != nil {
		return &os.PathError{Op: "set attribute", Path: a.Name, Err: err}
	}
	return nil
}

// acls reads the directory's own ACLs; an absent one has no value.
func (d *dir) acls() []attr {
	out := []attr{{Name: aclAccess}, {Name: aclDefault}}
	for i := range out {
		buf := make([]byte, 64<<10)
		if n, err := unix.Fgetxattr(d.fd, out[i].Name, buf); err == nil {
			out[i].Value = buf[:n:n]
		}
	}
	return out
}

func (d *dir) setACLs(list []attr) error {
	for _, a := range list {
		if err := setAttr(d.fd, a); err != nil {
			return err
		}
	}
	return nil
}

// takesACLs says whether the directory's file system has POSIX ACLs.
func (d *dir) takesACLs() bool {
	_, err := unix.Fgetxattr(d.fd, aclAccess, nil)
	return err == nil || errors.Is(err, unix.ENODATA)
}

// selinuxActive says whether the kernel enforces or reports SELinux labels.
func selinuxActive() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/selinux", &st) == nil && st.Type == unix.SELINUX_MAGIC
}

// copyAttrs copies ACLs and other attributes as far as they can be had.
func copyAttrs(from, to int) {
	buf := make([]byte, 64<<10)
	n, err := unix.Flistxattr(from, buf)
	if err != nil {
		return
	}
	for _, name := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		v := make([]byte, 64<<10)
		if m, err := unix.Fgetxattr(from, name, v); err == nil && name != "" {
			_ = unix.Fsetxattr(to, name, v[:m], 0)
		}
	}
}
