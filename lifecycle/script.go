package lifecycle

import (
	"context"
	"io"
	"time"
)

// Defaults of a [Script], and how long late output is waited for.
const (
	defaultTimeout = 3600 * time.Second
	defaultGrace   = 10 * time.Second

	// lateOutput is how long a script that has ended may still be spoken for by
	// a child that holds its output. Two seconds are promised; the third is for
	// the child that sleeps two seconds and then prints.
	lateOutput = 3 * time.Second

	// lastWords is the same for a script that has failed: what it left running is
	// about to be ended, but a child that passes its output on gets to finish.
	lastWords = time.Second

	// killWait bounds the wait for killed processes to disappear. Only one that
	// is stuck in the kernel takes longer.
	killWait = 1500 * time.Millisecond
)

// Script is a Hook that runs a file of the revision: the file itself, as one
// argument, with no shell between. A file that the kernel does not know how to
// start (no interpreter line) is run by /bin/sh.
//
// The script gets Env.Vars as its whole environment (plus CUTOVER_HOOK, by which
// what it leaves running is found again, and with an Account HOME, USER, LOGNAME
// and SHELL), the null device as standard input, no other descriptor than the
// first three, the umask of this process, a process group of its own, and no
// terminal.
type Script struct {
	Location string        // as in the AppSpec, for messages and logs
	Path     string        // absolute path of the file
	Dir      string        // working directory; empty: the file's own
	Timeout  time.Duration // zero: 3600 s, CodeDeploy's default
	Grace    time.Duration // between TERM and KILL; zero: 10 s
	Account  *Account      // nil: the account of this process

	args    []string // of a [Command]
	command bool     // it is one: its limit is not in an AppSpec, and its file not in a revision
}

// Run runs the script and returns nil if it exited with status 0, else a *Error.
//
// At the time limit, or when ctx is cancelled, everything that the script started
// gets TERM, and after Grace KILL; so it is when the script fails. What a script
// that succeeds leaves running stays. If that still holds the script's output
// three seconds after its end, a note of code OutputsLeftOpen says so, and the
// output is listened to no longer: it is read and dropped, so that whoever writes
// it lives on.
func (s *Script) Run(ctx context.Context, env Env, out io.Writer) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	sink := sinkOf(out)
	if something, err := s.check(env, sink); err != nil || !something {
		return err
	}
	h, err := s.begin(ctx, env, sink)
	if err != nil {
		return err
	}
	defer h.close()
	return h.supervise(ctx)
}

func (s *Script) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return defaultTimeout
}

func (s *Script) grace() time.Duration {
	if s.Grace > 0 {
		return s.Grace
	}
	return defaultGrace
}

// fail makes the script's error.
func (s *Script) fail(env Env, code Code, message string, cause error) *Error {
	return &Error{Step: env.Step, Failure: Failure{Code: code, Message: message, Script: s.Location}, Err: cause}
}
