package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Command is a Hook that runs a program of this machine with arguments, with no shell
// between. What [Script] promises about environment, output, time limit, grace and
// what is left running holds here as well. The file is not changed: it must be
// executable.
type Command struct {
	Argv    []string      // the program's absolute path and its arguments. Required
	Dir     string        // working directory; empty: the program's own
	Timeout time.Duration // zero: 3600 s
	Grace   time.Duration // between TERM and KILL; zero: 10 s
}

// Run runs the command and returns nil if it exited with status 0, else a *Error.
func (c *Command) Run(ctx context.Context, env Env, out io.Writer) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := &Script{Dir: c.Dir, Timeout: c.Timeout, Grace: c.Grace, command: true}
	if len(c.Argv) > 0 {
		s.Location, s.Path, s.args = c.Argv[0], c.Argv[0], c.Argv[1:]
	}
	if !filepath.IsAbs(s.Path) {
		return s.fail(env, ScriptMissing, fmt.Sprintf("%q is not an absolute path, and no PATH is searched; name the program in full", s.Path), nil)
	}
	if _, err := os.Stat(s.Path); errors.Is(err, fs.ErrNotExist) {
		return s.fail(env, ScriptMissing, "is not on this machine; install it, or correct its path", err)
	}
	h, err := s.begin(ctx, env, sinkOf(out))
	if err != nil {
		return err
	}
	defer h.close()
	return h.supervise(ctx)
}
