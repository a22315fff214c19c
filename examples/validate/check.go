package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// result is what came out for one file.
type result struct {
	file     string
	data     []byte
	platform lifecycle.Platform
	spec     *appspec.Spec // nil: it has errors
	problems []*appspec.Problem
}

func (r result) failed() bool { return r.count(appspec.Error) > 0 }

func (r result) count(s appspec.Severity) int {
	n := 0
	for _, p := range r.problems {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// check reads and checks one file; an error means that it could not be read.
func check(name string, o *options) (result, error) {
	data, err := read(name)
	if err != nil {
		return result{}, err
	}
	r := result{file: name, data: data, platform: appspec.Detect(data)}
	spec, warnings, err := appspec.Parse(name, data, o.parse)
	r.spec = spec
	r.problems = appspec.Merge(appspec.Problems(err), warnings)
	if spec == nil {
		return r, nil
	}
	r.platform = spec.Platform
	if o.bundle == "" {
		return r, nil
	}
	root, err := os.OpenRoot(o.bundle)
	if err != nil {
		return r, fmt.Errorf("the revision cannot be opened: %w", err)
	}
	defer root.Close()
	r.problems = appspec.Merge(r.problems, spec.CheckBundle(name, root.FS(), o.parse))
	return r, nil
}

// read takes no more than is needed to see that a file is too large.
func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, appspec.DefaultMaxBytes+1))
}

// find looks for the AppSpec of a revision.
func find(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	name, _, err := appspec.Find(root.FS(), "")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.FromSlash(name)), nil
}
