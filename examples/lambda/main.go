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
	"fmt"
	"io"
	"os"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Exit statuses.
const exitOK, exitFailed, exitUsage = console.ExitOK, console.ExitFailed, console.ExitUsage

func main() { os.Exit(run(console.UntilSignal(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args, stderr)
	if err != nil {
		return console.Usage("lambda", err, stderr)
	}
	ok, err := perform(ctx, &opt, newLog(opt, stdout, stderr))
	if err != nil {
		fmt.Fprintln(stderr, "lambda:", lifecycle.Escape(err.Error()))
		if errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil && !opt.plan {
			fmt.Fprintf(stderr, "Go on with -resume -root %s\n", opt.root)
		}
	}
	return console.Status(ok, err)
}

// perform does what the flags say, and reports whether it went well. It names the root
// where the flags do not.
func perform(ctx context.Context, opt *options, log *console.Log) (bool, error) {
	done, err := console.MakeRoot(&opt.root, "lambda", opt.plan)
	if err != nil {
		return false, err
	}
	defer done()
	if opt.revision == "" {
		return demonstrate(ctx, *opt, log)
	}
	there, err := connect(ctx, *opt)
	if err != nil {
		return false, err
	}
	return deploy(ctx, *opt, there, log)
}
