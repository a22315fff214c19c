package appspec_test

import (
	"errors"
	"fmt"
	"testing/fstest"

	"github.com/cutover-deploy/cutover/appspec"
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
