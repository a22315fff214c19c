package lifecycle

import (
	"bufio"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of our control groups.
const cgroupPrefix = "cutover-"

// cgroup is a control group (version 2) of one script, below the one that this
// process lives in.
type cgroup struct {
	path string
	fd   int // of the directory, locked for as long as its maker lives
}

// newCgroup makes a control group, or nil where that cannot be done: no version
// 2 hierarchy, no permission, a read-only mount.
func newCgroup(mark string) *cgroup {
	parent := ownCgroup()
	if parent == "" {
		return nil
	}
	path := parent + "/" + cgroupPrefix + mark
	// Somebody who clears away may find it before it is locked: once more, then.
	for range 3 {
		if unix.Mkdir(path, 0o755) != nil {
			return nil
		}
		if c := openCgroup(path, 0); c != nil {
			if unix.Access(path, unix.F_OK) == nil {
				return c
			}
			_ = unix.Close(c.fd)
		}
		_ = unix.Rmdir(path)
	}
	return nil
}

// openCgroup opens a group and locks it. With LOCK_NB it does not wait for the
// lock, and returns nil if somebody has it.
func openCgroup(path string, how int) *cgroup {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	if unix.Flock(fd, unix.LOCK_EX|how) != nil {
		_ = unix.Close(fd)
		return nil
	}
	return &cgroup{path: path, fd: fd}
}

// ownCgroup is the directory of this process's control group; empty: none.
func ownCgroup() string {
	var buf [4096]byte
	for line := range bytes.Lines(readSmall("/proc/self/cgroup", buf[:])) {
		if path, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("0::")); ok {
			return cgroupDir(string(path))
		}
	}
	return ""
}

// usualMounts are where the version 2 hierarchy is, alone or beside version 1.
// Looking there first is much cheaper than reading the list of mounts.
var usualMounts = [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// cgroupDir finds the directory of a group.
func cgroupDir(path string) string {
	for _, mount := range usualMounts {
		if dir := filepath.Join(mount, path); isCgroup2(dir) {
			return dir
		}
	}
	mount, root := cgroupMount()
	rel, inside := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	if mount == "" || !inside || strings.HasPrefix(rel, "/..") {
		return ""
	}
	return filepath.Join(mount, rel)
}

func isCgroup2(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// cgroupMount finds where the version 2 hierarchy is mounted, and which part of
// it.
func cgroupMount() (mount, root string) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && strings.Contains(lines.Text(), " - cgroup2 ") {
			return fields[4], fields[3]
		}
	}
	return "", ""
}

// groups lists the group and those that a script has made below it, the deepest
// first.
func (c *cgroup) groups() []string {
	dirs := []string{c.path}
	for i := 0; i < len(dirs); i++ {
		entries, _ := os.ReadDir(dirs[i])
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(dirs[i], e.Name()))
			}
		}
	}
	for i, j := 0, len(dirs)-1; i < j; i, j = i+1, j-1 {
		dirs[i], dirs[j] = dirs[j], dirs[i]
	}
	return dirs
}

// procs lists the living processes in the group and below it.
func (c *cgroup) procs() []proc {
	var all []proc
	for _, dir := range c.groups() {
		all = append(all, procsIn(dir)...)
	}
	return all
}

// procsIn lists the living processes in one group.
func procsIn(dir string) []proc {
	text, _ := os.ReadFile(dir + "/cgroup.procs")
	var all []proc
	for _, field := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(field) // 0: outside our view
		if p, ok := readProc(pid); ok && !p.dead {
			all = append(all, p)
		}
	}
	return all
}

// kill kills all at once, where the kernel can.
func (c *cgroup) kill() {
	_ = os.WriteFile(c.path+"/cgroup.kill", []byte("1"), 0)
}

// close removes the group. What lives in it is moved into the group above if it is
// spared; if not, the group stays where it is. It tries for a moment: processes
// fork while they are moved, and one that has ended, and was even collected, may
// stay in its group a little longer. What a script has put into a group of its own
// making is left there.
func (c *cgroup) close(spare bool) {
	defer unix.Close(c.fd)
	wait := 100 * time.Microsecond
	for tries := 0; tries < 100 && wait < 200*time.Millisecond; tries++ {
		if unix.Rmdir(c.path) != unix.EBUSY {
			return
		}
		if spare && c.moveUp() {
			continue
		}
		if len(c.procs()) > 0 {
			return
		}
		for _, dir := range c.groups() {
			_ = unix.Rmdir(dir)
		}
		pause(context.Background(), wait)
		wait *= 2
	}
}

// moveUp moves what lives in the group into the one above and reports whether
// anything was moved.
func (c *cgroup) moveUp() bool {
	moved := false
	for _, p := range procsIn(c.path) {
		err := os.WriteFile(filepath.Dir(c.path)+"/cgroup.procs", []byte(strconv.Itoa(p.pid)), 0)
		moved = moved || err == nil
	}
	return moved
}

// leftCgroups finds the groups of a step that an earlier process left, wherever
// that process lived, and removes those of any step that are empty. Nobody whose
// maker lives is touched.
func leftCgroups(prefix string) []*cgroup {
	own := ownCgroup()
	if own == "" {
		return nil
	}
	var left []*cgroup
	_ = filepath.WalkDir(cgroupTop(own), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), cgroupPrefix) {
			return nil
		}
		c := openCgroup(path, unix.LOCK_NB)
		switch {
		case c == nil:
		case strings.HasPrefix(e.Name(), cgroupPrefix+prefix):
			left = append(left, c)
		default:
			_ = unix.Rmdir(path)
			_ = unix.Close(c.fd)
		}
		return nil
	})
	return left
}

// cgroupTop is the highest directory above dir that is in the same hierarchy.
func cgroupTop(dir string) string {
	for isCgroup2(filepath.Dir(dir)) {
		dir = filepath.Dir(dir)
	}
	return dir
}
