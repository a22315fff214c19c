//go:build unix

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// barred says what keeps an account from running a script in dir; empty: nothing.
// It looks at permission bits only, and trusts a place where access control lists
// are in use.
func barred(who *lifecycle.Account, dir, script string) string {
	if who.UID == 0 {
		return ""
	}
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && !may(who, info, 1) && !hasACL(at) {
			return "the account may not pass through " + at + ", so it cannot get at the script; keep the state directory where it can, or give it execute permission there"
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	info, err := os.Stat(script)
	if err != nil {
		return "" // missing, which is said elsewhere
	}
	want := fs.FileMode(5)
	if info.Mode()&0o111 == 0 {
		want = 4 // it is made executable before it runs
	}
	if !may(who, info, want) && !hasACL(script) {
		return "the account may not read and execute the script, whose mode is " + info.Mode().Perm().String() + "; set its mode in the revision"
	}
	return ""
}

// may reports whether permission bits let an account do all of want.
func may(who *lifecycle.Account, info fs.FileInfo, want fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	bits := info.Mode().Perm()
	switch {
	case st.Uid == who.UID:
		bits >>= 6
	case st.Gid == who.GID || slices.Contains(who.Groups, st.Gid):
		bits >>= 3
	}
	return bits&want == want
}
