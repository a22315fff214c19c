// Command ecs deploys a service of Elastic Container Service: a second task set is made,
// tried, given traffic step by step, and then the first one is deleted.
//
// Without flags it is a demonstration in the process, without an account. Task definition
// web:2 gets 20 % of the traffic, and all of it a moment later. The tasks of web:3 crash: it
// gets no traffic, and everything is put back.
//
//	go run ./examples/ecs
//
// With -revision it deploys the AppSpec of a directory, to AWS with the credentials that the
// SDK finds, or to an emulator with -endpoint:
//
//	go run ./examples/ecs -revision ./my-app -plan -cluster main -service web \
//	    -group BLUE_ARN -group GREEN_ARN -production LISTENER_ARN
//	go run ./examples/ecs -revision ./my-app -root ./state -shift canary:10%/5m -alarm web-5xx \
//	    -cluster main -service web -group BLUE_ARN -group GREEN_ARN -production LISTENER_ARN -test LISTENER_ARN
//
// A service of the ECS controller deploys itself: with -native and -role it is told to, is
// followed, and -production and -test are listener rules.
//
// -plan touches nothing. It prints what would be done, and the IAM policy that is needed for
// it and for nothing else.
//
// Kill it at any moment and start it again with -resume: it goes on where it was.
//
// The exit status is 0 if the deployment succeeded, 1 if it did not (also when it was rolled
// back), 2 if the flags make no sense. The demonstration exits with 0 if all went as told
// above.
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
		return console.Usage("ecs", err, stderr)
	}
	ok, err := perform(ctx, &opt, newLog(stdout))
	if err != nil {
		fmt.Fprintln(stderr, "ecs:", lifecycle.Escape(err.Error()))
		if opt.revision != "" && (errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil && !opt.plan) {
			fmt.Fprintf(stderr, "Go on with -resume -root %s and the same flags\n", opt.root)
		}
	}
	return console.Status(ok, err)
}

// perform does what the flags say, and reports whether it went well. It names the root
// where the flags do not.
func perform(ctx context.Context, opt *options, log *console.Log) (bool, error) {
	done, err := console.MakeRoot(&opt.root, "ecs", opt.plan || opt.revision == "")
	if err != nil {
		return false, err
	}
	defer done()
	if opt.revision == "" {
		return demonstrate(ctx, *opt, log)
	}
	at, err := connect(ctx, *opt)
	if err != nil {
		return false, err
	}
	return deploy(ctx, *opt, at, log)
}
