package appspec_test

import (
	"errors"
	"fmt"
	"testing/fstest"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/hashicorp/go-multierror"
)

// A revision, as a file system in memory.
var shop = fstest.MapFS{
	"appspec.yml": {Data: []byte(`version: 0.0
os: linux
files:
  - source: site
    destination: /srv/shop
hooks:
  AfterInstall:
    - location: ops/setup.sh
      timeout: 60
`)},
	"site/index.html": {Data: []byte("hello")},
	"ops/setup.sh":    {Data: []byte("#!/bin/sh\n")},
}

func Example() {
	name, _, err := appspec.Find(shop, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _ := shop.ReadFile(name)
	spec, warnings, err := appspec.Parse(name, data, appspec.Options{OS: "linux"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(warnings), "warnings,", len(spec.CheckBundle(name, shop, appspec.Options{})), "findings")
	for _, s := range spec.Scripts("AfterInstall") {
		fmt.Println(s.Location, s.Timeout)
	}
	// Output:
	// 0 warnings, 0 findings
	// ops/setup.sh 1m0s
}

// Every problem comes at once, with its place.
func ExampleParse_errors() {
	_, warnings, err := appspec.Parse("appspec.yml", []byte(`version: 1.0
os: linux
hooks:
  ApplicattionStop:
    - location: stop.sh
      timeout: soon
`), appspec.Options{})
	fmt.Println(err)
	fmt.Println(warnings[0].Nearest, errors.Is(warnings[0], appspec.ErrUnknownEvent))
	fmt.Println("version:", errors.Is(err, appspec.ErrVersion))

	var all *multierror.Error
	if errors.As(err, &all) {
		fmt.Println(len(all.Errors), "errors")
	}
	// Output:
	// appspec.yml:1:10: error: version: not a known version: found the number "1.0"; want the number 0.0
	// appspec.yml:6:16: error: hooks.ApplicattionStop[0].timeout: not a number of seconds above 0: found "soon"; want a whole number of seconds above 0
	// ApplicationStop true
	// version: true
	// 2 errors
}

// Strict makes errors of what CodeDeploy would silently ignore or misread.
func ExampleOptions_strict() {
	_, _, err := appspec.Parse("appspec.yml", []byte(`version: 0.0
os: linux
files:
  - source: site
    destination: /srv/shop
    overwrite: true
`), appspec.Options{Strict: true})
	fmt.Println(err)
	// Output:
	// appspec.yml:6:5: error: files[0].overwrite: unknown key, it is ignored; want source, destination; to replace files that are in the way, write file_exists_behavior: OVERWRITE at the top level
}

// The text of a problem's line, with a caret below the place.
func ExampleProblem_Excerpt() {
	data := []byte("version: 0.0\nos: linus\n")
	_, _, err := appspec.Parse("appspec.yml", data, appspec.Options{})
	for _, p := range appspec.Problems(err) {
		fmt.Println(p)
		fmt.Print(p.Excerpt(data))
	}
	// Output:
	// appspec.yml:2:5: error: os: not a supported operating system: found "linus"; want linux or windows; did you mean linux?
	//   2 | os: linus
	//     |     ^
}

var template = []byte(`version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo:
          ContainerName: web
          ContainerPort: ${PORT}
Hooks:
  - AfterAllowTestTraffic: smoke-test
`)

// A template is filled in, in values only; what is missing is refused.
func ExampleRender() {
	list, _ := appspec.Placeholders("template.yml", template)
	for _, p := range list {
		fmt.Println(p.Name, "at", p.Path)
	}
	_, err := appspec.Render("template.yml", template, map[string]string{"PORT": "8080"})
	fmt.Println(err)
	data, _ := appspec.Render("template.yml", template, map[string]string{"PORT": "8080", "TASK_DEFINITION": "shop:7"})
	spec, warnings, _ := appspec.Parse("appspec.yml", data, appspec.Options{Platform: lifecycle.ECS})
	fmt.Println(spec.Service.TaskDefinition, spec.Service.ContainerPort, len(warnings))
	// Output:
	// TASK_DEFINITION at Resources[0].TargetService.Properties.TaskDefinition
	// PORT at Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort
	// template.yml:6:25: error: Resources[0].TargetService.Properties.TaskDefinition: no value is given for "TASK_DEFINITION": found "<TASK_DEFINITION>"
	// shop:7 8080 0
}

// Printing gives the canonical form, which is read back as the same Spec.
func ExamplePrint() {
	spec, _, _ := appspec.Parse("appspec.yml", []byte(`{"os": "linux", "version": 0.0, "hooks": {"AfterInstall": [{"timeout": "60", "location": "setup.sh"}]}}`), appspec.Options{})
	text, err := appspec.Print(spec, appspec.YAML)
	fmt.Print(string(text), err)
	// Output:
	// version: 0.0
	// os: linux
	// hooks:
	//   AfterInstall:
	//     - location: setup.sh
	//       timeout: 60
	// <nil>
}

// Layout changes, comments stay.
func ExampleReformat() {
	text, err := appspec.Reformat("appspec.yml", []byte("version:  0.0\nos: linux # all of them\nfiles: [{source: /, destination: /srv/shop}]\n"))
	fmt.Print(string(text), err)
	// Output:
	// version: 0.0
	// os: linux # all of them
	// files:
	//   - source: /
	//     destination: /srv/shop
	// <nil>
}

// An ECS deployment without CodeDeploy, and what has no equal there.
func ExampleNative() {
	data, _ := appspec.Render("template.yml", template, map[string]string{"PORT": "8080", "TASK_DEFINITION": "shop:7"})
	spec, _, _ := appspec.Parse("appspec.yml", data, appspec.Options{})
	native, notes, err := appspec.Native(spec, appspec.Group{Config: "CodeDeployDefault.ECSCanary10Percent5Minutes", Rollback: true})
	c := native.DeploymentConfiguration
	fmt.Println(c.Strategy, c.Canary.Percent, c.Canary.Minutes, c.LifecycleHooks[0].Stages, err)
	fmt.Println(notes[2].Why)
	fmt.Println(notes[3].Path+":", notes[3].Why)
	// Output:
	// CANARY 10 5 [POST_TEST_TRAFFIC_SHIFT] <nil>
	// CANARY needs an Application Load Balancer or Service Connect
	// Hooks[0].AfterAllowTestTraffic: ECS takes the ARN of a function, not its name
}
