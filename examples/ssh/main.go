// Command ssh deploys a revision to hosts that are reached by SSH. The hosts need an
// account to log in to and nothing else: this program sends itself there, once, and is
// its own agent.
//
//	export CGO_ENABLED=0
//	go run ./examples/ssh -revision ./my-app web-1 web-2 deploy@10.0.0.3:2222
//	go run ./examples/ssh -revision ./my-app.zip -inventory fleet.yml -group web -strategy half
//
// Without cgo it runs on whatever Linux a host has. For hosts of other platforms, or
// from a Mac, build it for each of them, and name the directory:
//
//	GOOS=linux GOARCH=arm64 go build -o built/linux-arm64 ./examples/ssh
//	go run ./examples/ssh -executables built -revision ./my-app web-1
//
// Hosts are names of ~/.ssh/config or addresses, and must be in the known hosts, or have
// a certificate of an authority that is. A key with a passphrase has to be in the SSH
// agent. With -inventory hosts come from a file; -group names one of its groups, -tags
// says which tags they must have. Hosts with Windows are refused.
//
// Several revisions are deployed one after another, over the same connections.
//
// Kill it at any moment and start it again with -resume: it goes on where it was, and
// so do the hosts meanwhile. The journal is in -journal, one for each -name.
//
// The exit status is 0 if the deployment succeeded, 1 if it did not (also when it was
// rolled back), 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// Exit statuses.
const exitOK, exitFailed, exitUsage = console.ExitOK, console.ExitFailed, console.ExitUsage

func main() {
	agent.Main() // on the hosts, this is all
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

func untilSignal() context.Context { return console.UntilSignal() }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "ssh: %s\nRun it with -help for the flags.\n", console.Clean(err.Error()))
		return exitUsage
	}
	ok, err := deploy(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "ssh:", console.Clean(err.Error()))
		if errors.Is(err, cutover.ErrUnfinished) || ctx.Err() != nil {
			fmt.Fprintln(stderr, "Go on with -resume, and -rerun-interrupted if a hook script that was cut off may run again.")
		}
	}
	return console.Status(ok, err)
}

// deploy does what the flags say, and reports whether it went well.
func deploy(ctx context.Context, o *options, stdout, stderr io.Writer) (bool, error) {
	out := stdout
	if o.json {
		out = stderr
	}
	hosts := make([]target.Host, len(o.hosts))
	for i, h := range o.hosts {
		hosts[i] = h
		defer h.Close()
	}
	defer o.access.Close()
	files := &journal.File{Dir: filepath.Join(o.journal, o.name)}
	p := &console.Program{
		Out:   out,
		Track: console.NewTracker(files.Reader(o.name), console.NewDisplay(o.json, len(hosts), stdout)),
	}
	p.Deployment = func(src revision.Source) *cutover.Deployment {
		return &cutover.Deployment{
			Application: "ssh-example", Group: o.name, GroupName: o.name,
			Revision: src, Target: &target.Fleet{Hosts: hosts}, Strategy: o.strategy,
			Rollback: rollback.Policy{OnFailure: true}, Journal: files, Observe: p.Track.Observe,
			RerunInterrupted: o.rerun,
			// Whoever names a revision on a command line has said the word.
			AllowQuarantined: true,
		}
	}
	defer p.Track.Display.Close()
	if o.plan {
		return true, console.PrintPlan(ctx, p.Deployment(o.revisions[0]), o.json, stdout)
	}
	for _, src := range o.revisions {
		if ok, err := p.Deploy(ctx, src, o.resume); !ok || err != nil {
			return ok, err
		}
	}
	return true, nil
}

// hostsFor makes the hosts of the command line or of the inventory.
func (o *options) hostsFor(addresses []string) error {
	for _, a := range addresses {
		o.hosts = append(o.hosts, o.host(a, a))
	}
	if o.inventory == "" {
		return nil
	}
	list, err := o.listed()
	if err != nil {
		return err
	}
	for _, h := range list {
		if h.OS == "windows" {
			return fmt.Errorf("-inventory: %s:%d: host %s has Windows, which is not reached by SSH yet: choose others", o.inventory, h.Pos.Line, h.Name)
		}
		x := o.host(h.Name, h.Login())
		x.Zone, x.Jump = h.Zone, h.Jump
		o.hosts = append(o.hosts, x)
	}
	return nil
}

func (o *options) host(id, address string) *onprem.SSH {
	own := func(dir string) string { return strings.ReplaceAll(dir, "{host}", id) }
	return &onprem.SSH{ID: id, Address: address, Access: &o.access, Sudo: o.sudo, State: own(o.state), Root: own(o.root), Env: o.env}
}
