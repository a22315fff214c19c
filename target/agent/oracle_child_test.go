//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/install"
	"github.com/hashicorp/go-multierror"
)

// childVar names the file that tells a child process of these tests what to do.
const childVar = "CUTOVER_AGENT_CHILD"

// children are the things that tests have done in a process of their own.
var children = map[string]func(order childOrder) any{"deploy": childDeploy}

// childOrder is what a child process is told.
type childOrder struct {
	Do     string
	Dir    string // state directory
	Root   string
	Env    []string
	Keep   int
	Umask  int
	Source string // directory or archive
	Work   string // where an archive is unpacked
	Job    target.Job
	Deploy string
	Events []string
	Report string
}

// childReport is what it answers, rewritten at every event.
type childReport struct {
	Done     bool
	Events   []string
	Failed   string
	Failure  *lifecycle.Failure
	Problems []string // codes of the plan's or the AppSpec's problems behind the failure
	Notes    []lifecycle.Note
}

func TestMain(m *testing.M) {
	Main() // the tests of the agent's process start this program as one
	if path := os.Getenv(childVar); path != "" {
		runChild(path)
		return
	}
	os.Exit(m.Run())
}

func runChild(path string) {
	var order childOrder
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &order)
	}
	if err != nil {
		panic(err)
	}
	syscall.Umask(order.Umask)
	report(order.Report, children[order.Do](order))
}

func report(path string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		panic(err)
	}
}

// bringsRevision are the events at which the revision has to be at hand.
var bringsRevision = map[string]bool{string(lifecycle.Start): true, string(lifecycle.DownloadBundle): true}

// childDeploy does the events of one deployment, one after another, and stops at
// the first failure.
func childDeploy(order childOrder) any {
	a := &Agent{Dir: order.Dir, Root: order.Root, Env: order.Env, Keep: order.Keep}
	r := &childReport{}
	var openErr error
	for i, event := range order.Events {
		r.Events = append(r.Events, event)
		report(order.Report, r)
		if bringsRevision[event] && order.Job.Bundle == nil && openErr == nil {
			order.Job.Bundle, openErr = openSource(order)
		}
		step := lifecycle.Step{Deployment: order.Deploy, Stage: i, Unit: "host", Event: lifecycle.Event(event)}
		err := openErr
		if err == nil {
			err = a.Perform(context.Background(), target.Task{Step: step, Job: &order.Job,
				Note: func(n lifecycle.Note) { r.Notes = append(r.Notes, n) }})
		}
		if err == nil {
			continue
		}
		r.Failed = event
		r.Failure, r.Problems = failureOf(err), problemCodes(err)
		break
	}
	r.Done = true
	return r
}

func openSource(order childOrder) (*revision.Bundle, error) {
	src, err := revision.Local(order.Source)
	if err != nil {
		return nil, err
	}
	work := filepath.Join(order.Work, strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, err
	}
	return src.Open(context.Background(), work)
}

func failureOf(err error) *lifecycle.Failure {
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		return &e.Failure
	}
	if _, ok := errors.AsType[*revision.Error](err); ok {
		return &lifecycle.Failure{Code: lifecycle.RevisionInvalid, Message: err.Error()}
	}
	return &lifecycle.Failure{Message: err.Error()}
}

// problemCodes digs out what exactly was refused.
func problemCodes(err error) []string {
	if e, ok := errors.AsType[*revision.Error](err); ok {
		return []string{string(e.Code)}
	}
	var codes []string
	add := func(err error) {
		if p, ok := errors.AsType[*install.Problem](err); ok {
			codes = append(codes, string(p.Code))
		}
		if p, ok := errors.AsType[*appspec.Problem](err); ok {
			codes = append(codes, string(p.Code))
		}
	}
	if all, ok := errors.AsType[*multierror.Error](err); ok {
		for _, e := range all.Errors {
			add(e)
		}
		return codes
	}
	add(err)
	return codes
}
