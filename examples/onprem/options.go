package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// options are the flags, checked.
type options struct {
	revision revision.Source   // nil: the demonstration
	strategy strategy.Strategy // nil: the default of what is deployed
	hosts    int               // zero: as many as the root has, else four
	root     string            // empty: a temporary directory
	allow    []string
	plan     bool
	resume   bool
	rerun    bool
	json     bool
}

// parseFlags reads the flags. Errors are about usage; the flag package has then
// written nothing.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	var path, name string
	fs := flag.NewFlagSet("onprem", flag.ContinueOnError)
	fs.StringVar(&path, "revision", "", "deploy the directory or archive at `PATH` (default: the demonstration)")
	fs.IntVar(&o.hosts, "hosts", 0, "deploy to `N` hosts (default: as many as the root has, else 4)")
	fs.StringVar(&o.root, "root", "", "keep hosts, their state and the journal in `DIR` (default: a new temporary directory)")
	fs.StringVar(&name, "strategy", "", "deploy by `NAME`: all, half, one, 25%, count:3 or a CodeDeployDefault name (default: one; the demonstration: all, then half)")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and touch nothing")
	fs.BoolVar(&o.resume, "resume", false, "finish the unfinished deployment of the root; with none, deploy unless that revision was deployed last")
	fs.BoolVar(&o.rerun, "rerun-interrupted", false, "run hook scripts again that a crash cut off (default: their host fails)")
	fs.BoolVar(&o.json, "json", false, "print the journal's records as JSON lines; everything else goes to standard error")
	fs.Var((*console.List)(&o.allow), "allow", "let destinations lie in `DIR` as written; may be repeated")
	if err := console.ParseAll(fs, "Deploys revisions to hosts of this machine, each a directory.", args, stderr); err != nil {
		return o, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return o, o.check(given, path, name)
}

func (o *options) check(given map[string]bool, path, name string) (err error) {
	switch {
	case given["hosts"] && o.hosts < 1:
		return fmt.Errorf("-hosts %d: want at least 1", o.hosts)
	case o.resume && o.root == "":
		return errors.New("-resume needs -root: the directory of the deployment to go on with")
	case o.resume && o.plan:
		return errors.New("-plan prints what a new deployment would do: leave out -resume")
	case given["root"] && o.root == "":
		return errors.New("-root is empty: name a directory")
	case given["revision"] && path == "":
		return errors.New("-revision is empty: name a directory or an archive")
	}
	if given["revision"] {
		if o.revision, err = revision.Local(path); err != nil {
			return fmt.Errorf("-revision: %w", err)
		}
	}
	if given["strategy"] {
		if o.strategy, err = strategy.Parse(name); err != nil {
			return fmt.Errorf("-strategy: %w", err)
		}
	}
	return o.absolute()
}

// absolute makes the directories independent of where the program was started, and
// refuses what cannot be one.
func (o *options) absolute() (err error) {
	if o.root != "" {
		if o.root, err = filepath.Abs(o.root); err != nil {
			return fmt.Errorf("-root: %w", err)
		}
		if fi, err := os.Stat(o.root); err == nil && !fi.IsDir() {
			return fmt.Errorf("-root %s: is not a directory", o.root)
		}
	}
	for i, dir := range o.allow {
		if dir == "" {
			return errors.New("-allow is empty: name a directory")
		}
		if o.allow[i], err = filepath.Abs(dir); err != nil {
			return fmt.Errorf("-allow: %w", err)
		}
	}
	return nil
}
