//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

// benchFiles is the size of the revision of the measured deployment.
const benchFiles = 20_000

// manyFiles makes a revision of n files of 1 KiB in memory, or on disk where
// there is no such place.
func manyFiles(tb testing.TB, n int) (base string) {
	tb.Helper()
	base, err := os.MkdirTemp("/dev/shm", "cutover-")
	if err != nil {
		base = tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(base) })
	data := make([]byte, 1024)
	for i := range n {
		dir := filepath.Join(base, "revision", "app", fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			require.NoError(tb, os.MkdirAll(dir, 0o755))
		}
		copy(data, fmt.Sprint(i))
		require.NoError(tb, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%05d", i)), data, 0o644))
	}
	require.NoError(tb, os.WriteFile(filepath.Join(base, "revision", "appspec.yml"), []byte(spec()), 0o644))
	return base
}

// openMany reads the revision, which a deployment does once for all its hosts.
func openMany(base string) (*revision.Bundle, error) {
	return revision.Dir(filepath.Join(base, "revision")).Open(context.Background(), "")
}

// firstDeployment deploys a revision to a new host.
func firstDeployment(b *revision.Bundle, host string) error {
	if err := os.MkdirAll(filepath.Join(host, "root"), 0o755); err != nil {
		return err
	}
	a := &Agent{Dir: filepath.Join(host, "state"), Root: filepath.Join(host, "root")}
	job := &target.Job{Group: "g", Bundle: b}
	for _, e := range []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install} {
		err := a.Perform(context.Background(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: "host", Event: e}, Job: job})
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkFirstDeployment measures opening, fetching, checking and installing a
// revision of 20,000 files of 1 KiB on a new host, and in the same run what "cp -a"
// takes for the same tree. Opening is done once for all hosts, so the host's part is
// told apart too.
func BenchmarkFirstDeployment(b *testing.B) {
	base := manyFiles(b, benchFiles)
	var deploy, onHost, copying time.Duration
	n := 0
	for b.Loop() {
		host := filepath.Join(base, fmt.Sprint("host", n))
		start := time.Now()
		bundle, err := openMany(base)
		require.NoError(b, err)
		opened := time.Now()
		require.NoError(b, firstDeployment(bundle, host))
		deploy += time.Since(start)
		onHost += time.Since(opened)

		b.StopTimer()
		require.NoError(b, os.RemoveAll(host))
		start = time.Now()
		require.NoError(b, exec.Command("cp", "-a", filepath.Join(base, "revision", "app"), host).Run())
		copying += time.Since(start)
		require.NoError(b, os.RemoveAll(host))
		n++
		b.StartTimer()
	}
	b.ReportMetric(float64(deploy)/float64(copying), "x-cp")
	b.ReportMetric(float64(onHost)/float64(copying), "host-x-cp")
	b.ReportMetric(float64(copying.Milliseconds())/float64(n), "cp-ms")
}

func init() { children["first"] = childFirst }

// childFirst opens a revision, deploys it and reports the peak of its memory in KiB.
func childFirst(order childOrder) any {
	b, err := openMany(order.Source)
	if err == nil {
		err = firstDeployment(b, order.Dir)
	}
	if err != nil {
		panic(err)
	}
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return use.Maxrss
}

func TestFirstDeploymentPeakMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED peak memory of a large deployment: -short")
	}
	base := manyFiles(t, benchFiles)
	order := childOrder{Do: "first", Dir: filepath.Join(base, "host"), Source: base, Umask: 0o022, Report: filepath.Join(base, "report")}
	data, err := json.Marshal(order)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(base, "order"), data, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = []string{childVar + "=" + filepath.Join(base, "order")}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	data, err = os.ReadFile(order.Report)
	require.NoError(t, err)
	var peak int64
	require.NoError(t, json.Unmarshal(data, &peak))
	t.Logf("peak memory of a first deployment of %d files: %d KiB", benchFiles, peak)
	if !raceDetector {
		require.Less(t, peak, int64(64<<10))
	}
}
