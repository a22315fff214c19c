package lifecycle

import (
	"context"
	"io"
)

// Env is what a hook is told about where it runs.
type Env struct {
	Step Step
	Vars []string // environment of scripts, "NAME=value", complete: nothing is inherited
}

// Hook is something that runs at a lifecycle event: a [Script], a [Func], a
// function invoked on ECS or Lambda.
type Hook interface {
	// Run runs the hook to its end. Out takes its output, already marked by
	// stream where there are several; it is never nil and may be written from one
	// goroutine at a time. A hook ends by itself at its own deadline. When ctx is
	// cancelled it ends what it started, all of it, and returns context.Cause.
	// A nil return is success and the only form of success.
	Run(ctx context.Context, env Env, out io.Writer) error
}

// Func is a Hook in Go.
type Func func(ctx context.Context, env Env, out io.Writer) error

// Run calls f.
func (f Func) Run(ctx context.Context, env Env, out io.Writer) error { return f(ctx, env, out) }
