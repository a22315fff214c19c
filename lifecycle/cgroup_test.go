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

// cgroupsOf lists the control groups of the step.
func cgroupsOf(t testing.TB, e lifecycle.Env) []string {
	t.Helper()
	var all []string
	for _, dir := range cgroupsHere() {
		some, err := filepath.Glob(filepath.Join(dir, "cutover-"+lifecycle.StepMark(e)+"*"))
		require.NoError(t, err)
		all = append(all, some...)
	}
	return all
}

// noCgroupLeft fails if a control group of the step is there.
func noCgroupLeft(t testing.TB, e lifecycle.Env) {
	t.Helper()
	require.Empty(t, cgroupsOf(t, e))
}

// A script may divide its group: what lives in the parts is ended as well, and
// the parts go with the whole.
func TestGroupsBelowTheScripts(t *testing.T) {
	t.Parallel()
	if !haveCgroup(t) {
		t.Skip("SKIPPED control groups of scripts: none can be made here")
	}
	child := filepath.Join(t.TempDir(), "child")
	const text = `#!/bin/sh
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
for mount in /sys/fs/cgroup /sys/fs/cgroup/unified; do
	[ -e $mount$own/cgroup.procs ] && mkdir -p $mount$own/part/part && top=$mount$own
done
env -i /usr/bin/setsid /bin/sh -c 'echo $$ >'$top'/part/part/cgroup.procs; echo $$ >CHILD; exec /bin/sleep 60' >/dev/null 2>&1 &
while ! [ -s CHILD ]; do sleep 0.02; done
exit 1
`
	r := run(t, strings.ReplaceAll(text, "CHILD", child))
	r.failure(t, lifecycle.ScriptFailed)
	require.False(t, lives(pidIn(t, child)))
	noCgroupLeft(t, r.env)
}
