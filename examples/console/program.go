package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Status is the exit status of a program that went well, or not.
func Status(ok bool, err error) int {
	if err != nil || !ok {
		return ExitFailed
	}
	return ExitOK
}

// Usage tells what is wrong with the flags, and returns the exit status. Those who asked
// for help have got it.
func Usage(program string, err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	fmt.Fprintf(stderr, "%s: %v\nRun it with -help for the flags.\n", program, err)
	return ExitUsage
}

// UntilSignal is done at the first signal that asks the program to end: the deployment
// is abandoned then, and can be resumed. A second signal ends the program at once.
func UntilSignal() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// MakeRoot makes a temporary directory for a program whose root is not named, and names
// it. Done removes that directory if it is only for this once; it is never nil.
func MakeRoot(root *string, program string, once bool) (done func(), err error) {
	if *root != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "cutover-"+program+"-")
	if err != nil || !once {
		*root = dir
		return func() {}, err
	}
	*root = dir
	return func() { os.RemoveAll(dir) }, nil
}
