package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// group is everything that a script started. It is found in three ways: by a
// control group of its own where one can be made, by the session that the script
// leads, and by the mark in its environment.
type group struct {
	mark string
	cg   *cgroup // nil: none could be made
	pid  int     // of the script, which leads its session; 0: not started
	hit  map[int]bool
}

func newGroup(mark string) *group {
	return &group{mark: mark, cg: newCgroup(mark), hit: map[int]bool{}}
}

// attr says how the script is to be started.
func (g *group) attr(a *Account) *syscall.SysProcAttr {
	attr := sessionAttr(a)
	if g.cg != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.cg.dir.Fd())
	}
	return attr
}

func (g *group) started(pid int) { g.pid = pid }

// giveUp does without the control group, once.
func (g *group) giveUp(attr *syscall.SysProcAttr) bool {
	if g.cg == nil {
		return false
	}
	g.cg.remove()
	g.cg, attr.UseCgroupFD = nil, false
	return true
}

// members lists the living processes of the group.
func (g *group) members() []int {
	found := map[int]bool{}
	if g.cg != nil {
		for _, pid := range g.cg.procs() {
			found[pid] = true
		}
	}
	for _, pid := range marked(g.mark, g.pid) {
		found[pid] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func (g *group) signal(kill bool) {
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	for _, pid := range g.members() {
		if syscall.Kill(pid, sig) == nil {
			g.hit[pid] = true
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
func (g *group) leave() {
	if g.cg != nil {
		g.cg.moveOut()
	}
}

func (g *group) release() {
	if g.cg != nil {
		g.cg.remove()
		g.cg = nil
	}
}

// EndLeftovers kills what is left running of a hook of env.Step that was cut off
// when the process that ran it died, and returns how many processes that were. It
// must be called before the step is done again or reported as interrupted, and
// never while the step is being done. Env needs Step and Scope, the same as then.
func EndLeftovers(ctx context.Context, env Env) (int, error) {
	prefix := stepMark(env) + "."
	groups := leftCgroups(prefix)
	hit := map[int]bool{}
	for range 100 {
		var found []int
		for _, cg := range groups {
			found = append(found, cg.procs()...)
			cg.kill()
		}
		found = append(found, marked(prefix, 0)...)
		if len(found) == 0 {
			for _, cg := range groups {
				cg.remove()
			}
			return len(hit), nil
		}
		for _, pid := range found {
			hit[pid] = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if !pause(ctx, 20*time.Millisecond) {
			return len(hit), context.Cause(ctx)
		}
	}
	return len(hit), fmt.Errorf("%s: processes of an interrupted hook do not end when killed; see them by their variable %s=%s",
		env.Step, markVar, prefix)
}

// marked lists the living processes whose environment holds the mark, or what
// begins with it if it ends in a dot, and those in the session of leader.
func marked(mark string, leader int) []int {
	var pids []int
	want := markVar + "=" + mark
	for _, pid := range allPids() {
		if pid == os.Getpid() {
			continue
		}
		if leader > 0 {
			if session, lives := sessionOf(pid); lives && session == leader {
				pids = append(pids, pid)
				continue
			}
		}
		if hasVar(pid, want) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// allPids lists the processes of the machine.
func allPids() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sessionOf returns the session of a process (0: one outside our view) and
// whether it lives; a zombie does not.
func sessionOf(pid int) (session int, lives bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in brackets may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 4 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	session, _ = strconv.Atoi(fields[3])
	return session, true
}

// hasVar says whether the process was started with the variable. One that has
// ended has no environment.
func hasVar(pid int, want string) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	prefix := strings.HasSuffix(want, ".")
	for v := range strings.SplitSeq(string(text), "\x00") {
		if v == want || prefix && strings.HasPrefix(v, want) {
			return true
		}
	}
	return false
}

// closedAbove2 returns holes for the descriptors above the first three that a
// child would inherit because whoever opened them did not mark them.
func closedAbove2() []*os.File {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	last := 2
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = fd
		}
	}
	return make([]*os.File, last-2)
}

// onNoexec says whether the file system of path is mounted noexec.
func onNoexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
