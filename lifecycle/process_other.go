//go:build !unix && !windows

package lifecycle

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// plainShell runs what has no interpreter line: there is none.
const plainShell = ""

// canChangeAccount says that scripts can run as other accounts here.
const canChangeAccount = false

var (
	errExecFormat   = errors.New("exec format")
	errTextBusy     = errors.New("text busy")
	errNotPermitted = errors.New("not permitted")
)

func (a *Account) isOurs() bool                 { return false }
func (a *Account) barred(string, string) string { return "cannot be used" }

func launchOn(path string, args []string) (launch, error) {
	return launch{argv: append([]string{path}, args...)}, nil
}

func setLine(*syscall.SysProcAttr, string) {}
func withSystem(env []string) []string     { return env }

func mayExecute(string) bool { return true }
func onNoexec(string) bool   { return false }

func signalName(int) string { return "" }

func endSignal(*os.ProcessState) (name, text string) { return "", "" }

// drain does nothing: a pipe that is no longer read breaks here.
func drain(*os.File) error {
	return errors.New("not possible on this system")
}

// group is the script's own process: this system has no process groups that
// would tell what it started.
type group struct {
	proc *os.Process
}

func newGroup(string, *outputs) *group { return &group{} }

func (g *group) attr(*Account) *syscall.SysProcAttr { return nil }

func (g *group) started(pid int) (err error) {
	g.proc, err = os.FindProcess(pid)
	return err
}

func (g *group) giveUp(*syscall.SysProcAttr) bool { return false }

// end kills in either case: there is no polite way.
func (g *group) end(bool) (none bool) {
	if g.proc != nil {
		_ = g.proc.Kill()
	}
	return true
}

func (g *group) hits() int { return 1 }
func (g *group) leave()    {}
func (g *group) release()  {}

// EndLeftovers finds nothing here: this system does not tell which processes an
// interrupted hook left running.
func EndLeftovers(context.Context, Env) (int, error) { return 0, nil }

func closedAbove2() []*os.File { return nil }
