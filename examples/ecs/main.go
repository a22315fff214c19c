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

// untilSignal is done at the first signal that asks the program to end: the deployment is
// abandoned then, and can be resumed. A second signal ends the program at once.
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
		fmt.Fprintf(stderr, "ecs: %v\nRun it with -help for the flags.\n", err)
		return exitUsage
	}
	ok, err := perform(ctx, opt, newShow(stdout))
	if err != nil {
		fmt.Fprintln(stderr, "ecs:", lifecycle.Escape(err.Error()))
		if opt.revision != "" && (errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil && !opt.plan) {
			fmt.Fprintf(stderr, "Go on with -resume -root %s and the same flags\n", opt.root)
		}
	}
	if err != nil || !ok {
		return exitFailed
	}
	return exitOK
}

// perform does what the flags say, and reports whether it went well.
func perform(ctx context.Context, opt options, s *show) (ok bool, err error) {
	if opt.root == "" {
		if opt.root, err = os.MkdirTemp("", "cutover-ecs-"); err != nil {
			return false, err
		}
		if opt.plan || opt.revision == "" {
			defer os.RemoveAll(opt.root)
		}
	}
	if opt.revision == "" {
		return demonstrate(ctx, opt, s)
	}
	at, err := connect(ctx, opt)
	if err != nil {
		return false, err
	}
	return deploy(ctx, opt, at, s)
}
