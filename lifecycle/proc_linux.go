package lifecycle

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// proc is a process as it was seen. Its number alone does not name it, since
// numbers are used again; number and start time do.
type proc struct {
	pid, parent, group, session int

	terminal bool   // it has a controlling terminal
	start    uint64 // in ticks since the machine was started
	dead     bool   // it has ended and was not collected, or is the kernel's own
}

// ticks is now in the unit of proc.start, which is the same on all Linux systems.
func ticks() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return uint64(t.Nano()) / 10_000_000
}

// readProc looks at a process. It reports false if there is none of that number.
func readProc(pid int) (proc, bool) {
	var buf [1024]byte
	text := readSmall("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	// The name in brackets may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return proc{}, false
	}
	flags, _ := strconv.ParseUint(string(fields[6]), 10, 64)
	p := proc{pid: pid, dead: fields[0][0] == 'Z' || fields[0][0] == 'X' || flags&kernelThread != 0}
	p.parent, _ = strconv.Atoi(string(fields[1]))
	p.group, _ = strconv.Atoi(string(fields[2]))
	p.session, _ = strconv.Atoi(string(fields[3])) // 0: outside our view
	p.terminal = string(fields[4]) != "0"
	p.start, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	return p, true
}

const kernelThread = 0x00200000 // among a process's flags

// readSmall reads a file of the kernel's that fits into buf, with as few calls as
// can be. What cannot be read is empty.
func readSmall(path string, buf []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, buf)
	return buf[:max(n, 0)]
}

// allProcs lists the living processes of the machine but this one.
func allProcs() []proc {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	self := os.Getpid()
	var all []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == self {
			continue
		}
		if p, ok := readProc(pid); ok && !p.dead {
			all = append(all, p)
		}
	}
	return all
}

// signal sends a signal, unless the process has ended meanwhile: whoever has its
// number then is left alone.
func (p proc) signal(sig syscall.Signal) bool {
	// On kernels that can, this holds on to the process itself, not to its number.
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return false
	}
	defer func() { _ = handle.Release() }()
	if again, ok := readProc(p.pid); !ok || again.dead || again.start != p.start {
		return false
	}
	return handle.Signal(sig) == nil
}

// carriers finds processes by a mark in their environment.
type carriers struct {
	mark   string // whole, or if it ends in a dot, how it begins
	doubts map[hit]int
}

// hit names a process for all time.
type hit struct {
	pid   int
	start uint64
}

// doubtful is how often a process is looked at that shows no environment.
const doubtful = 10

// among returns the processes that carry the mark. In the moment of becoming
// another program a process shows no environment; so it is looked at again, now
// and next time, before it is believed to have none.
func (c *carriers) among(all []proc) map[int]proc {
	if c.doubts == nil {
		c.doubts = map[hit]int{}
	}
	found := map[int]proc{}
	for _, p := range all {
		text := p.environ()
		name := hit{p.pid, p.start}
		for range 3 {
			if len(text) > 0 || c.doubts[name] == doubtful {
				break
			}
			c.doubts[name]++
			pause(context.Background(), 500*time.Microsecond)
			text = p.environ()
		}
		if c.in(text) {
			found[p.pid] = p
		}
	}
	return found
}

// environ is the environment that the process was started with; one blank if it
// is not for us to see.
func (p proc) environ() string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/environ")
	if err != nil {
		return " "
	}
	return string(text)
}

// in says whether the mark is in an environment.
func (c *carriers) in(environ string) bool {
	want := markVar + "=" + c.mark
	prefix := strings.HasSuffix(want, ".")
	for v := range strings.SplitSeq(environ, "\x00") {
		if v == want || prefix && strings.HasPrefix(v, want) {
			return true
		}
	}
	return false
}

// holds says whether one of the files is the process's standard output or error.
// They are named as the kernel names pipes.
func (p proc) holds(files []string) bool {
	for _, fd := range [...]string{"/fd/1", "/fd/2"} {
		if to, err := os.Readlink("/proc/" + strconv.Itoa(p.pid) + fd); err == nil && slices.Contains(files, to) {
			return true
		}
	}
	return false
}

// kin adds to found who in all descends from them: their children, and who is in
// a process group or session of theirs. Those are entered by birth. A group that
// somebody found is in, and we are not, began with the hook or below it. So did
// his session, if the hook was started in ours; else it may be that of the process
// that started the hook, and counts only if its leader is found too.
func kin(found map[int]proc, all []proc, inOurs bool) {
	session, _ := unix.Getsid(0)
	ours := map[int]bool{0: true, session: true, unix.Getpgrp(): true}
	groups, sessions := map[int]bool{}, map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, p := range found {
			_, led := found[p.session]
			groups[p.group] = !ours[p.group]
			sessions[p.session] = !ours[p.session] && (inOurs || led)
		}
		for _, p := range all {
			if _, known := found[p.pid]; known {
				continue
			}
			if _, child := found[p.parent]; child || groups[p.group] || sessions[p.session] {
				found[p.pid] = p
				grown = true
			}
		}
	}
}

// closedAbove2 returns holes for the descriptors above the first three that a
// child would inherit because whoever opened them did not mark them.
func closedAbove2() []*os.File {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	last := 2
	var buf [4096]byte
	var names []string
	for {
		n, err := unix.ReadDirent(dir, buf[:])
		if err != nil || n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil && fd > last && inherited(fd) {
				last = fd
			}
		}
	}
	return make([]*os.File, last-2)
}

// inherited says that a descriptor is not marked to be closed in children.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// onNoexec says whether the file system of path is mounted noexec.
func onNoexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
