package lifecycle

import (
	"context"
	"io"
)

// Env is what a hook is told about where it runs.
type Env struct {
	Step Step
	Vars []string // environment of scripts, "NAME=value", complete: nothing is inherited

	// Scope tells apart doers on one machine whose steps may have the same key,
	// such as several agents: the path of the doer's own directory is a good one.
	// Together with Step it names what a script leaves running, so [EndLeftovers]
	// must be given the same. Empty: the step alone names it.
	Scope string

	// Note takes warnings, from the goroutine that runs the hook. Nil: dropped;
	// [Runner.Run] puts its own here.
	Note func(Note)
}

// note reports a warning, if anybody listens.
func (e Env) note(code Code, text string) {
	if e.Note != nil {
		e.Note(Note{Code: code, Text: text})
	}
}

// Hook is something that runs at a lifecycle event: a [Script], a [Func], a
// function invoked on ECS or Lambda.
type Hook interface {
	// Run runs the hook to its end. Out takes its output, already marked by
	// stream where there are several; it is never nil and may be written from one
	// goroutine at a time, and not after Run has returned. A hook ends by itself
	// at its own deadline. When ctx is cancelled it ends what it started, all of
	// it, and returns context.Cause. A nil return is success and the only form of
	// success.
	Run(ctx context.Context, env Env, out io.Writer) error
}

// Func is a Hook in Go.
type Func func(ctx context.Context, env Env, out io.Writer) error

// Run calls f.
func (f Func) Run(ctx context.Context, env Env, out io.Writer) error { return f(ctx, env, out) }
