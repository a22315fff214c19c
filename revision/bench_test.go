package revision

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkOpenAndCopy opens and copies a tree of 20,000 files of 1 KiB, turn by
// turn with cp -a of the same tree, and reports the ratio of the medians.
func BenchmarkOpenAndCopy(b *testing.B) {
	cp, err := exec.LookPath("cp")
	if err != nil {
		b.Skip("SKIPPED the comparison with cp -a: " + err.Error())
	}
	base := b.TempDir()
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		base, err = os.MkdirTemp("/dev/shm", "revision")
		require.NoError(b, err)
		b.Cleanup(func() { os.RemoveAll(base) })
	}
	src, dst := filepath.Join(base, "src"), filepath.Join(base, "dst")
	content := []byte(strings.Repeat("x", 1024))
	for i := range 20_000 {
		dir := filepath.Join(src, fmt.Sprint("d", i/100))
		if i%100 == 0 {
			require.NoError(b, os.MkdirAll(dir, 0o755))
		}
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), content, 0o644))
	}
	var opened, copied, reference []time.Duration
	for b.Loop() {
		require.NoError(b, os.RemoveAll(dst))
		t0 := time.Now()
		bundle, err := Dir(src).Open(b.Context(), "")
		require.NoError(b, err)
		t1 := time.Now()
		require.NoError(b, bundle.Copy(b.Context(), dst, CopyOptions{}))
		t2 := time.Now()
		opened, copied = append(opened, t1.Sub(t0)), append(copied, t2.Sub(t1))
		require.NoError(b, os.RemoveAll(dst))
		t3 := time.Now()
		require.NoError(b, exec.Command(cp, "-a", src, dst).Run())
		reference = append(reference, time.Since(t3))
	}
	ref := median(reference)
	b.ReportMetric(median(opened)/ref, "open/cp")
	b.ReportMetric(median(copied)/ref, "copy/cp")
	b.ReportMetric((median(opened)+median(copied))/ref, "both/cp")
	b.ReportMetric(ref*1e3, "cp-ms")
}

func median(d []time.Duration) float64 {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2].Seconds()
}
