//go:build linux

package lifecycle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func replace(s, old, with string) string { return strings.ReplaceAll(s, old, with) }

// cgroupsHere lists the directories where control groups of ours would be.
func cgroupsHere() []string {
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return []string{filepath.Join("/sys/fs/cgroup", path), filepath.Join("/sys/fs/cgroup/unified", path)}
		}
	}
	return nil
}

func haveCgroup(t testing.TB) bool {
	for _, dir := range cgroupsHere() {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			probe := filepath.Join(dir, "cutover-probe-"+filepath.Base(t.TempDir()))
			if os.Mkdir(probe, 0o755) == nil {
				require.NoError(t, os.Remove(probe))
				return true
			}
		}
	}
	return false
}

// noCgroupLeft fails if a control group of the step is there.
func noCgroupLeft(t testing.TB, e lifecycle.Env) {
	t.Helper()
	for _, dir := range cgroupsHere() {
		left, err := filepath.Glob(filepath.Join(dir, "cutover-"+lifecycle.StepMark(e)+"*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}
