package lifecycle

import (
	"context"
	"io"
	"time"
)

// Account is who a script runs as.
type Account struct {
	Name   string // for messages and LOGNAME
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary groups, all of them
	Home   string
	Shell  string
}

// Script is a Hook that runs a file of the revision.
type Script struct {
	Location string        // as in the AppSpec, for messages and logs
	Path     string        // absolute path of the file
	Dir      string        // working directory; empty: the file's own
	Timeout  time.Duration // zero: 3600 s, CodeDeploy's default
	Grace    time.Duration // between TERM and KILL; zero: 10 s
	Account  *Account      // nil: the account of this process
}

// Run runs the script. [placeholder until the runner lands]
func (s *Script) Run(ctx context.Context, env Env, out io.Writer) error { panic("not built yet") }

// Runner runs the hooks of an event, one after another.
type Runner struct {
	Log  io.Writer  // takes lines as the host agent writes them to scripts.log; nil: nowhere
	Note func(Note) // takes warnings; nil: dropped
}

// Run runs hooks in order and stops at the first failure, which it returns as a
// *Error whose Step is env.Step.
func (r *Runner) Run(ctx context.Context, env Env, hooks []Hook) error { panic("not built yet") }
