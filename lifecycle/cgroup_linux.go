package lifecycle

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of our control groups.
const cgroupPrefix = "cutover-"

// cgroup is a control group (version 2) of one script, below the one that this
// process lives in.
type cgroup struct {
	path string
	dir  *os.File
}

// newCgroup makes a control group, or nil where that cannot be done: no version
// 2 hierarchy, no permission, a read-only mount.
func newCgroup(mark string) *cgroup {
	parent := ownCgroup()
	if parent == "" {
		return nil
	}
	path := filepath.Join(parent, cgroupPrefix+mark)
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		_ = os.Remove(path)
		return nil
	}
	return &cgroup{path: path, dir: dir}
}

// ownCgroup is the directory of this process's control group; empty: none.
func ownCgroup() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return cgroupDir(path)
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
		var st unix.Statfs_t
		dir := filepath.Join(mount, path)
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
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

// procs lists the living processes in the group.
func (c *cgroup) procs() []int {
	text, err := os.ReadFile(filepath.Join(c.path, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if _, lives := sessionOf(pid); err == nil && lives {
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill kills all at once, where the kernel can.
func (c *cgroup) kill() {
	_ = os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0)
}

// moveOut moves what lives in the group into the one above, again while
// processes fork, and removes the group.
func (c *cgroup) moveOut() {
	for range 100 {
		if err := syscall.Rmdir(c.path); err != syscall.EBUSY {
			return
		}
		for _, pid := range c.procs() {
			_ = os.WriteFile(filepath.Join(filepath.Dir(c.path), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		}
	}
}

func (c *cgroup) remove() {
	if c.dir != nil {
		c.dir.Close()
	}
	_ = syscall.Rmdir(c.path)
}

// leftCgroups finds the groups of a step that an earlier process left.
func leftCgroups(prefix string) []*cgroup {
	parent := ownCgroup()
	if parent == "" {
		return nil
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	var groups []*cgroup
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), cgroupPrefix+prefix) {
			groups = append(groups, &cgroup{path: filepath.Join(parent, e.Name())})
		}
	}
	return groups
}
