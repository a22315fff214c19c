package agent

import "golang.org/x/sys/unix"

// hasACL reports whether a file has access rights beyond its permission bits.
func hasACL(path string) bool {
	n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}
