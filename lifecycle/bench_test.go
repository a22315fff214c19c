package lifecycle_test

import (
	"bytes"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// BenchmarkHook compares a hook with os/exec running the same script with its
// output captured. In "compared" the two take turns, so that whatever else the
// machine does meets both alike; medians are reported, their ratio, and the 10th
// and 90th percentile of the hook.
func BenchmarkHook(b *testing.B) {
	path := script(b, "#!/bin/sh\necho one\necho two >&2\n")
	vars := []string{"PATH=/usr/bin:/bin"}
	plain := func() error {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(path)
		cmd.Env, cmd.Stdout, cmd.Stderr = vars, &stdout, &stderr
		return cmd.Run()
	}
	env := lifecycle.Env{Step: lifecycle.Step{Deployment: "d-bench", Event: lifecycle.AfterInstall}, Vars: vars}
	hook := func() error {
		var log bytes.Buffer
		r := lifecycle.Runner{Log: &log}
		return r.Run(b.Context(), env, []lifecycle.Hook{&lifecycle.Script{Location: "a.sh", Path: path}})
	}
	timed := func(b *testing.B, f func() error) time.Duration {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	b.Run("exec", func(b *testing.B) {
		for b.Loop() {
			timed(b, plain)
		}
	})
	b.Run("cutover", func(b *testing.B) {
		for b.Loop() {
			timed(b, hook)
		}
	})
	b.Run("compared", func(b *testing.B) {
		var plains, hooks []time.Duration
		for b.Loop() {
			plains = append(plains, timed(b, plain))
			hooks = append(hooks, timed(b, hook))
		}
		slices.Sort(plains)
		slices.Sort(hooks)
		n := len(hooks)
		report := func(d time.Duration, unit string) { b.ReportMetric(float64(d.Microseconds()), unit) }
		report(plains[n/2], "exec-µs")
		report(hooks[n/2], "hook-µs")
		report(hooks[n/10], "hook-p10-µs")
		report(hooks[n*9/10], "hook-p90-µs")
		b.ReportMetric(float64(hooks[n/2])/float64(plains[n/2]), "ratio")
	})
}
