//go:build unix && !linux

package lifecycle

import (
	"context"
	"os"
	"syscall"
)

// group is what a script started, as far as this system can tell: its process
// group. What leaves the group is not found.
type group struct {
	pid   int
	asked bool
}

func newGroup(string, *outputs) *group { return &group{} }

func (g *group) attr(a *Account) *syscall.SysProcAttr { return sessionAttr(a) }

func (g *group) started(pid int) error {
	g.pid = pid
	return nil
}

func (g *group) giveUp(*syscall.SysProcAttr) bool { return false }

// end asks the group to end, once, or kills it, and reports whether there is none.
// What is stopped is set going again, so that it hears what it is asked.
func (g *group) end(kill bool) (none bool) {
	switch {
	case g.pid == 0:
		return true
	case kill:
		none = syscall.Kill(-g.pid, syscall.SIGKILL) != nil
	case g.asked:
		return syscall.Kill(-g.pid, 0) != nil
	default:
		none = syscall.Kill(-g.pid, syscall.SIGTERM) != nil
		_ = syscall.Kill(-g.pid, syscall.SIGCONT)
	}
	g.asked = true
	return none
}

// hits counts the group as one process: its members are not known.
func (g *group) hits() int {
	if g.asked {
		return 1
	}
	return 0
}

func (g *group) leave()   {}
func (g *group) release() {}

// EndLeftovers finds nothing here: this system does not tell which processes an
// interrupted hook left running.
func EndLeftovers(context.Context, Env) (int, error) { return 0, nil }

// closedAbove2 returns nothing: inherited descriptors without the close-on-exec
// flag are not found on this system.
func closedAbove2() []*os.File { return nil }

func onNoexec(string) bool { return false }
