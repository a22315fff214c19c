package lifecycle

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

// plainShell runs what has no interpreter line: Windows goes by names.
const plainShell = ""

// canChangeAccount says that scripts can run as other accounts here.
const canChangeAccount = false

// What the system answers when it does not start a program. A file that somebody has
// open for writing, a virus scanner for example, is let go of soon.
const (
	errExecFormat = windows.ERROR_BAD_EXE_FORMAT
	errTextBusy   = windows.ERROR_SHARING_VIOLATION
)

var errNotPermitted = errors.New("not permitted")

func (a *Account) isOurs() bool                 { return false }
func (a *Account) barred(string, string) string { return "cannot be used" }

func mayExecute(string) bool { return true }
func onNoexec(string) bool   { return false }

func signalName(int) string { return "" }

func endSignal(*os.ProcessState) (name, text string) { return "", "" }

// launchOn says how a file is started, by what its name ends with.
func launchOn(path string, args []string) (launch, error) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return launch{}, err
	}
	return windowsLaunch(path, args, system)
}

func setLine(attr *syscall.SysProcAttr, line string) { attr.CmdLine = line }

// withSystem adds the variable without which the system's own libraries do not load.
func withSystem(env []string) []string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return env // whoever needs it says so
	}
	return withVar(env, "SystemRoot", filepath.Dir(system))
}

// drain does nothing: a pipe that is no longer read breaks here.
func drain(*os.File) error {
	return errors.New("not possible on this system")
}

// EndLeftovers finds nothing here: the job of an interrupted hook ended with the
// process that ran it, and everything in it.
func EndLeftovers(context.Context, Env) (int, error) { return 0, nil }

func closedAbove2() []*os.File { return nil }
