package lifecycle_test

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// BenchmarkHook compares a hook with os/exec running the same script with its
// output captured.
func BenchmarkHook(b *testing.B) {
	path := script(b, "#!/bin/sh\necho one\necho two >&2\n")
	vars := []string{"PATH=/usr/bin:/bin"}
	b.Run("exec", func(b *testing.B) {
		for b.Loop() {
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(path)
			cmd.Env, cmd.Stdout, cmd.Stderr = vars, &stdout, &stderr
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cutover", func(b *testing.B) {
		env := lifecycle.Env{Step: lifecycle.Step{Deployment: "d-bench", Event: lifecycle.AfterInstall}, Vars: vars}
		for b.Loop() {
			var log bytes.Buffer
			r := lifecycle.Runner{Log: &log}
			if err := r.Run(b.Context(), env, []lifecycle.Hook{&lifecycle.Script{Location: "a.sh", Path: path}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
