package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// The deployment group that all hosts of a root are in.
const (
	group        = "local"
	defaultHosts = 4
)

// world is a root directory and what the program needs to deploy into it:
//
//	ROOT/host-1 …        the hosts' own files
//	ROOT/state/host-1 …  what their agents remember: revisions, logs, outcomes
//	ROOT/journal         the records of all deployments
//	ROOT/revisions       the sample revisions, if the demonstration ran here
type world struct {
	opt     options
	root    string
	hosts   int
	fleet   *target.Fleet
	journal journal.Journal
	track   *console.Tracker
	out     io.Writer // results for people
	stdout  io.Writer
}

func newWorld(opt options, stdout, stderr io.Writer, wrap func(journal.Journal) journal.Journal) (*world, error) {
	w := &world{opt: opt, root: opt.root, out: stdout, stdout: stdout}
	if opt.json {
		w.out = stderr
	}
	if err := w.makeRoot(); err != nil {
		return nil, err
	}
	hosts, err := onprem.Locals(w.root, w.hosts, opt.allow...)
	if err != nil {
		return nil, err
	}
	w.fleet = &target.Fleet{Hosts: hosts}
	files := &journal.File{Dir: filepath.Join(w.root, "journal")}
	w.journal = files
	if wrap != nil {
		w.journal = wrap(files)
	}
	w.track = console.NewTracker(files.Reader(group), console.NewDisplay(opt.json, w.hosts, stdout))
	return w, nil
}

// makeRoot finds out how many hosts there are and makes their directories. The
// last one is made first: the highest number that is found is then the number of
// hosts, even if a crash cut this off. Planning makes nothing.
func (w *world) makeRoot() (err error) {
	if w.root == "" && w.opt.plan {
		w.root = filepath.Join(os.TempDir(), "cutover-onprem")
	}
	if w.root == "" {
		if w.root, err = os.MkdirTemp("", "cutover-onprem-"); err != nil {
			return err
		}
		// Accounts that hook scripts run as must be able to pass.
		if err := os.Chmod(w.root, 0o755); err != nil {
			return err
		}
	}
	w.hosts = w.opt.hosts
	if w.hosts == 0 {
		w.hosts = hostsIn(w.root)
	}
	if w.hosts == 0 {
		w.hosts = defaultHosts
	}
	if w.opt.plan {
		return nil
	}
	for i := w.hosts; i > 0; i-- {
		if err := os.MkdirAll(w.hostDir(i), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range w.opt.allow {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("-allow: %w", err)
		}
	}
	return nil
}

func (w *world) hostDir(n int) string { return filepath.Join(w.root, fmt.Sprintf("host-%d", n)) }

// hostsIn is the highest number of a host directory in root.
func hostsIn(root string) int {
	entries, _ := os.ReadDir(root) // no directory, no hosts
	most := 0
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "host-")
		if n, err := strconv.Atoi(text); ok && err == nil && e.IsDir() {
			most = max(most, n)
		}
	}
	return most
}

func (w *world) close() { w.track.Display.Close() }

// run does what the flags say, and reports whether it went well.
func (w *world) run(ctx context.Context) (bool, error) {
	switch {
	case w.opt.plan:
		return true, w.printPlan(ctx)
	case w.opt.revision != nil:
		return w.program().Deploy(ctx, w.opt.revision, w.opt.resume)
	default:
		return w.runDemo(ctx)
	}
}

// deployment is what all deployments of the program have in common.
func (w *world) deployment(src revision.Source, by strategy.Strategy) *cutover.Deployment {
	if w.opt.strategy != nil {
		by = w.opt.strategy
	}
	return &cutover.Deployment{
		Application: "onprem-example",
		Group:       group,
		GroupName:   "local hosts",
		Revision:    src,
		Target:      w.fleet,
		Strategy:    by,
		Rollback:    rollback.Policy{OnFailure: true},
		Journal:     w.journal,
		Observe:     w.track.Observe,

		RerunInterrupted: w.opt.rerun,
		// Whoever names a revision on a command line has said the word.
		AllowQuarantined: true,
	}
}

// program deploys what is the user's own.
func (w *world) program() *console.Program {
	return &console.Program{Track: w.track, Out: w.out,
		Deployment: func(src revision.Source) *cutover.Deployment { return w.deployment(src, nil) }}
}

// resume finishes the unfinished deployment, with the plan and the revision that it
// has on record. The strategy is for a rollback that has no plan yet.
func (w *world) resume(ctx context.Context, by strategy.Strategy) (*cutover.Result, error) {
	return w.deployment(nil, by).Resume(ctx, "")
}

// printPlan prints what would be done. The demonstration shows its first
// deployment; its samples are only unpacked for as long as that takes.
func (w *world) printPlan(ctx context.Context) error {
	src, by := w.opt.revision, strategy.Strategy(nil)
	if src == nil {
		tmp, err := os.MkdirTemp("", "cutover-samples-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		if err := writeSamples(tmp); err != nil {
			return err
		}
		src, by = revision.Dir(samplePath(tmp, 1)), strategy.AllAtOnce()
	}
	return console.PrintPlan(ctx, w.deployment(src, by), w.opt.json, w.stdout)
}
