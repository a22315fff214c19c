package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Act on the code of an error, not on its text.
func ExampleError() {
	var err error = fmt.Errorf("host-1: %w", &lifecycle.Error{
		Step:    lifecycle.Step{Deployment: "d-7", Unit: "host-1", Event: lifecycle.AfterInstall},
		Failure: lifecycle.Failure{Code: lifecycle.ScriptFailed, Script: "restart.sh", Message: "exit status 3", Exit: 3},
	})
	if e, ok := errors.AsType[*lifecycle.Error](err); ok && e.Code == lifecycle.ScriptFailed {
		fmt.Println(e)
		fmt.Println("status", e.Exit)
	}
	// Output:
	// d-7: AfterInstall on host-1: script restart.sh: exit status 3
	// status 3
}

// A walk lists the events of a unit.
func ExampleWalk_Events() {
	fmt.Println(lifecycle.LambdaReplacement.Events())
	// Output: [BeforeAllowTraffic AllowTraffic AfterAllowTraffic]
}

// Hooks in Go run beside scripts and fail in the same way.
func ExampleRunner() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "check.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"checking $SERVICE\"\nexit 4\n"), 0o755); err != nil {
		fmt.Println(err)
		return
	}

	env := lifecycle.Env{
		Step: lifecycle.Step{Deployment: "d-7", Unit: "host-1", Event: lifecycle.ValidateService},
		Vars: []string{"PATH=/usr/bin:/bin", "SERVICE=shop"},
	}
	runner := lifecycle.Runner{Note: func(n lifecycle.Note) { fmt.Println("note:", n.Text) }}
	err = runner.Run(context.Background(), env, []lifecycle.Hook{
		lifecycle.Func(func(_ context.Context, _ lifecycle.Env, out io.Writer) error {
			fmt.Fprintln(out, "from Go")
			return nil
		}),
		&lifecycle.Script{Location: "check.sh", Path: path},
	})
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		fmt.Println(e.Code, e.Exit)
		fmt.Print(lifecycle.Escape(e.Log))
	}
	// Output:
	// ScriptFailed 4
	// LifecycleEvent - ValidateService
	// from Go
	// Script - check.sh
	// [stdout]checking shop
}

// Escape makes the output of scripts harmless.
func ExampleEscape() {
	fmt.Println(lifecycle.Escape("ok\x1b[2J\rSucceeded\xff"))
	// Output: ok\x1b[2J\rSucceeded\xff
}
