// Command ec2 deploys to EC2 instances, chosen by tags or by an Auto Scaling group, behind
// target groups and classic load balancers.
//
// Without flags it is a demonstration in memory, without an account: an Auto Scaling
// group of four behind a target group gets revision 1 in place, half at a time; revision
// 2 comes blue/green, on a copy of the group that takes over; revision 3 is broken, and
// the originals keep the traffic.
//
//	go run ./examples/ec2
//
// With -revision it deploys a directory or an archive, to AWS with the credentials that
// the SDK finds. Hosts are reached by Run Command: this program is sent to them, by way
// of the bucket, and is their agent.
//
//	go run ./examples/ec2 -revision ./my-app -tag 'env=prod; role=web' -bucket my-bucket -plan
//	go run ./examples/ec2 -revision ./my-app -group web -target-group web -bucket my-bucket -root ./state -strategy half
//	go run ./examples/ec2 -revision ./my-app -group web -target-group web -bucket my-bucket -root ./state -blue-green
//	go run ./examples/ec2 -revision ./my-app -tag 'env=prod' -hybrid -programs ./built -bucket my-bucket -root ./state
//
// The program has to run on the hosts: build it with CGO_ENABLED=0 and, where they are of
// another platform, name the file with -program, or a directory of several (linux-amd64,
// linux-arm64) with -programs. With -hybrid machines outside of EC2 that have a hybrid
// activation are deployed to as well, without load balancers.
//
// -plan touches nothing. It prints what would be done, and the IAM policies that the
// controller and the hosts need. With -endpoint it deploys to an emulator. Instances of
// emulators run nothing, so directories below the root stand for them.
//
// Kill it at any moment and start it again with -resume and the same -root: it goes on
// where it was. Without -root the journal is in a new directory for each run.
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
	"github.com/cutover-deploy/cutover/target/agent"
)

// Exit statuses.
const exitOK, exitFailed, exitUsage = console.ExitOK, console.ExitFailed, console.ExitUsage

func main() {
	agent.Main() // on a host this program is the agent
	os.Exit(run(console.UntilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args, stderr)
	if err != nil {
		return console.Usage("ec2", err, stderr)
	}
	ok, err := perform(ctx, &opt, newLog(opt, stdout, stderr))
	if err != nil {
		fmt.Fprintln(stderr, "ec2:", lifecycle.Escape(err.Error()))
		if opt.revision != "" && (errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil && !opt.plan) {
			fmt.Fprintf(stderr, "Go on with -resume -root %s\n", opt.root)
		}
	}
	return console.Status(ok, err)
}

// perform does what the flags say, and reports whether it went well. It names the root
// where the flags do not.
func perform(ctx context.Context, opt *options, log *console.Log) (bool, error) {
	done, err := console.MakeRoot(&opt.root, "ec2", opt.plan || opt.revision == "")
	if err != nil {
		return false, err
	}
	defer done()
	if opt.revision == "" {
		return demonstrate(ctx, *opt, log)
	}
	p, err := connect(ctx, *opt)
	if err != nil {
		return false, err
	}
	return deploy(ctx, *opt, p, log)
}
