package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/strategy"
)

// options are the flags, checked.
type options struct {
	revision  string // directory with an AppSpec; empty: the demonstration
	root      string // for the journal, hooks and secret; empty: a temporary directory
	endpoint  string // of an emulator; empty: AWS
	region    string // empty: as the SDK finds it
	account   string // for the policy; empty: any
	callbacks string // address to listen on; empty: hooks cannot call back
	alarms    []string
	strategy  strategy.Strategy
	plan      bool
	resume    bool
	rerun     bool
	json      bool
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	var shift string
	fs := flag.NewFlagSet("lambda", flag.ContinueOnError)
	fs.StringVar(&o.revision, "revision", "", "deploy the AppSpec of the directory `DIR` (default: the demonstration)")
	fs.StringVar(&o.root, "root", "", "keep the journal and what hooks have answered in `DIR` (default: a new temporary directory)")
	fs.StringVar(&o.endpoint, "endpoint", "", "deploy to an emulator at `URL` (default: AWS)")
	fs.StringVar(&o.region, "region", "", "the `REGION` (default: as the SDK finds it)")
	fs.StringVar(&o.account, "account", "", "the account's `ID`, for the policy that -plan prints (default: any)")
	fs.StringVar(&o.callbacks, "callbacks", "", "let hooks call back at the address `HOST:PORT`, where this program listens")
	fs.Var((*console.List)(&o.alarms), "alarm", "stop when the CloudWatch alarm `NAME` fires; may be repeated")
	fs.StringVar(&shift, "shift", "", "move calls by `NAME`: all, canary:10%/5m, linear:10%/1m or a CodeDeployDefault name (default: all)")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and the IAM policy that it needs, and touch nothing")
	fs.BoolVar(&o.resume, "resume", false, "finish the unfinished deployment of the root; with none, deploy unless this AppSpec was deployed last")
	fs.BoolVar(&o.rerun, "rerun-interrupted", false, "call hooks again whose answer a crash has lost (default: they have failed)")
	fs.BoolVar(&o.json, "json", false, "print the journal's records as JSON lines; everything else goes to standard error")
	if err := console.ParseAll(fs, "Deploys a Lambda function by its alias.", args, stderr); err != nil {
		return o, err
	}
	return o, o.check(shift)
}

func (o *options) check(shift string) (err error) {
	switch {
	case o.resume && o.root == "":
		return errors.New("-resume needs -root: the directory of the deployment to go on with")
	case o.resume && o.plan:
		return errors.New("-plan prints what a new deployment would do: leave out -resume")
	case o.revision == "" && (o.endpoint != "" || o.callbacks != "" || len(o.alarms) > 0 || shift != ""):
		return errors.New("the demonstration needs no endpoint, callbacks, alarms or shift: say -revision as well, or leave them out")
	}
	if err = console.Absolute(&o.root, &o.revision); err != nil {
		return err
	}
	o.strategy, err = parseShift(shift)
	return err
}

// parseShift reads a shift, or the name of one of CodeDeploy's.
func parseShift(text string) (strategy.Strategy, error) {
	if s, ours, err := console.ParseShift(text); ours {
		return strategy.Lambda{Shift: s}, err
	}
	st, err := strategy.Parse(text)
	if _, ok := st.(strategy.Lambda); err == nil && !ok {
		err = fmt.Errorf("%q is not for Lambda", text)
	}
	if err != nil {
		return nil, fmt.Errorf("-shift: %w", err)
	}
	return st, nil
}
