package lifecycle

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is everything that a script started. It is found by a control group of
// its own where one can be made, by the process group that the script leads, by the
// mark in its environment, and by kinship with what was found so.
type group struct {
	marked carriers
	cg     *cgroup // nil: none could be made
	pid    int     // of the script, which leads its process group; 0: not started
	out    *outputs
	before uint64 // ticks when nothing was started
	after  uint64 // ticks when the script was started
	hit    map[hit]bool
	calm   int // scans in a row that found nobody
}

func newGroup(mark string, out *outputs) *group {
	return &group{marked: carriers{mark: mark}, cg: newCgroup(mark), out: out, before: ticks(), hit: map[hit]bool{}}
}

// attr says how the script is to be started.
func (g *group) attr(a *Account) *syscall.SysProcAttr {
	attr := sessionAttr(a)
	// A session keeps the script from our terminal. Where there is none, a process
	// group is enough, and better: some kernels share out time by session, and a
	// new one waits long for its first share when the machine is busy.
	if self, ok := readProc(os.Getpid()); ok && !self.terminal {
		attr.Setsid, attr.Setpgid = false, true
	}
	if g.cg != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, g.cg.fd
	}
	return attr
}

func (g *group) started(pid int) error {
	g.pid, g.after = pid, ticks()
	return nil
}

// giveUp does without the control group, once.
func (g *group) giveUp(attr *syscall.SysProcAttr) bool {
	if g.cg == nil {
		return false
	}
	g.release()
	attr.UseCgroupFD = false
	return true
}

// members lists the living processes of the group.
func (g *group) members() map[int]proc {
	// What began before the script is none of its.
	all := slices.DeleteFunc(allProcs(), func(p proc) bool { return p.start < g.before })
	found := g.marked.among(all)
	leads, pipes := g.leads(all), g.pipes()
	for _, p := range all {
		if leads && (p.group == g.pid || p.session == g.pid) || p.holds(pipes) {
			found[p.pid] = p
		}
	}
	if g.cg != nil {
		for _, p := range g.cg.procs() {
			found[p.pid] = p
		}
	}
	kin(found, all, true)
	return found
}

// leads says whether the process group of the script's number is still the
// script's. The number is not used again as long as somebody is in the group or in
// the session; so if it was, by somebody who began later, nobody of ours is.
func (g *group) leads(all []proc) bool {
	for _, p := range all {
		if p.pid == g.pid {
			return p.start <= g.after
		}
	}
	return g.pid > 0
}

// pipes names the pipes that the script prints into. Whoever holds one has it
// from the script. A control group knows better, so there they are not needed.
func (g *group) pipes() []string {
	if g.cg != nil {
		return nil
	}
	var names []string
	for _, s := range []*stream{&g.out.stdout, &g.out.stderr} {
		var st unix.Stat_t
		if c, err := s.r.SyscallConn(); err == nil {
			_ = c.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) })
			if err == nil && st.Ino != 0 {
				names = append(names, fmt.Sprintf("pipe:[%d]", st.Ino))
			}
		}
	}
	return names
}

// end asks those members to end that it has not asked before, or kills all. It
// reports whether there were none. One that is stopped is set going again, so that
// it hears what it is asked. It is called again and again, since a process may
// fork just before it hears. The oldest hears first: the script, before it learns from
// the end of its children.
func (g *group) end(kill bool) (none bool) {
	found := slices.SortedFunc(maps.Values(g.members()), func(a, b proc) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.pid, b.pid))
	})
	for _, p := range found {
		name := hit{p.pid, p.start}
		switch {
		case kill && p.signal(syscall.SIGKILL):
			g.hit[name] = true
		case !kill && !g.hit[name] && p.signal(syscall.SIGTERM):
			g.hit[name] = true
			p.signal(syscall.SIGCONT)
		}
	}
	if kill && g.cg != nil && len(found) > 0 {
		g.cg.kill()
	}
	if len(found) > 0 {
		g.calm = 0
		return false
	}
	g.calm++
	return g.calm >= calmScans || g.cg != nil
}

// hits is how many processes were ended.
func (g *group) hits() int { return len(g.hit) }

// leave lets the members live on, in the control group of this process.
func (g *group) leave() { g.closeCgroup(true) }

// release gives back what finding the members took.
func (g *group) release() { g.closeCgroup(false) }

func (g *group) closeCgroup(spare bool) {
	if g.cg != nil {
		g.cg.close(spare)
		g.cg = nil
	}
}
