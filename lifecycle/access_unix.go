//go:build unix

package lifecycle

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// barred says what keeps the account from running a file in a directory, as far as
// modes tell it.
func (a *Account) barred(file, dir string) string {
	for _, path := range slices.Concat(above(file), above(filepath.Join(dir, "x"))) {
		if info, err := os.Stat(path); err == nil && !a.mayExecute(info) {
			return fmt.Sprintf("may not enter the directory %s (mode %04o); let it in, or keep deployments elsewhere", path, info.Mode().Perm())
		}
	}
	if info, err := os.Stat(file); err == nil && !a.mayExecute(info) {
		return fmt.Sprintf("may not execute the file (mode %04o); set its mode in the revision", info.Mode().Perm())
	}
	return "may not execute the file or its interpreter, or enter a directory above them; look at their access rules"
}

// above lists the directories on the way to a file, from the root on.
func above(file string) []string {
	var dirs []string
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			slices.Reverse(dirs)
			return dirs
		}
	}
}

// mayExecute says whether the mode lets the account execute a file or enter a
// directory.
func (a *Account) mayExecute(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return true
	case a.UID == 0:
		return info.IsDir() || mode&0o111 != 0
	case st.Uid == a.UID:
		return mode&0o100 != 0
	case st.Gid == a.GID || slices.Contains(a.Groups, st.Gid):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
