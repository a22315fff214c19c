package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
)

// A deployment to one host, step by step. Package cutover does this for a fleet.
func ExampleAgent_Perform() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// The revision: a directory with an AppSpec.
	app := filepath.Join(dir, "revision")
	write(filepath.Join(app, "appspec.yml"), "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/www\n")
	write(filepath.Join(app, "index.html"), "hello\n")
	bundle, err := revision.Dir(app).Open(ctx, "")
	if err != nil {
		panic(err)
	}

	// The host: rooted in a directory, so that the example leaves the machine alone.
	host := filepath.Join(dir, "host")
	write(filepath.Join(host, "etc", "hostname"), "host-1\n")
	a := &agent.Agent{Dir: filepath.Join(dir, "state"), Root: host}

	job := &target.Job{Group: "www", Bundle: bundle}
	for _, event := range lifecycle.InPlace.Events() {
		step := lifecycle.Step{Deployment: "d-1", Unit: "host-1", Event: event}
		if err := a.Perform(ctx, target.Task{Step: step, Job: job}); err != nil {
			fmt.Println(err)
			return
		}
	}
	content, err := os.ReadFile(filepath.Join(host, "srv", "www", "index.html"))
	if err != nil {
		panic(err)
	}
	fmt.Print(string(content))
	history, err := a.History("www")
	if err != nil {
		panic(err)
	}
	fmt.Println("installed by", history.Installed.Deployment)
	// Output:
	// hello
	// installed by d-1
}

func write(path, content string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		panic(err)
	}
}
