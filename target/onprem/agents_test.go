package onprem_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
)

// agentsOf finds the agents' processes that serve state directories below root.
func agentsOf(root string) (pids []int) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		text, _ := os.ReadFile(p)
		args := strings.Split(string(text), "\x00")
		if len(args) > 3 && args[1] == "cutover-agent" && args[2] == "daemon" && strings.HasPrefix(args[3], root) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func platform() string { return runtime.GOOS + "-" + runtime.GOARCH }

func reopen(t *testing.T, dir string) (revision.Revision, *revision.Bundle) {
	t.Helper()
	src := revision.Dir(dir)
	b, err := src.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	return revision.Revision{Location: src.Location(), Digest: b.Manifest.Digest()}, b
}

// endAgents kills agents that a test has left with a step that would take long, and
// what the step has started.
func endAgents(t *testing.T, root string) {
	t.Helper()
	for _, pid := range agentsOf(root) {
		for _, child := range append(children(pid), pid) {
			if p, err := os.FindProcess(child); err == nil {
				_ = p.Kill()
			}
		}
	}
}

func hexDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func children(pid int) (list []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		text, _ := os.ReadFile(s)
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
			list = append(append(list, children(child)...), child)
		}
	}
	return list
}
