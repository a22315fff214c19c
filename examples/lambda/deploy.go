package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/examples/console/cloud"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/iam"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// group is the deployment group of a root.
const group = "function"

// deploy deploys the AppSpec of a directory.
func deploy(ctx context.Context, opt options, to place, log *console.Log) (bool, error) {
	d, alias, err := deployment(opt, opt.revision, to, log)
	if err != nil {
		return false, err
	}
	if opt.plan {
		return true, plan(ctx, opt, d, alias, to, log)
	}
	stop, err := listen(opt, alias.Hooks)
	if err != nil {
		return false, err
	}
	defer stop()
	res, err := start(ctx, opt, d)
	if err != nil {
		return false, err
	}
	log.Say("%s", cloud.Calls(to.limits))
	return res.Status == strategy.DeploymentSucceeded, nil
}

// deployment is what all deployments of the program have in common.
func deployment(opt options, dir string, to place, log *console.Log) (*cutover.Deployment, *lambda.Alias, error) {
	spec, err := cloud.AppSpec(dir, lifecycle.Lambda)
	if err != nil {
		return nil, nil, err
	}
	hooks := &function.Hooks{Caller: &lambda.Functions{Client: to.invoke}, Ledger: &function.Files{Dir: filepath.Join(opt.root, "hooks")},
		Note: func(n lifecycle.Note) { log.Say("note: %s", console.Clean(n.Text)) }}
	if opt.callbacks != "" {
		if hooks.Secret, err = secret(filepath.Join(opt.root, "secret")); err != nil {
			return nil, nil, err
		}
	}
	alias := &lambda.Alias{Client: to.alias, Spec: spec, Hooks: hooks}
	alarms := &cloudwatch.Alarms{Client: to.alarms, Names: opt.alarms}
	return &cutover.Deployment{
		Application: "lambda-example", Group: group, GroupName: spec.Function.Name + ":" + spec.Function.Alias,
		Revision: revision.Dir(dir), Target: alias, Strategy: opt.strategy,
		Rollback:         rollback.Policy{OnFailure: true, OnAlarm: true},
		Watch:            rollback.Watch{Alarms: alarms.List()},
		Journal:          &journal.File{Dir: filepath.Join(opt.root, "journal")},
		Observe:          log.Record,
		RerunInterrupted: opt.rerun,
		AllowQuarantined: true, // whoever names a revision on a command line has said the word
	}, alias, nil
}

// secret is the same in every process of a root.
func secret(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte(rand.Text())
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	return data, err
}

// listen serves callbacks until stop is called.
func listen(opt options, hooks *function.Hooks) (stop func(), err error) {
	if opt.callbacks == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", opt.callbacks)
	if err != nil {
		return nil, fmt.Errorf("-callbacks: %w", err)
	}
	server := &http.Server{Handler: hooks.Callbacks()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends when it is closed
	}()
	return func() {
		server.Close()
		<-done
	}, nil
}

// start runs the deployment. With -resume it finishes what is unfinished instead; if
// that is nothing and this AppSpec was deployed last, it tells how that ended.
func start(ctx context.Context, opt options, d *cutover.Deployment) (*cutover.Result, error) {
	if !opt.resume {
		return d.Run(ctx)
	}
	res, err := d.Resume(ctx, "")
	if !errors.Is(err, cutover.ErrNothingToResume) {
		return res, err
	}
	last, err := lastOf(ctx, d)
	if err != nil {
		return nil, err
	}
	next, err := d.Revision.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	if last.Deployment == "" || last.Revision.Digest != next.Manifest.Digest() {
		return d.Run(ctx)
	}
	return d.Resume(ctx, last.Deployment)
}

// lastOf is the plan of the last deployment that was no rollback; zero: there is none.
func lastOf(ctx context.Context, d *cutover.Deployment) (last strategy.Plan, err error) {
	read := d.Journal.(journal.Readable).Reader(group)
	ids, err := read.Deployments(ctx)
	if err != nil {
		return last, err
	}
	for _, id := range ids {
		st := &strategy.State{}
		for rec, err := range read.Records(ctx, id, 1) {
			if err == nil {
				err = st.Apply(rec)
			}
			if err != nil {
				return last, err
			}
		}
		if st.Plan().RollbackOf == "" {
			last = st.Plan()
		}
	}
	return last, nil
}

// plan prints what would be done, and what must be allowed for it.
func plan(ctx context.Context, opt options, d *cutover.Deployment, alias *lambda.Alias, to place, log *console.Log) error {
	p, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	scope := lambda.Scope{Region: to.region, Account: opt.account}
	var more []iam.Statement
	if len(opt.alarms) > 0 {
		more = append(more, iam.Allow("Alarms", alarmARNs(scope, opt.alarms), cloudwatch.Action))
	}
	policy, err := alias.Policy(scope, more...)
	if err != nil {
		return err
	}
	return log.Result(map[string]any{"plan": p, "policy": json.RawMessage(policy)}, fmt.Sprintf("%s\nIAM policy\n%s", p, policy))
}

func alarmARNs(s lambda.Scope, names []string) []string {
	var arns []string
	for _, name := range names {
		arns = append(arns, strings.Join([]string{"arn:aws:cloudwatch", whichever(s.Region), whichever(s.Account), "alarm", name}, ":"))
	}
	return arns
}

func whichever(s string) string {
	if s == "" {
		return "*"
	}
	return s
}
