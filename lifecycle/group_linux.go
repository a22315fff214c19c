package lifecycle

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is everything that a script started. It is found by a control group of
// its own where one can be made, by the session that the script leads, by the
// mark in its environment, and by kinship with what was found so.
type group struct {
	mark   string
	cg     *cgroup // nil: none could be made
	pid    int     // of the script, which leads its session; 0: not started
	out    *outputs
	before uint64 // ticks when nothing was started
	after  uint64 // ticks when the script was started
	hit    map[hit]bool
}

// hit names a process for all time.
type hit struct {
	pid   int
	start uint64
}

func newGroup(mark string, out *outputs) *group {
	return &group{mark: mark, cg: newCgroup(mark), out: out, before: ticks()}
}

// attr says how the script is to be started.
func (g *group) attr(a *Account) *syscall.SysProcAttr {
	attr := sessionAttr(a)
	if g.cg != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, g.cg.fd
	}
	return attr
}

func (g *group) started(pid int) { g.pid, g.after = pid, ticks() }

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
	found := map[int]proc{}
	all := allProcs()
	leads, pipes := g.leads(all), g.pipes()
	for _, p := range all {
		if p.start >= g.before && (leads && p.session == g.pid || p.hasVar(markVar+"="+g.mark) || p.holds(pipes)) {
			found[p.pid] = p
		}
	}
	if g.cg != nil {
		for _, p := range g.cg.procs() {
			found[p.pid] = p
		}
	}
	kin(found, all)
	return found
}

// leads says whether the session of the script's number is still the script's.
// The number is not used again as long as somebody is in the session; so if it
// was, by somebody who began later, nobody of ours is.
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

// signal asks all members to end, or kills them. One that is stopped is set going
// again, so that it hears what it is asked.
func (g *group) signal(kill bool) {
	if g.hit == nil {
		g.hit = map[hit]bool{}
	}
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	for _, p := range g.members() {
		if p.signal(sig) {
			g.hit[hit{p.pid, p.start}] = true
		}
		if !kill {
			p.signal(syscall.SIGCONT)
		}
	}
	if kill && g.cg != nil {
		g.cg.kill()
	}
}

func (g *group) empty() bool { return len(g.members()) == 0 }

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
