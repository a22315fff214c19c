//go:build unix

package transfer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// WithSpace says how full the disk is, if that is the trouble.
func WithSpace(err error, dir string, need int64) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return err
	}
	return fmt.Errorf("%w: the revision has %d bytes, the file system of %s has %d left; make room and deploy again", err, need, dir, uint64(fs.Bavail)*uint64(fs.Bsize))
}
