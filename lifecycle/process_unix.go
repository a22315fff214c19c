//go:build unix

package lifecycle

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// plainShell runs what has no interpreter line.
const plainShell = "/bin/sh"

// canChangeAccount says that scripts can run as other accounts here.
const canChangeAccount = true

// What the system answers when it does not start a program.
const (
	errExecFormat   = syscall.ENOEXEC
	errTextBusy     = syscall.ETXTBSY
	errNotPermitted = syscall.EPERM
)

// sessionAttr gives a script a session of its own, and so a process group and no
// terminal, and its account's ids.
func sessionAttr(a *Account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a != nil && !a.isOurs() {
		attr.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
	}
	return attr
}

// launchOn says how a file is started: as it is.
func launchOn(path string, args []string) (launch, error) {
	return launch{argv: append([]string{path}, args...)}, nil
}

func setLine(*syscall.SysProcAttr, string) {}

// withSystem adds what every program of the system needs: nothing.
func withSystem(env []string) []string { return env }

func mayExecute(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) == nil
}

// signalName is the name of a signal; empty: there is none of that number.
func signalName(n int) string {
	if n <= 0 {
		return ""
	}
	return unix.SignalName(syscall.Signal(n))
}

// endSignal says which signal ended a process and what that may mean.
func endSignal(state *os.ProcessState) (name, text string) {
	w, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !w.Signaled() {
		return "", ""
	}
	sig := w.Signal()
	if name = signalName(int(sig)); name == "" {
		name = fmt.Sprintf("signal %d", int(sig))
	}
	switch sig {
	case syscall.SIGKILL:
		text = ": somebody killed it, or the system ran out of memory (see the kernel log)"
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT:
		text = ": it crashed"
	}
	return name, text
}

// drainer reads its descriptor 3 to the end. It goes into the background at once,
// so that it is no child of ours and outlives us.
const drainer = "cat <&3 3<&- >/dev/null 2>&1 &"

// drain sees to it that a pipe which we stop reading is read on for as long as
// somebody holds its other side, whether this process lives or not. Without it
// the writer would die of a broken pipe.
func drain(r *os.File) error {
	// The drainer shares the mode with us and cannot deal with ours.
	if err := syscall.SetNonblock(int(r.Fd()), false); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(plainShell, []string{plainShell, "-c", drainer}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=/usr/bin:/bin"},
		Files: []*os.File{null, null, null, r},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	state, err := p.Wait()
	if err == nil && !state.Success() {
		return fmt.Errorf("the shell ended with %s", state)
	}
	return err
}

// expired says whether a field of the account database, a day, has come. Days are
// counted from 1970.
func expired(field string) bool {
	n, err := strconv.ParseInt(field, 10, 64)
	return err == nil && n >= 0 && n <= today()
}
