package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks f for this process, or reports false at once. The system gives
// the lock back when the handle is closed, however the process ends.
func tryLock(f *os.File) (bool, error) {
	// A byte far behind the end: a lock here is mandatory, and the holder's name
	// at the start of the file must stay readable.
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// syncDir does nothing: Windows has no way to sync a directory; NTFS logs
// changes of names itself.
func syncDir(string) error { return nil }
