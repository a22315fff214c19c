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
	pid int
	n   int
}

func newGroup(string, *outputs) *group { return &group{} }

func (g *group) attr(a *Account) *syscall.SysProcAttr { return sessionAttr(a) }

func (g *group) started(pid int) { g.pid = pid }

func (g *group) giveUp(*syscall.SysProcAttr) bool { return false }

func (g *group) signal(kill bool) {
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	if g.pid > 0 && syscall.Kill(-g.pid, sig) == nil {
		g.n = max(g.n, 1)
	}
	if !kill && g.pid > 0 {
		// One that is stopped is set going again, so that it hears what it is asked.
		_ = syscall.Kill(-g.pid, syscall.SIGCONT)
	}
}

func (g *group) empty() bool { return g.pid == 0 || syscall.Kill(-g.pid, 0) != nil }

// hits counts the group as one process: its members are not known.
func (g *group) hits() int { return g.n }

func (g *group) leave()   {}
func (g *group) release() {}

// EndLeftovers finds nothing here: this system does not tell which processes an
// interrupted hook left running.
func EndLeftovers(context.Context, Env) (int, error) { return 0, nil }

// closedAbove2 returns nothing: inherited descriptors without the close-on-exec
// flag are not found on this system.
func closedAbove2() []*os.File { return nil }

func onNoexec(string) bool { return false }
