package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
)

type sites []lifecycle.Unit // by directory; what is served there is told by its file "release"

func (s sites) Units(context.Context) ([]lifecycle.Unit, error) { return s, nil }

func (s sites) Perform(ctx context.Context, t target.Task) error {
	if t.Step.Event != lifecycle.Install || ctx.Err() != nil {
		return context.Cause(ctx) // nil, unless somebody cancelled: a site needs no other event
	}
	if err := os.WriteFile(t.Step.Unit+"/release", []byte(t.Job.Revision.Digest), 0o644); err != nil {
		return &lifecycle.Error{Step: t.Step, Err: err, Failure: lifecycle.Failure{Code: lifecycle.InstallFailed, Message: err.Error()}}
	}
	return nil
}

func main() {
	var web sites
	for _, dir := range os.Args[1:] {
		web = append(web, lifecycle.Unit{ID: dir})
	}
	result, err := (&cutover.Deployment{Group: "web", Target: web, Revision: revision.Dir("examples/customtarget/web")}).Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Status)
}
