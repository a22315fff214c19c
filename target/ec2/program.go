package ec2

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cutover-deploy/cutover/internal/platform"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/agent"
)

// program is an agent's executable for the hosts of one platform.
type program struct {
	path, os, arch string // os and arch: empty if nobody knows
	digest         string
}

// findPrograms finds the executables that hosts may fetch.
func (s *SSM) findPrograms() ([]program, error) {
	switch {
	case s.Programs != "":
		return programsIn(s.Programs)
	case s.Program != "":
		p := program{path: s.Program}
		if info, err := buildinfo.ReadFile(s.Program); err == nil { // else it is no plain Go program; its host will tell
			for _, set := range info.Settings {
				switch set.Key {
				case "GOOS":
					p.os = set.Value
				case "GOARCH":
					p.arch = set.Value
				}
			}
		}
		return []program{p}, nil
	case !agent.MainCalled():
		return nil, refuse(lifecycle.TargetFailed, "this program cannot be an agent on a host: call agent.Main first thing in main, or set SSM.Program to one that does")
	}
	path, err := os.Executable()
	return []program{{path: path, os: runtime.GOOS, arch: runtime.GOARCH}}, err
}

// programsIn finds the files of a directory that are named after a platform.
func programsIn(dir string) (all []program, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, refuse(lifecycle.TargetFailed, "the agent's executables (SSM.Programs) cannot be listed: %v", err)
	}
	for _, f := range files {
		goos, goarch, _ := strings.Cut(f.Name(), "-")
		if len(platform.Unames(goos, goarch)) > 0 {
			all = append(all, program{path: filepath.Join(dir, f.Name()), os: goos, arch: goarch})
		}
	}
	if len(all) == 0 {
		return nil, refuse(lifecycle.TargetFailed, "no file in %s (SSM.Programs) is named after a platform, such as linux-amd64", dir)
	}
	return all, nil
}

// choice is a line of the script: which hosts take an executable, by what "uname -sm"
// says, and where it is.
func (p program) choice(url string) string {
	hosts := "*"
	if said := platform.Unames(p.os, p.arch); len(said) > 0 {
		for i := range said {
			said[i] = quote(said[i])
		}
		hosts = strings.Join(said, "|")
	}
	return fmt.Sprintf("%s) D=%s; F=%s;;\n", hosts, p.digest, quote(url))
}
