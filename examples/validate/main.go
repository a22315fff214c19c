// Command validate checks AppSpec files for servers, ECS and Lambda, in YAML and
// JSON, and reports everything that is wrong in one run:
//
//	go run ./examples/validate appspec.yml
//	go run ./examples/validate -lines -bundle ./my-app my-app/appspec.yml
//	go run ./examples/validate -platform ecs -json taskdef/*.json
//	go run ./examples/validate -sarif appspec.yml >findings.sarif
//
// The platform is recognised by the content; -platform refuses the others. With
// -bundle the files of the revision are looked at, too, and without FILE the
// AppSpec is looked for in it. -json writes one line for each file: the normalised
// AppSpec and the problems. -sarif writes what code scanners read.
//
// The exit status is 0 if there is nothing but warnings, 1 if there are errors, and
// 2 if a file cannot be read or the flags make no sense.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Exit statuses.
const (
	exitOK     = 0
	exitErrors = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options is what the flags say.
type options struct {
	json, sarif, lines bool
	bundle             string
	parse              appspec.Options
	files              []string
}

func run(args []string, out, errs io.Writer) int {
	o, err := parseFlags(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(errs, "validate:", err)
		return exitUsage
	}
	status := exitOK
	var results []result
	for _, name := range o.files {
		r, err := check(name, o)
		if err != nil {
			fmt.Fprintln(errs, "validate:", err)
			status = exitUsage
			continue
		}
		if r.failed() && status == exitOK {
			status = exitErrors
		}
		results = append(results, r)
	}
	if err := o.report()(out, results); err != nil {
		fmt.Fprintln(errs, "validate:", err)
		return exitUsage
	}
	return status
}

func parseFlags(args []string, errs io.Writer) (*options, error) {
	o := &options{}
	set := flag.NewFlagSet("validate", flag.ContinueOnError)
	set.SetOutput(errs)
	set.Usage = func() {
		fmt.Fprintln(errs, "usage: validate [-json | -sarif] [-platform server|ecs|lambda] [-bundle DIR] FILE...")
		set.PrintDefaults()
	}
	set.BoolVar(&o.json, "json", false, "write one JSON object a line for each file")
	set.BoolVar(&o.sarif, "sarif", false, "write SARIF 2.1.0")
	set.BoolVar(&o.lines, "lines", false, "show the line of each problem, with a caret")
	set.BoolVar(&o.parse.Strict, "strict", false, "take warnings for errors")
	set.StringVar(&o.bundle, "bundle", "", "check against the files in `DIR`, the revision")
	set.StringVar(&o.parse.OS, "os", "", "refuse what is for another system than this: linux or windows")
	platform := set.String("platform", "", "refuse what is for another platform than this: server, ecs or lambda")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errors.New("the flags make no sense, see above")
	}
	o.files = set.Args()
	o.parse.Platform = lifecycle.Platform(*platform)
	o.parse.Deep = true
	return o, o.sane()
}

func (o *options) sane() error {
	platforms := []lifecycle.Platform{"", lifecycle.Server, lifecycle.ECS, lifecycle.Lambda}
	switch {
	case !slices.Contains(platforms, o.parse.Platform):
		return fmt.Errorf("unknown platform %q: want server, ecs or lambda", o.parse.Platform)
	case !slices.Contains([]string{"", "linux", "windows"}, o.parse.OS):
		return fmt.Errorf("unknown system %q: want linux or windows", o.parse.OS)
	case o.json && o.sarif:
		return errors.New("-json and -sarif exclude each other")
	case o.bundle != "":
		if info, err := os.Stat(o.bundle); err != nil || !info.IsDir() {
			return fmt.Errorf("-bundle: %s is not a directory", o.bundle)
		}
	}
	if len(o.files) > 0 {
		return nil
	}
	if o.bundle == "" {
		return errors.New("no file to check: give one or more, or -bundle")
	}
	name, err := find(o.bundle)
	o.files = []string{name}
	return err
}

func (o *options) report() func(io.Writer, []result) error {
	switch {
	case o.json:
		return writeJSON
	case o.sarif:
		return writeSARIF
	}
	return func(out io.Writer, results []result) error { return writeText(out, results, o.lines) }
}
