// Command lambda deploys a Lambda function: the calls of its alias move from one version
// to another, with hooks, alarms and a way back.
//
// Without flags it is a demonstration in the process, without an account. Version 2 gets
// 20 % of the calls, and all of them a moment later. Version 3 is broken: an alarm fires
// while it has 20 %, and all calls go back to version 2.
//
//	go run ./examples/lambda
//
// With -revision it deploys the AppSpec of a directory, to AWS with the credentials that
// the SDK finds, or to an emulator with -endpoint:
//
//	go run ./examples/lambda -revision ./my-app -plan
//	go run ./examples/lambda -revision ./my-app -root ./state -shift canary:10%/5m -alarm checkout-errors
//	go run ./examples/lambda -revision ./my-app -root ./state -endpoint http://127.0.0.1:5000
//
// -plan touches nothing. It prints what would be done, and the IAM policy that is needed
// for it and for nothing else.
//
// Hooks are the functions that the AppSpec names. Those that call back, as CodeDeploy has
// them do, find this program with -callbacks: it listens there while it deploys.
//
// Kill it at any moment and start it again with -resume: it goes on where it was. A hook
// that was being called then has failed, unless it calls back or -rerun-interrupted says
// that calling it again is safe.
//
// The exit status is 0 if the deployment succeeded, 1 if it did not (also when it was
// rolled back), 2 if the flags make no sense. The demonstration exits with 0 if all went
// as told above.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr)) }

// untilSignal is done at the first signal that asks the program to end: the deployment
// is abandoned then, and can be resumed. A second signal ends the program at once.
func untilSignal() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "lambda: %v\nRun it with -help for the flags.\n", err)
		return exitUsage
	}
	ok, err := perform(ctx, opt, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "lambda:", lifecycle.Escape(err.Error()))
		if errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil && !opt.plan {
			fmt.Fprintf(stderr, "Go on with -resume -root %s\n", opt.root)
		}
	}
	if err != nil || !ok {
		return exitFailed
	}
	return exitOK
}

// perform does what the flags say, and reports whether it went well.
func perform(ctx context.Context, opt options, stdout, stderr io.Writer) (ok bool, err error) {
	if opt.root == "" {
		if opt.root, err = os.MkdirTemp("", "cutover-lambda-"); err != nil {
			return false, err
		}
		if opt.plan {
			defer os.RemoveAll(opt.root)
		}
	}
	s := newShow(opt, stdout, stderr)
	if opt.revision == "" {
		return demonstrate(ctx, opt, s)
	}
	there, err := connect(ctx, opt)
	if err != nil {
		return false, err
	}
	return deploy(ctx, opt, there, s)
}
