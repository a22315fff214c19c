// Command onprem deploys revisions to hosts of this machine: each host is a
// directory, everything else is real. The files are installed, the hook scripts
// run, the journal is on disk.
//
// Without flags it is a demonstration in three deployments. Revision 1 goes to
// four hosts, revision 2 follows half of the hosts at a time, and revision 3 is
// broken: its ValidateService hook fails, and the deployment is rolled back by
// itself.
//
//	go run ./examples/onprem
//
// With -revision it deploys a directory or an archive of your own:
//
//	go run ./examples/onprem -revision ./my-app -root /tmp/fleet -strategy half
//	go run ./examples/onprem -revision ./my-app.zip -root /tmp/fleet -plan
//
// A destination such as /srv/app lands in ROOT/host-1/srv/app for the first host.
// One that lies below ROOT, or below a directory given by -allow, is used as
// written. Hook scripts find the directory of their host in CUTOVER_ROOT.
//
// Kill it at any moment and start it again with -resume: it goes on where it was.
// A hook script that was cut off in the middle fails its host, unless
// -rerun-interrupted says that running it again is safe.
//
// The exit status is 0 if the deployment succeeded, 1 if it did not (also when it
// was rolled back), 2 if the flags make no sense. The demonstration exits with 0
// if everything went as told above, the rollback included.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// Exit statuses.
const exitOK, exitFailed, exitUsage = console.ExitOK, console.ExitFailed, console.ExitUsage

func main() { os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr, nil)) }

func untilSignal() context.Context { return console.UntilSignal() }

// run is the program. Wrap, if not nil, is put around the journal; tests use it to
// crash at a record of their choice.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, wrap func(journal.Journal) journal.Journal) int {
	opt, err := parseFlags(args, stderr)
	if err != nil {
		return console.Usage("onprem", err, stderr)
	}
	w, err := newWorld(opt, stdout, stderr, wrap)
	if err != nil {
		fmt.Fprintln(stderr, "onprem:", err)
		return exitFailed
	}
	ok, err := w.run(ctx)
	w.close()
	if err != nil {
		fmt.Fprintln(stderr, "onprem:", console.Clean(err.Error()))
		advise(ctx, stderr, w, err)
	}
	return console.Status(ok, err)
}

// advise says how to go on after an error that leaves something unfinished.
func advise(ctx context.Context, stderr io.Writer, w *world, err error) {
	if w.opt.plan {
		return
	}
	switch {
	case errors.Is(err, cutover.ErrUnfinished):
		fmt.Fprintf(stderr, "The last deployment of %s was cut off. Add -resume to finish it", w.root)
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "Abandoned. Go on with -resume -root %s", w.root)
	default:
		return
	}
	fmt.Fprintln(stderr, ", and -rerun-interrupted if a hook script that was cut off may run again.")
}
